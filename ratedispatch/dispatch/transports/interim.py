"""
Closes a connection on which a server sends endless interim responses (status 1xx).

aiohttp keeps each of them until it is read, and a server can send them faster than that. Uses
private parts of aiohttp; where they are not as known, nothing is bounded.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from aiohttp import ClientPayloadError
from aiohttp.client_proto import ResponseHandler

if TYPE_CHECKING:
    import aiohttp

_INTERIM = range(100, 200)
_SWITCHING = 101

#: Interim answers before one that counts. Servers send one or two.
_MOST = 100


class BoundedHandler(ResponseHandler):
    """aiohttp's protocol of a connection, which listens to so many interim answers only."""

    _interim = 0

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Take a message that has been parsed."""
        code = data[0].code
        if code not in _INTERIM or code == _SWITCHING:
            self._interim = 0
        else:
            self._interim += 1
            if self._interim == _MOST:
                self.set_exception(ClientPayloadError("endless interim responses (1xx)"))
                if self.transport is not None:
                    self.transport.abort()
            if self._interim >= _MOST:
                return
        super().feed_data(data, size)


def bound_interim(connector: aiohttp.BaseConnector | None) -> None:
    """Let the connections that *connector* opens from now on be bounded."""
    factory = getattr(connector, "_factory", None)
    if connector is not None and getattr(factory, "func", None) is ResponseHandler:
        made = functools.partial(BoundedHandler, loop=connector._loop)
        connector._factory = made  # type: ignore[assignment]
