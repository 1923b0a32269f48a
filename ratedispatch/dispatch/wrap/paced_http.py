"""
An http client whose ``send`` waits for the gate: the same client otherwise.

It shares the state of the client it is made from (pool, proxies, cookies, hooks, whether it is
closed) and has a type of its own below that client's type. Works for whichever httpx the client
comes from: nothing of it is imported here.
"""

from __future__ import annotations

import functools
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ratedispatch.dispatch.thread_alarm import timer_thread
from ratedispatch.dispatch.wrap.account_gates import AccountGates
from ratedispatch.dispatch.wrap.call_options import current_options
from ratedispatch.dispatch.wrap.collecting import is_collecting
from ratedispatch.dispatch.wrap.old_sdk import answer_holding
from ratedispatch.dispatch.wrap.settled_stream import settle_at_end
from ratedispatch.dispatch.wrap.ticket import Ruling
from ratedispatch.errors import DeadlineMissed, RateDispatchError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.dispatch.retry import RetryWaits
    from ratedispatch.dispatch.wrap.gate import Gate
    from ratedispatch.dispatch.wrap.ticket import Ticket

ClientT = TypeVar("ClientT")

#: What the SDK counts its own retries with, from 0.
_RETRY_HEADER = "x-stainless-retry-count"

_OK = 200

#: Statuses below this have what was requested.
_ERROR_STATUS = 400

#: What a request has that is signed as of an instant: it is refused five minutes later.
_SIGNED_HEADER = "x-amz-date"

#: Seconds that a signed request may wait, so that it arrives while its signature is good.
_MOST_SIGNED_WAIT = 240.0

#: Errors of httpx, by name, after which no server can have counted the request.
_UNSENT = ("ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol")


class _Place(NamedTuple):
    """The place of a call that failed, kept for the retry of the SDK in the same task."""

    gate: Gate
    path: bytes
    size: int
    rank: int
    waits: RetryWaits | None


_place: ContextVar[_Place | None] = ContextVar("ratedispatch_place", default=None)


def paced(inner: ClientT, gate: Gate | AccountGates, max_wait: float | None = None) -> ClientT:
    """
    Return the http client *inner* with calls paced by *gate*; *inner* itself stays as it is.

    Args:
        inner: A client of httpx or of httpx2, sync or async. One that is paced already is paced
            by *gate* instead.
        gate: What paces, or tells what paces a request.
        max_wait: Seconds in the queue at most.
    """
    kind: Any = type(inner)
    if vars(kind).get("_ratedispatch_pacing") == (gate, max_wait):
        return inner
    given = vars(kind).get("_ratedispatch_inner", inner)
    kind = type(given)
    names = {
        "__doc__": kind.__doc__,
        "__module__": kind.__module__,
        "__del__": _do_nothing,  # the pool is closed by the client that made it
        "send": paced_send(kind.send, gate, max_wait, is_async=hasattr(kind, "aclose")),
        "_ratedispatch_pacing": (gate, max_wait),
        "_ratedispatch_inner": given,  # kept: its finalizer closes the pool
    }
    client = object.__new__(type(kind)(kind.__name__, (kind,), names))
    client.__dict__ = given.__dict__
    return client  # type: ignore[no-any-return]


def gate_of(client: object) -> Gate | None:
    """Return what paces the http client *client*; None if nothing does, or if requests tell it."""
    gate, _ = getattr(type(client), "_ratedispatch_pacing", (None, None))
    return None if isinstance(gate, AccountGates) else gate


def gates_of(client: object) -> tuple[Gate, ...]:
    """Return what paces the http client *client*, as far as its requests have told."""
    gate, _ = getattr(type(client), "_ratedispatch_pacing", (None, None))
    if isinstance(gate, AccountGates):
        return gate.known
    return () if gate is None else (gate,)


def paced_send(
    plain: Callable[..., Any], gate: Gate | AccountGates, max_wait: float | None, *, is_async: bool
) -> Callable[..., Any]:
    """Return the method *plain*, which sends a request, with calls paced by *gate*."""
    return (_async_send if is_async else _blocking_send)(plain, gate, max_wait)


def _do_nothing(_: object) -> None:
    pass


def _async_send(
    plain: Any, gate: Gate | AccountGates, max_wait: float | None
) -> Callable[..., Any]:
    @functools.wraps(plain)
    async def send(self: Any, request: Any, *, stream: bool = False, **settings: Any) -> Any:
        """Send *request* when the gate lets it through."""
        try:
            ticket = _ticket_of(request, gate)
        except RateDispatchError as error:
            return _told(error, request)
        if ticket is None:
            return await plain(self, request, stream=stream, **settings)
        options = current_options()
        while True:
            try:
                await ticket.enter(options, max_wait)
            except RateDispatchError as error:
                return _told(error, request)
            try:
                response = await plain(self, request, stream=stream, **settings)
                if not stream or response.is_closed:  # a hook may have read it
                    content = getattr(response, "_content", b"")
                elif response.status_code < _ERROR_STATUS:
                    return settle_at_end(response, ticket, _headers_of(response))
                else:
                    content = await _read_ahead(response)
            except BaseException as error:
                _break(ticket, request, error)
                raise
            if _passes(ticket, request, response, content):
                return response
            await response.aclose()

    return send


def _blocking_send(
    plain: Any, gate: Gate | AccountGates, max_wait: float | None
) -> Callable[..., Any]:
    @functools.wraps(plain)
    def send(self: Any, request: Any, *, stream: bool = False, **settings: Any) -> Any:
        """Send *request* when the gate lets it through."""
        try:
            ticket = _ticket_of(request, gate)
        except RateDispatchError as error:
            return _told(error, request)
        if ticket is None:
            return plain(self, request, stream=stream, **settings)
        options = current_options()
        while True:
            try:
                ticket.enter_blocking(options, max_wait)
            except RateDispatchError as error:
                return _told(error, request)
            try:
                response = plain(self, request, stream=stream, **settings)
                if not stream or response.is_closed:  # a hook may have read it
                    content = getattr(response, "_content", b"")
                elif response.status_code < _ERROR_STATUS:
                    return settle_at_end(response, ticket, _headers_of(response))
                else:
                    content = _read_ahead_blocking(response)
            except BaseException as error:
                _break(ticket, request, error)
                raise
            if _passes(ticket, request, response, content):
                return response
            response.close()

    return send


def _ticket_of(request: Any, pacer: Gate | AccountGates) -> Ticket | None:
    """Return the ticket of *request*; None if nothing limits it, or its body is not available."""
    if request.method != "POST":
        return None
    content = getattr(request, "_content", None)  # .content raises where it was not read
    if content is None:
        return None
    gate = pacer.of(request) if isinstance(pacer, AccountGates) else pacer
    if gate is None:
        return None
    path = request.url.raw_path
    ticket = gate.ticket(path, content)
    if ticket is None:
        return None
    headers = request.headers
    if _SIGNED_HEADER in headers:
        ticket.most_wait = _MOST_SIGNED_WAIT
    place = _place.get()
    if place is not None:
        _place.set(None)
        is_retry = headers.get(_RETRY_HEADER, "0") != "0"
        if is_retry and place[:3] == (gate, path, ticket.size):
            ticket.rank, ticket.waits = place.rank, place.waits
    return ticket


def _told(error: RateDispatchError, request: Any) -> Any:
    """Raise *error* of the gate as one that the SDK passes on."""
    from ratedispatch.dispatch.wrap.gate_errors import as_openai_error

    if isinstance(error, DeadlineMissed) and _SIGNED_HEADER in request.headers:
        why = (
            f"{error}; a signed request waits at most {_MOST_SIGNED_WAIT:g} s, before its "
            f"signature expires"
        )
        error = DeadlineMissed(why, allowed=error.allowed, earliest=error.earliest)
    twin = as_openai_error(error)
    answer = answer_holding(twin, request)
    if answer is None:
        raise twin from None
    return answer


def _passes(ticket: Ticket, request: Any, response: Any, content: bytes) -> bool:
    """Tell the gate of a whole answer; return whether the caller gets it."""
    status = response.status_code
    if status == _OK and ticket.answer_plain(content):
        return True
    ruling = ticket.answer(status, _headers_of(response), content)
    if ruling is Ruling.AGAIN:
        return False
    if status >= _ERROR_STATUS:
        _keep_place(ticket, request)
    return True


def _break(ticket: Ticket, request: Any, error: BaseException) -> None:
    """Tell the gate of an attempt without an answer."""
    is_unsent = False
    if isinstance(error, Exception):
        module = sys.modules[type(request).__module__.partition(".")[0]]
        kinds = tuple(getattr(module, name) for name in _UNSENT if hasattr(module, name))
        is_unsent = isinstance(error, kinds)
        _keep_place(ticket, request)
    if is_collecting():
        timer_thread().take_over(ticket.broken)
    else:
        ticket.broken(is_unsent=is_unsent)


def _keep_place(ticket: Ticket, request: Any) -> None:
    path = request.url.raw_path
    _place.set(_Place(ticket.gate, path, ticket.size, ticket.rank, ticket.waits))


def _headers_of(response: Any) -> dict[str, str]:
    """The headers by lower-case name: looked up twenty times, which httpx takes long for."""
    return {
        name.decode("latin-1").lower(): value.decode("latin-1")
        for name, value in response.headers.raw
    }


async def _read_ahead(response: Any) -> bytes:
    """Read the body of an error and put it back; return it decompressed."""
    packed = [part async for part in response.aiter_raw()]
    return _put_back(response, packed)


def _read_ahead_blocking(response: Any) -> bytes:
    return _put_back(response, list(response.iter_raw()))


def _put_back(response: Any, packed: list[bytes]) -> bytes:
    whole = b"".join(packed)
    copy = type(response)(response.status_code, headers=response.headers, content=whole)
    response.stream = type(response)(response.status_code, content=whole).stream
    response.is_stream_consumed = response.is_closed = False
    content: bytes = copy.content
    return content
