"""
Reads a plain iterable in a separate thread, so that it does not block the event loop.

Decides how far it reads ahead: a few items, so that the thread and the loop need not alternate, and
each item is available as soon as it was read, however long the next one takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

ItemT = TypeVar("ItemT")

#: Items that are read ahead at most.
_MOST_ITEMS = 64


class SourceThread(Generic[ItemT]):
    """
    An asynchronous iterator over *items*, for one event loop. To be closed by its maker.

    Args:
        items: Iterated over in a daemon thread, which begins when the first item is requested.
    """

    def __init__(self, items: Iterable[ItemT]) -> None:
        self._items = items
        self._changed = threading.Condition()
        self._ready: deque[ItemT] = deque()
        self._failure: BaseException | None = None
        self._is_over = False
        self._is_closed = False
        self._waiter: asyncio.Future[None] | None = None
        self._thread: threading.Thread | None = None

    def __aiter__(self) -> SourceThread[ItemT]:
        return self

    async def __anext__(self) -> ItemT:
        """Return the next item; raise what the source raised, after what it gave before."""
        loop = asyncio.get_running_loop()
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._read, args=(loop,), name="ratedispatch source", daemon=True
            )
            self._thread.start()
        while True:
            with self._changed:
                if self._ready:
                    self._changed.notify()
                    return self._ready.popleft()
                if self._is_over:
                    failure, self._failure = self._failure, None
                    raise failure or StopAsyncIteration
                waiter = self._waiter = loop.create_future()
            await waiter

    def close(self) -> None:
        """Read no more; the thread ends with the item that it waits for, and closes the source."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        iterator = None
        try:
            iterator = iter(self._items)
            while True:
                item = next(iterator)
                with self._changed:
                    self._ready.append(item)
                    self._tell(loop)
                    self._changed.wait_for(self._wants_more)
                    if self._is_closed:
                        break
        except StopIteration:
            pass
        except Exception as error:  # handed to whoever reads
            self._failure = error
        except BaseException as error:  # which would end the loop instead
            self._failure = RuntimeError(f"the source raised {type(error).__name__}")
        with self._changed:
            self._is_over = True
            self._tell(loop)
        close = getattr(iterator, "close", None)  # of a generator, with what it holds open
        if close is not None:
            close()

    def _wants_more(self) -> bool:
        return self._is_closed or len(self._ready) < _MOST_ITEMS

    def _tell(self, loop: asyncio.AbstractEventLoop) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(_wake, waiter)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
