"""
The `Store` of a member whose limits an actor of the Ray cluster keeps.

A note is a call of the actor; its reply comes in a thread of Ray. A note whose call has failed may
have arrived or not; it goes again before the next, under its number, which counts once, and only to
the state that it was meant for. One more call waits at the actor for news, so that a pause reaches
a member that has nothing to say.
"""

from __future__ import annotations

import concurrent.futures
import secrets
import threading
from typing import TYPE_CHECKING, Any

from ratedispatch.pacing.shared.store import Sheet, StoreGone

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.pacing.shared.store import Note

#: Seconds that a call waits for news before it is made anew. A call costs a millisecond.
NEWS_SECONDS = 10.0

#: Seconds after which the actor is told that what was held is sent, if no note has told it by
#: then. It takes what is held for lost after two.
REDEEM_SECONDS = 0.5

#: Notes that are sent again; while an actor cannot be had, notes tell nothing new.
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
        self._is_listening = self._is_closed = False
        self._has_redeemed = self._is_timing = False
        self._number = 0
        self._epoch = 0.0
        self._doubtful: list[tuple[int, float, Note]] = []

    def exchange(self, note: Note, reply: Callable[[Sheet | StoreGone], None]) -> None:
        """Send *note*; *reply* is called from a thread of Ray."""
        self._has_redeemed = False  # the note says what is held now

        self._number += 1
        letters = [*self._doubtful, (self._number, self._epoch, note)]
        self._doubtful = letters[-MOST_DOUBTFUL:]

        def answered(future: Any) -> None:
            error = future.exception()
            answer = _gone(error) if error is not None else future.result()
            if isinstance(answer, Sheet):
                self._doubtful = []
                self._news, self._epoch = answer.news, answer.epoch
                self._listen()
            reply(answer)

        self._call(lambda: self._actor.exchange.remote(letters, self._member), answered, reply)

    def news(self) -> float:
        """Return a number that changes when a pause, a limit or a member is new."""
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
        """Ask for no more news."""
        self._is_closed = True

    def _listen(self) -> None:
        """Have one call wait for news."""
        if self._is_listening or self._is_closed:
            return
        self._is_listening = True
        known = self._news

        def heard(future: Any) -> None:
            self._is_listening = False
            if future.exception() is None:
                self._news = future.result()
                self._listen()

        def failed(_: StoreGone) -> None:
            self._is_listening = False

        self._call(lambda: self._actor.await_news.remote(known, NEWS_SECONDS), heard, failed)

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
