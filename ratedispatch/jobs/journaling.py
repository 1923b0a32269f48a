"""
Records each attempt in the journal before another transport sends it.

An attempt that cannot be recorded is not sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.pool import Pool
from ratedispatch.dispatch.transports import as_transport
from ratedispatch.errors import TransportError
from ratedispatch.groups import LimitGroups
from ratedispatch.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from ratedispatch.dispatch.transports.protocol import Transport
    from ratedispatch.outcome import Response
    from ratedispatch.request import Request


class JournalingTransport:
    """
    Sends through another transport, after recording the attempt.

    Args:
        inner: What sends.
        note: Called with the row of each request before it leaves; returns whether it may.

    Attributes:
        base_url: The base URL of *inner*, by which a provider is known.
        api_key: The API key of *inner*, if it has one that is a text; tells accounts apart.
    """

    def __init__(self, inner: Transport, note: Callable[[int], bool]) -> None:
        self.base_url: str | None = getattr(inner, "base_url", None)
        self.api_key: object = getattr(inner, "api_key", None)
        self._inner = inner
        self._note = note

    def send(self, request: Request, timeout: float) -> Coroutine[Any, Any, Response]:
        """
        Send *request*; see :class:`~ratedispatch.dispatch.transports.protocol.Transport`.

        Raises:
            TransportError: It could not be noted, and was not sent.
        """
        if request.row is not None and not self._note(request.row):
            raise TransportError("the attempt could not be recorded in the job file", reached=False)
        return self._inner.send(request, timeout)


def journaled(client: Any, note: Callable[[int], bool]) -> Any:
    """Return what sends through *client*, or each member of a pool, after noting the attempt."""

    def through(one: Any) -> JournalingTransport:
        return JournalingTransport(as_transport(one), note)

    return client.through(through) if isinstance(client, Pool) else through(client)


def keys_of(client: Any) -> list[str]:
    """Return the API keys of *client*, or of all members of a pool, as far as they are texts."""
    clients = [one.client for one in client] if isinstance(client, Pool) else [client]
    keys = [getattr(one, "api_key", None) for one in clients]
    return [key for key in keys if isinstance(key, str)]  # it may be a function


def limits_beside(client: Any, limits: Limits | LimitGroups | None) -> Limits | LimitGroups:
    """
    Return *limits*, or those of the members of a pool together.

    Raises:
        TypeError: A pool is given limits, or nothing else is; or they are no limits.
    """
    if isinstance(client, Pool):
        if limits is not None:
            raise TypeError(
                "each member of a pool has its own limits; give no limits beside a pool"
            )
        return client.limits
    if limits is None:
        raise TypeError("the limits of the account are missing: limits=Limits(...)")
    if not isinstance(limits, Limits | LimitGroups):
        raise TypeError(f"expected Limits or LimitGroups, got {type(limits).__name__}")
    return limits
