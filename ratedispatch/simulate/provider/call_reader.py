"""
Reads the bodies of requests, and remembers short ones, so that a retry is not counted again.

Decides nothing about a request: `calls` says what a body means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratedispatch.simulate.provider.calls import count_characters, parse_body, read_call

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.simulate.provider.calls import Call, Counter

#: Bodies that are remembered once read; each at most `_LONGEST_REMEMBERED` bytes: 32 MiB at the
#: very most.
_REMEMBERED = 4096
_LONGEST_REMEMBERED = 8192


class CallReader:
    """
    Turns bodies into calls.

    Args:
        count: Counts the tokens of a body for an endpoint.
    """

    def __init__(self, count: Counter) -> None:
        self._count = count
        self._remembered: dict[tuple[str, str | None, bytes, str], Call] = {}

    def read(
        self,
        endpoint: str,
        client_id: str | None,
        body: bytes | Mapping[str, Any],
        deployment: str = "",
    ) -> Call:
        """
        Return what *body* asks of *endpoint*.

        Args:
            endpoint: With its version.
            client_id: The client's own name for the request, if it has one.
            body: JSON, as bytes or as an object.
            deployment: The model, whatever *body* says; empty where that is to say it.

        Raises:
            Problem: It makes no sense.
        """
        if not isinstance(body, bytes):
            return self._read(endpoint, client_id, body, deployment)
        if len(body) > _LONGEST_REMEMBERED:
            return self._read(endpoint, client_id, parse_body(body), deployment)
        key = (endpoint, client_id, body, deployment)
        call = self._remembered.get(key)
        if call is None:
            call = self._read(endpoint, client_id, parse_body(body), deployment)
            if len(self._remembered) >= _REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
        else:
            del self._remembered[key]  # back in as the newest
        self._remembered[key] = call
        return call

    def _read(
        self, endpoint: str, client_id: str | None, body: Mapping[str, Any], deployment: str
    ) -> Call:
        if deployment:
            body = {**body, "model": deployment}
        return read_call(endpoint, body, client_id, self._count)


def counter(charge: str) -> Counter:
    """Return what counts a prompt by real ``tokens``, or by ``characters``."""
    if charge == "characters":
        return count_characters
    # here: it loads a vocabulary of some megabytes, which the other way of counting never needs
    from ratedispatch.tokens import count_tokens

    return count_tokens
