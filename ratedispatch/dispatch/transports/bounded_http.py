"""
Wraps the HTTP client of an SDK client, and reads no more of an answer than is allowed.

Everything but sending is the client's own. The SDK of every version sends by ``send`` of its HTTP
client, so that this is the one place where its answers can be bounded. Versions before 3 hand a
body and a query over as values; both are written here as later versions write them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.transports.exchange import write_body
from ratedispatch.dispatch.transports.http_library import http

if TYPE_CHECKING:
    from ratedispatch.dispatch.transports.bodies import BodyBound

#: Headers that describe a body on its way, and no longer the one that was read.
_OF_THE_WIRE = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})


class BoundedHttp:
    """
    An HTTP client whose answers are read within *bound*.

    Args:
        client: Of httpx or httpx2. It is left as it is: others may send through it, too.
        bound: How large an answer may be.
    """

    def __init__(self, client: Any, bound: BodyBound) -> None:
        self._inner = client
        self._bound = bound

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # the SDK asks which library its client is of
        return type(self._inner)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def build_request(
        self, *, url: Any, headers: Any = None, params: Any = None, **parts: Any
    ) -> Any:
        """Return the request of these *parts*, whichever version of the SDK they are from."""
        if parts.get("json") is not None and not parts.get("files"):
            parts["content"] = write_body(parts.pop("json"))
        if params:
            # a query given apart replaces that of the URL in httpx
            url, params = http.URL(str(url)).copy_merge_params(params), None
            url = str(url)
        headers = _last_of_each(http.Headers(headers).multi_items())
        return self._inner.build_request(url=url, headers=headers, params=params, **parts)

    async def send(self, request: Any, **settings: Any) -> Any:
        """
        Send *request* and return the whole answer, decompressed; follow no redirect.

        An answer that is a success and asked for in parts is returned unread.
        """
        request.headers["Accept-Encoding"] = "gzip, deflate"
        own = {"stream": True, "follow_redirects": False}  # redirects have rules of ours
        response = await self._inner.send(request, **{**settings, **own})
        if settings.get("stream") and response.is_success:
            return response
        try:
            packed = await self._bound.collect(b"", response.aiter_raw())
        finally:
            await response.aclose()
        content = self._bound.unpack(packed, response.headers.get("content-encoding", ""))
        headers = [
            (name, value)
            for name, value in response.headers.raw
            if name.lower() not in _OF_THE_WIRE
        ]
        return type(response)(
            response.status_code,
            headers=headers,
            content=content,
            request=response.request,
            extensions=response.extensions,
        )


def _last_of_each(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return *headers* without those that a later one of the same name replaces, in any case."""
    last = {name.lower(): (name, value) for name, value in headers}
    return list(last.values())
