"""Opens slow resources in a thread, and closes them again if nobody waits for them any more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable


class Closable(Protocol):
    """What can be closed."""

    def close(self) -> None:
        """Close it."""


OpenedT = TypeVar("OpenedT", bound=Closable)


async def opened(make: Callable[[], OpenedT]) -> OpenedT:
    """Return what *make* gives, called in a thread; one that comes too late is closed."""
    opening = asyncio.ensure_future(asyncio.to_thread(make))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_late)
        raise


def _close_late(opening: asyncio.Future[OpenedT]) -> None:
    if opening.exception() is None:
        opening.result().close()
