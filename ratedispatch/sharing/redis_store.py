"""
A store on a Redis, or a Valkey: for processes on several machines.

One script call takes in a note and returns the sheet, by the server's clock; the whole state of a
scope is one key. A note that ended in `StoreGone` is kept here and delivered exactly once, before
the next note that reaches the server: who has sent it counts it as told. Only a server that has
started over does not get it; its sheets have another epoch. A member that was cut off for more than
a minute is forgotten by the server: a note whose reply was lost then may count twice.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from ratedispatch.errors import SharingError
from ratedispatch.pacing.shared.store import Note
from ratedispatch.sharing.redis_connection import check
from ratedispatch.sharing.redis_courier import hire, release
from ratedispatch.sharing.redis_mail import Letter, Mail
from ratedispatch.sharing.redis_script import DEFAULT, RedisTuning, script_for
from ratedispatch.sharing.redis_url import place_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.pacing.shared.store import Sheet, StoreGone
    from ratedispatch.sharing.redis_url import RedisPlace


class RedisStore:
    """
    One member's `Store`. Makes no connection before the first note, or `check`.

    Args:
        url: Where the server is.
        scope: What is shared: a name that says which account and group, without its key.
        tuning: The constants.

    Attributes:
        place: Where the server is.

    Raises:
        SharingError: *url* names no server.
    """

    is_remote = True

    def __init__(self, url: RedisPlace | str, scope: str, *, tuning: RedisTuning = DEFAULT) -> None:
        self.place = place_of(url) if isinstance(url, str) else url
        self.name = str(self.place)
        self._key = self.place.key(scope)
        self._tuning = tuning
        self._is_open = True
        self._has_left = False
        self._join()

    def check(self) -> None:
        """
        Ask the server whether it can be used, unless it has answered before in this process.

        Waits for a second at most for each step. Closes the store where it raises.

        Raises:
            SharingError: It cannot: not reached, a wrong password, a right that is missing.
        """
        if self._courier.was_reached:
            return
        try:
            check(self.place, self._tuning, self._key, script_for(self._tuning).text)
        except SharingError:
            self.close()
            raise
        self._courier.was_reached = True

    def exchange(self, note: Note, reply: Callable[[Sheet | StoreGone], None]) -> None:
        """Send *note*; *reply* is called from another thread."""
        if self._pid != os.getpid():
            self._join()  # after a fork this is one more member
        self._has_left = note.leaves
        self._is_known = True
        self._courier.post(Letter(self._mail, note, reply))

    def news(self) -> float:
        """Return a number that changes when a pause, a limit or a member is new."""
        return self._mail.news

    def redeemed(self) -> None:
        """Hear that what this member held was sent: the next note says so."""

    def close(self) -> None:
        """Leave; waits a moment until the server knows, if it can be reached."""
        if not self._is_open or self._pid != os.getpid():
            return
        self._is_open = False
        self._post_last()
        release(self.place, self._tuning)

    def __del__(self) -> None:
        # whoever is forgotten leaves its place, of which there are few; without the locks of
        # `release`, which who is interrupted for this may have
        if getattr(self, "_is_open", False) and self._pid == os.getpid():
            self._post_last()

    def _post_last(self) -> None:
        if self._is_known and not self._has_left:
            self._courier.post(Letter(self._mail, Note(0.0, (), leaves=True), _ignore))

    def _join(self) -> None:
        self._pid = os.getpid()
        self._is_known = False
        self._mail = Mail(self._key, secrets.token_hex(6))
        self._courier = hire(self.place, self._tuning)


def _ignore(reply: Sheet | StoreGone) -> None:
    """Hear the reply to a last note."""
