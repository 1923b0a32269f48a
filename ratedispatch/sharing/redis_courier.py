"""
The thread that talks to a Redis: one for each server and process, for all limits there.

What is posted while it is busy goes together in one write. A connection that breaks is opened once
more at once; after a reply that takes too long, or a second break, the notes are kept by their
`Mail`, and their senders hear that the store is gone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import threading
from typing import TYPE_CHECKING

import msgspec

from ratedispatch.pacing.shared.store import MOST_MEMBERS, Sheet, StoreGone
from ratedispatch.sharing.forks import in_child
from ratedispatch.sharing.redis_connection import Address, Line, connection_to, moved_to, reason_of
from ratedispatch.sharing.redis_script import (
    NO_ROOM_FOR_MEMBER,
    REASONS,
    RedisTuning,
    script_for,
    unpacked,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.sharing.redis_mail import Letter, Parcel
    from ratedispatch.sharing.redis_url import RedisPlace

#: Rounds in which a note reaches its server: sent elsewhere twice, script unknown, broken once.
_MOST_ROUNDS = 6

#: Connections that may break with a note before the store counts as gone.
_MOST_LOSSES = 2


class Courier:
    """
    The connections of one process to one server, and their thread.

    Args:
        place: The server.
        tuning: How long anything may take.

    Attributes:
        users: How many stores use it.
        is_cut_off: Whether the last notes could not be delivered.
        was_reached: Whether the server has answered once.
    """

    def __init__(self, place: RedisPlace, tuning: RedisTuning) -> None:
        self._place = place
        self._tuning = tuning
        connection_to(place, tuning)  # tells here, and not in the thread, if there is no client
        self._script = script_for(tuning)
        self._letters: queue.SimpleQueue[Letter | None] = queue.SimpleQueue()
        self._lines: dict[Address | None, Line] = {}
        self._homes: dict[str, Address] = {}  # of keys, in a cluster
        self.users = 0
        self.is_cut_off = False
        self.was_reached = _key(place, tuning) in _reached
        self._thread = threading.Thread(target=self._run, name="ratedispatch-redis", daemon=True)
        self._thread.start()

    def post(self, letter: Letter) -> None:
        """Send *letter*; its reply comes from the thread."""
        self._letters.put(letter)

    def dismiss(self) -> None:
        """Deliver what was posted, and end."""
        self._letters.put(None)
        if not self.is_cut_off:
            self._thread.join(self._tuning.leave_seconds)

    def _run(self) -> None:
        while self._go_round():
            pass
        for line in self._lines.values():
            line.disconnect()

    def _go_round(self) -> bool:
        """
        Wait for letters and deliver them; return whether there may be more.

        Between two rounds no letter is kept here: whoever nobody else uses is to leave.
        """
        is_dismissed = False
        letters: list[Letter] = []
        letter = self._letters.get()
        while True:
            if letter is None:
                is_dismissed = True
            else:
                letters.append(letter)
            try:
                letter = self._letters.get_nowait()
            except queue.Empty:
                break
        # of one member never two: it waits for each reply, but for its last note
        while letters:
            first: dict[int, Letter] = {}
            for one in letters:
                first.setdefault(id(one.mail), one)
            letters = [one for one in letters if first[id(one.mail)] is not one]
            try:
                self._deliver(list(first.values()))
            except Exception as error:  # without this thread nobody would hear anything any more
                gone = StoreGone(f"its reply cannot be processed ({type(error).__name__})")
                for one in first.values():
                    with contextlib.suppress(Exception):
                        one.reply(gone)
        return not is_dismissed

    def _deliver(self, letters: Sequence[Letter]) -> None:
        """Bring *letters* and what is pending before them, and hand the replies over."""
        outcomes: list[tuple[Letter, Parcel]] = []
        for letter in letters:
            gone = self._bring_pending(letter)
            parcel = letter.mail.parcel(letter.note)
            parcel.answer = gone
            outcomes.append((letter, parcel))
        self._bring([parcel for _, parcel in outcomes if parcel.answer is None])
        for _, parcel in outcomes:
            self.is_cut_off = isinstance(parcel.answer, StoreGone)
            self.was_reached = self.was_reached or not self.is_cut_off
        for letter, parcel in outcomes:
            answer = parcel.answer
            if isinstance(answer, Sheet):
                answer = letter.mail.opened(answer)
            elif isinstance(answer, StoreGone):
                letter.mail.keep(parcel)
            else:  # its last note was taken in, and only the reply was lost
                answer = StoreGone("it has already left")
            # whoever listens may be gone: a loop that was closed must not end this thread
            with contextlib.suppress(Exception):
                letter.reply(answer)

    def _bring_pending(self, letter: Letter) -> StoreGone | None:
        """Bring what has to go before *letter*; return why it cannot be brought."""
        while (parcel := letter.mail.pending()) is not None:
            parcel.answer, parcel.losses = None, 0
            self._bring([parcel])
            gone = letter.mail.settle(parcel)
            if gone is not None:
                return gone
        return None

    def _bring(self, parcels: Sequence[Parcel]) -> None:
        """Find an answer for each of *parcels*."""
        left = list(parcels)
        for _ in range(_MOST_ROUNDS):
            homes: dict[Address | None, list[Parcel]] = {}
            for parcel in left:
                homes.setdefault(self._homes.get(parcel.mail.key), []).append(parcel)
            left = []
            for home, those in homes.items():
                self._talk(home, those)
                left += [parcel for parcel in those if parcel.answer is None]
            if not left:
                return
        for parcel in left:
            parcel.answer = StoreGone("it redirects its clients from server to server")

    def _talk(self, home: Address | None, parcels: Sequence[Parcel]) -> None:
        """Send *parcels* to one server; those without an answer then have to go again."""
        from redis.exceptions import ResponseError
        from redis.exceptions import TimeoutError as NoReply

        doubts = [parcel.is_in_doubt for parcel in parcels]
        waiting = list(parcels)
        try:
            line = self._line(home)
            frames = [frame for parcel in parcels for frame in self._frames(line, parcel)]
            for parcel in parcels:
                parcel.is_in_doubt = True
            line.send_packed_command(frames, check_health=False)
            for parcel, was_in_doubt in zip(parcels, doubts, strict=True):
                try:
                    reply = line.read_response()
                except ResponseError as error:  # it did nothing with this one
                    parcel.is_in_doubt = was_in_doubt
                    self._redirect(parcel, error)
                else:
                    self._judge(parcel, reply, was_in_doubt)
                waiting.remove(parcel)
        except Exception as error:  # whatever it is: who waits for a reply must get one
            self._hang_up(home)
            if home is not None:
                for parcel in waiting:
                    self._homes.pop(parcel.mail.key, None)
            reason = reason_of(error, self._place, self._tuning)
            for parcel in waiting:
                parcel.losses += 1
                is_slow = isinstance(error, NoReply | OSError)
                if is_slow or parcel.losses >= _MOST_LOSSES:
                    parcel.answer = StoreGone(reason)

    def _line(self, home: Address | None) -> Line:
        """Return an open connection."""
        line = self._lines.get(home)
        if line is None:
            line = connection_to(self._place, self._tuning, home)
            line.connect()
            self._lines[home] = line
        return line

    def _hang_up(self, home: Address | None) -> None:
        line = self._lines.pop(home, None)
        if line is not None:
            line.disconnect()

    def _frames(self, line: Line, parcel: Parcel) -> list[bytes]:
        script = self._script
        how = ("EVAL", script.text) if parcel.needs_script else ("EVALSHA", script.sha)
        return line.pack_command(*how, 1, parcel.mail.key, parcel.packed())

    def _redirect(self, parcel: Parcel, error: Exception) -> None:
        """Send *parcel* where *error* says; if it says nothing, the store cannot be reached."""
        from redis.exceptions import NoScriptError

        home = moved_to(error)
        if isinstance(error, NoScriptError) and not parcel.needs_script:
            parcel.needs_script = True  # it was restarted, or its scripts were flushed
        elif home is not None:
            self._homes[parcel.mail.key] = home
        else:
            parcel.answer = StoreGone(reason_of(error, self._place, self._tuning))

    def _judge(self, parcel: Parcel, reply: object, was_in_doubt: bool) -> None:
        """Take in what the script has returned."""
        if isinstance(reply, bytes):
            try:
                parcel.answer = unpacked(reply)
            except msgspec.MsgspecError:
                parcel.answer = StoreGone("its reply cannot be read")
            return
        parcel.is_in_doubt = was_in_doubt
        number = reply if isinstance(reply, int) else 0
        if number in REASONS:
            members = MOST_MEMBERS + 1 if number == NO_ROOM_FOR_MEMBER else 1
            parcel.answer = StoreGone(REASONS[number], members)
        else:
            parcel.answer = number


_couriers: dict[tuple[RedisPlace, RedisTuning], Courier] = {}
_guard = threading.Lock()

#: Servers that have answered in the process of which this is a fork: a child of a service goes on
#: where one of them is gone, as the service itself does.
_reached: set[tuple[RedisPlace, RedisTuning]] = set()


def hire(place: RedisPlace, tuning: RedisTuning) -> Courier:
    """Return the courier of this process to the server of *place*, for one more store."""
    key = _key(place, tuning)
    with _guard:
        courier = _couriers.get(key)
        if courier is None:
            courier = _couriers[key] = Courier(place, tuning)
        courier.users += 1
        return courier


def release(place: RedisPlace, tuning: RedisTuning) -> None:
    """Give up a courier; the last store that does waits a moment for what it has posted."""
    key = _key(place, tuning)
    with _guard:
        courier = _couriers.get(key)
        if courier is None:
            return
        courier.users -= 1
        if courier.users:
            return
        del _couriers[key]
    courier.dismiss()


def _key(place: RedisPlace, tuning: RedisTuning) -> tuple[RedisPlace, RedisTuning]:
    return dataclasses.replace(place, name=""), tuning


def _forget() -> None:
    """In a child: the threads of the parent are not here, and its connections are not ours."""
    global _guard  # noqa: PLW0603  # it may be held by a thread that is not here
    _guard = threading.Lock()
    _reached.update(key for key, courier in _couriers.items() if courier.was_reached)
    _couriers.clear()


in_child(_forget)
