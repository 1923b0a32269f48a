"""
Wraps a client of the openai package, or an http client, so that its calls stay within limits.

Returns a copy of the same type; the original stays unpaced.
"""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any, TypeVar

from ratedispatch.dispatch.wrap.account_gates import AccountGates
from ratedispatch.dispatch.wrap.call_options import checked_seconds
from ratedispatch.dispatch.wrap.gate import Gate
from ratedispatch.dispatch.wrap.paced_http import paced, paced_send
from ratedispatch.dispatch.wrap.shared_gates import account_of, gate_for

if TYPE_CHECKING:
    from ratedispatch.dispatch.wrap.gate import GateOptions
    from ratedispatch.groups import LimitGroups
    from ratedispatch.limits import Limits

ClientT = TypeVar("ClientT")

#: Parts that hold others, of the client that they were made with.
_FRONTS = frozenset({"with_raw_response", "with_streaming_response"})


def wrap(
    client: ClientT,
    limits: Limits | LimitGroups | Gate,
    *,
    max_wait: float | None = None,
    options: GateOptions | None = None,
    **changes: Any,
) -> ClientT:
    """
    Return a copy of *client* whose calls wait until the limits allow them.

    Calls that are refused nevertheless are sent again from their old place in the queue, unnoticed
    by the caller. Calls without limits (files, models, audio) pass unchanged. Clients with the same
    base URL, key and limits share the limits, in all threads and event loops of the process.

    Args:
        client: An ``OpenAI``, an ``AsyncOpenAI``, one for Azure, or an instance of a subclass. It
            is not changed, and calls through it are not paced.
        limits: The limits of the account or of groups of models, or a :class:`Gate`.
        max_wait: Maximum seconds that a call waits in the queue; None for no maximum. The timeout
            of a call begins when it is sent.
        options: How to pace.
        changes: Fields of :class:`GateOptions` by name, instead of *options* or in addition to
            them.

    Raises:
        TypeError: *client* is not a client of the openai package, or *limits* are not limits.
        ValueError: An option is out of range.
    """
    inner = getattr(client, "_client", None)
    # packages of other APIs have clients made alike, whose calls nothing here would recognize
    roots = {base.__module__.partition(".")[0] for base in type(client).__mro__}
    if "openai" not in roots or not (hasattr(inner, "send") and hasattr(client, "base_url")):
        raise TypeError(
            f"expected a client of the openai package, got {type(client).__name__}; to pace an "
            f"http client, use http_client() or async_http_client()"
        )
    gate = gate_for(limits, account_of(client), inner, options, changes)
    wrapped = copy.copy(client)
    _pace(wrapped, gate, _checked(max_wait))
    _make_parts_anew(wrapped, client)
    return wrapped


def http_client(
    limits: Limits | LimitGroups | Gate,
    client: Any = None,
    *,
    base_url: str | None = None,
    max_wait: float | None = None,
    options: GateOptions | None = None,
    **changes: Any,
) -> Any:
    """
    Return a blocking http client whose calls to models are paced; pass it as ``http_client=``.

    Each request is paced by the limits of its account, which is its base URL and its key. Clients
    with the same account and limits share the limits, also with those of :func:`wrap`.

    Args:
        limits: The limits of each account or of groups of models, or a :class:`Gate`.
        client: Your own ``httpx.Client``; its pool, proxies and hooks are kept. By default a client
            like the SDK's own.
        base_url: The server, if all requests to it share the limits, whatever their key.
        max_wait: Maximum seconds that a call waits in the queue; None for no maximum.
        options: How to pace.
        changes: Fields of :class:`GateOptions` by name, instead of *options* or in addition to
            them.

    Raises:
        TypeError: *client* is not a blocking http client, or *limits* are not limits.
        ValueError: An option is out of range.
    """
    http = _http_of(client, is_async=False)
    return paced(http, _pacer(limits, base_url, http, options, changes), _checked(max_wait))


def async_http_client(
    limits: Limits | LimitGroups | Gate,
    client: Any = None,
    *,
    base_url: str | None = None,
    max_wait: float | None = None,
    options: GateOptions | None = None,
    **changes: Any,
) -> Any:
    """
    Return an asynchronous http client whose calls to models are paced; see `http_client`.

    Args:
        limits: The limits of each account or of groups of models, or a :class:`Gate`.
        client: Your own ``httpx.AsyncClient``. By default a client like the SDK's own.
        base_url: The server, if all requests to it share the limits, whatever their key.
        max_wait: Maximum seconds that a call waits in the queue; None for no maximum.
        options: How to pace.
        changes: Fields of :class:`GateOptions` by name, instead of *options* or in addition to
            them.

    Raises:
        TypeError: *client* is not an asynchronous http client, or *limits* are not limits.
        ValueError: An option is out of range.
    """
    http = _http_of(client, is_async=True)
    return paced(http, _pacer(limits, base_url, http, options, changes), _checked(max_wait))


def _http_of(client: Any, *, is_async: bool) -> Any:
    """Return *client*, an http client of the right kind; one like the SDK's own without one."""
    if client is None:
        import openai

        return openai.DefaultAsyncHttpxClient() if is_async else openai.DefaultHttpxClient()
    if not hasattr(client, "send") or hasattr(client, "aclose") is not is_async:
        wanted = "httpx.AsyncClient" if is_async else "httpx.Client"
        raise TypeError(f"expected an {wanted}, got {type(client).__name__}")
    return client


def _pacer(
    limits: Limits | LimitGroups | Gate,
    base_url: str | None,
    http: Any,
    options: GateOptions | None,
    changes: dict[str, Any],
) -> Gate | AccountGates:
    """Return what paces *http*; where it sends to is told by its requests, without a base URL."""
    if base_url is None and not isinstance(limits, Gate):
        return AccountGates(limits, http, options, changes)
    return gate_for(limits, (base_url, b""), http, options, changes)


def _pace(client: Any, gate: Gate, max_wait: float | None) -> None:
    """Pace *client*, a copy that nobody else has, and what is copied from it."""
    fields = vars(client)
    kind: Any = type(client)
    inner = fields["_client"]
    is_async = hasattr(inner, "aclose")
    identity = fields.get("_workload_identity_auth")
    if hasattr(identity, "send_api_request"):  # sends past the http client, by its transport
        send = paced_send(kind._send_request, gate, max_wait, is_async=is_async)
        fields["_send_request"] = functools.partial(send, client)
    else:
        fields["_client"] = paced(inner, gate, max_wait)
    for name in _cached_properties(kind):  # they hold the client they were made from
        fields.pop(name, None)

    plain_copy = kind.copy.__get__(client)

    @functools.wraps(plain_copy)
    def copied(*positional: Any, **named: Any) -> Any:
        made = plain_copy(*positional, **named)
        _pace(made, gate, max_wait)  # it may have been given another http client
        return made

    fields["copy"] = fields["with_options"] = copied


def _make_parts_anew(wrapped: Any, client: Any) -> None:
    """Make those parts of the copy *wrapped* anew that early versions make with *client*."""
    fields = vars(wrapped)
    for name, part in list(fields.items()):
        if getattr(part, "_client", None) is client or name in _FRONTS:
            fields[name] = type(part)(wrapped)


def _checked(max_wait: float | None) -> float | None:
    return None if max_wait is None else checked_seconds("max_wait", max_wait)


@functools.lru_cache(maxsize=256)
def _cached_properties(kind: Any) -> tuple[str, ...]:
    return tuple(
        name
        for base in kind.__mro__
        for name, value in vars(base).items()
        if isinstance(value, functools.cached_property)
    )
