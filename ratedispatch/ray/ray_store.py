"""
The `Store` of a member whose limits an actor of the Ray cluster keeps.

A note is a call of the actor; its reply comes in a thread of Ray. A note whose call has failed, or
hangs, may have arrived or not; it goes again before the next, under its number, which counts once,
and only to the state that it was meant for.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import secrets
import threading
from typing import TYPE_CHECKING, Any

from ratedispatch.pacing.shared.store import Sheet, StoreGone

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.pacing.shared.store import Note

#: Seconds between two looks at whether a reply has come. One that is missing at both is late, and
#: the member goes on by itself: a second or two, in which an actor is often started again.
LATE_SECONDS = 1.0

#: Seconds after which the actor is told that what was held is sent, if no note has told it by
#: then. It takes what is held for lost after two.
REDEEM_SECONDS = 0.5

#: Notes that are in doubt at most; while an actor cannot be reached, notes tell nothing new.
MOST_DOUBTFUL = 8

#: Calls back where Ray would do so in the thread that asks.
_THREAD = concurrent.futures.ThreadPoolExecutor(1, "ratedispatch-ray")


class RayStore:
    """
    One member's store.

    Args:
        actor: The handle of a `LimitKeeper`.
        name: What messages call it.
    """

    is_remote = True

    def __init__(self, actor: Any, name: str) -> None:
        self._actor = actor
        self.name = name
        self._member = secrets.randbits(62)
        self._news = 0.0
        self._is_closed = self._has_redeemed = self._is_timing = False
        self._number = 0
        self._epoch = 0.0
        self._doubtful: list[tuple[int, float, Note]] = []
        # of replies, by the numbers of their notes
        self._awaited: dict[int, Callable[[Sheet | StoreGone], None]] = {}
        self._is_watching = False
        self._lock = threading.Lock()  # of whoever sets a timer

    def exchange(self, note: Note, reply: Callable[[Sheet | StoreGone], None]) -> None:
        """Send *note*; *reply* is called from another thread."""
        self._has_redeemed = False  # the note says what is held now

        self._number = number = self._number + 1
        letters = [*self._doubtful, (number, self._epoch, note)]
        del letters[MOST_DOUBTFUL - 1 : -1]  # the first of them tell something
        self._doubtful = letters
        self._awaited[number] = reply

        def ended(answer: Sheet | StoreGone) -> None:
            if self._awaited.pop(number, None) is None:  # too late: the note is one in doubt
                return
            if isinstance(answer, Sheet):
                self._doubtful = []
                self._news, self._epoch = answer.news, answer.epoch
            reply(answer)

        def answered(future: Any) -> None:
            error = future.exception()
            ended(_gone(error) if error is not None else future.result())

        self._call(lambda: self._actor.exchange.remote(letters, self._member), answered, ended)
        self._watch()

    def news(self) -> float:
        """Return the number that the last sheet brought."""
        return self._news

    def redeemed(self) -> None:
        """Tell the actor soon that what this member held was sent, if the next note does not."""
        self._has_redeemed = True
        if not self._is_timing:
            self._is_timing = True
            timer = threading.Timer(REDEEM_SECONDS, self._redeem)
            timer.daemon = True
            timer.start()

    def _redeem(self) -> None:
        self._is_timing = False
        if self._has_redeemed:
            self._has_redeemed = False
            self._call(
                lambda: self._actor.redeem.remote(self._member), lambda _: None, lambda _: None
            )

    def close(self) -> None:
        """Wait for no more replies."""
        self._is_closed = True

    def _watch(self) -> None:
        """
        Have somebody look whether a reply is late, once the actor has been heard.

        The first reply is waited for: an actor takes seconds to start, and who has never heard it
        does not know how many share the limits, and would take all.
        """
        with self._lock:
            if self._is_watching or not self._epoch or not self._awaited or self._is_closed:
                return
            self._is_watching = True
        timer = threading.Timer(LATE_SECONDS, self._look, [tuple(self._awaited)])
        timer.daemon = True
        timer.start()

    def _look(self, numbers: tuple[int, ...]) -> None:
        """Report for each note of *numbers* without a reply that none has come."""
        for number in numbers:
            reply = None if self._is_closed else self._awaited.pop(number, None)
            if reply is not None:
                with contextlib.suppress(Exception):  # whoever listens may be gone
                    reply(StoreGone("no reply for more than a second"))
        self._is_watching = False
        self._watch()

    def _call(
        self,
        call: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[StoreGone], None],
    ) -> None:
        """
        Make *call*, and have *done* called with its future, or *failed* if it cannot be made.

        Always from another thread: the caller holds locks that a reply takes. A future that is
        done already calls back at once, here.
        """
        caller = threading.get_ident()

        def elsewhere(future: Any) -> None:
            if threading.get_ident() == caller:
                _THREAD.submit(done, future)
            else:
                done(future)

        try:
            future = call().future()
        except Exception as error:  # Ray is shut down, say: that has many names
            _THREAD.submit(failed, _gone(error))
        else:
            future.add_done_callback(elsewhere)


def _gone(error: BaseException) -> StoreGone:
    """Return what *error* of Ray means, without its trace."""
    return StoreGone(f"the actor is gone ({type(error).__name__})")
