"""What holds of members of a store, whatever they do, and whenever the store is away."""

from __future__ import annotations

import functools
import heapq
import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from ratedispatch import Cost, Limits
from ratedispatch.limits import Reading
from ratedispatch.pacing.budget import NotUntil, Reservation
from ratedispatch.pacing.feedback import End, Feedback
from ratedispatch.pacing.shared.memory_store import SharedRecord
from ratedispatch.pacing.shared.shared_budget import SharedBudget

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.pacing.shared.store import Note, Sheet, Store, StoreGone

#: Ten requests a second and 100 at once; 1,000 tokens a second and 10,000 at once.
RPM, TPM, BURST_SECONDS = 600, 60_000, 1.0
RATES = (RPM / 60, TPM / 60)

#: What one that was alone may have spent when another comes, in seconds of the rate: what it has
#: not told yet, and what it had saved up.
UNTOLD_SECONDS = 0.1 + BURST_SECONDS


class Clock:
    """The instants of all, and what is on its way to a far store and back."""

    def __init__(self) -> None:
        self.now = 0.0
        self._post: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def post(self, seconds: float, deliver: Callable[[], None]) -> None:
        """Call *deliver* after so many *seconds*."""
        heapq.heappush(self._post, (self.now + seconds, next(self._numbers), deliver))

    def run_to(self, due: list[float]) -> None:
        """Run to the first instant that is *due*, or that becomes so by what arrives."""
        while self._post and self._post[0][0] <= min(due):
            self.now, _, deliver = heapq.heappop(self._post)
            deliver()
        self.now = max(self.now, min(due))

    def run(self, seconds: float) -> None:
        """Let *seconds* pass."""
        end = self.now + seconds
        while self._post and self._post[0][0] <= end:
            self.now, _, deliver = heapq.heappop(self._post)
            deliver()
        self.now = end


class Far:
    """A store that answers after a round trip, from what seems another thread."""

    is_remote = True
    name = "far"

    def __init__(self, shared: SharedRecord, clock: Clock, trip: float) -> None:
        self._near, self._clock, self._trip = shared.join(), clock, trip
        self._shared = shared

    def exchange(self, note: Note, reply: Callable[[Sheet | StoreGone], None]) -> None:
        """Take in *note* half a round trip later, and answer after the rest of it."""

        def arrive() -> None:
            said: list[Sheet | StoreGone] = []
            self._near.exchange(note._replace(now=self._clock.now), said.append)
            self._clock.post(self._trip / 2, lambda: reply(said[0]))

        self._clock.post(self._trip / 2, arrive)

    def news(self) -> float:
        """Return the same for ever."""
        return 0.0

    def redeemed(self) -> None:
        """Hear nothing."""

    def close(self) -> None:
        """Leave."""


class Member(SharedBudget):
    """A budget that counts the places that were taken from it because it was silent."""

    lost = 0.0

    def watch(self) -> None:
        """Begin to count."""
        line = self._line
        give_back = line.give_back

        def count(now: float, *, is_taken: bool = True) -> None:
            self.lost += 0.0 if is_taken else line.held[0]
            give_back(now, is_taken=is_taken)

        line.give_back = count  # type: ignore[method-assign]


@dataclass
class Referee:
    """A plain bucket: how much more was ever granted in a window than rate × window."""

    rate: float
    level: float = 0.0
    at: float = 0.0
    highest: float = 0.0

    def take(self, amount: float, now: float) -> None:
        """Count *amount*."""
        self.level = max(0.0, self.level - (now - self.at) * self.rate) + amount
        self.at = now
        self.highest = max(self.highest, self.level)


@dataclass
class World:
    """Members of one store."""

    trip: float | None = None
    clock: Clock = field(default_factory=Clock)
    shared: SharedRecord = field(default_factory=SharedRecord)
    members: list[Member] = field(default_factory=list)
    open: list[list[Reservation]] = field(default_factory=list)
    referees: list[Referee] = field(default_factory=lambda: [Referee(rate) for rate in RATES])
    sent: int = 0
    unsent: int = 0

    def join(self) -> None:
        """Let one more come."""
        store: Store
        near = self.trip is None
        store = self.shared.join() if near else Far(self.shared, self.clock, self.trip or 0.0)
        self.members.append(Member(Limits(RPM, TPM, burst_seconds=BURST_SECONDS), store))
        self.members[-1].watch()
        self.open.append([])

    def ask(self, number: int, tokens: int) -> Reservation | NotUntil:
        """Let a member ask for *tokens*."""
        now = self.clock.now
        reserved = self.members[number].reserve(Cost(tokens), now)
        if isinstance(reserved, NotUntil):
            assert 0 < reserved.wait < math.inf
            return reserved
        self.open[number].append(reserved)
        self.sent += 1
        for referee, amount in zip(self.referees, (1.0, float(tokens)), strict=True):
            referee.take(amount, now)
        return reserved

    def end(self, number: int, end: End) -> None:
        """Let the oldest request of a member end."""
        if not self.open[number]:
            return
        reservation = self.open[number].pop(0)
        if end is End.UNSENT:
            self.unsent += 1
        now = self.clock.now
        is_refused = end is End.REFUSED
        self.members[number].report(
            reservation,
            Feedback(end),
            now,
            resumes_at=now + 0.5 if is_refused else None,
            is_new_episode=is_refused,
        )

    def check(self) -> None:
        """Hold that all numbers are numbers."""
        for limit in self.shared.record.limits.values():
            assert limit.used >= 0
            assert limit.surplus >= 0
            assert all(math.isfinite(total) for total in limit.totals)
        for member in self.members:
            for level in member.levels(self.clock.now):
                assert math.isfinite(level.available)
                assert math.isfinite(level.elsewhere)
                assert level.elsewhere >= 0
                # as the users have set it, or as answers have proven
                assert level.available <= max(level.burst, level.per_minute) + 1e-6


seconds = st.floats(0.001, 0.6)
sizes = st.sampled_from([1, 50, 400, 1000, 2500])
small = st.sampled_from([1, 50, 400, 1000])
ends = st.sampled_from([End.ANSWERED, End.ANSWERED, End.UNSENT, End.REFUSED])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), seconds, st.integers(0, 3), sizes),
        st.tuples(st.just("asks"), seconds, st.integers(0, 3), sizes),
        st.tuples(st.just("end"), seconds, st.integers(0, 3), ends),
        st.tuples(st.just("idle"), st.floats(0.1, 5.0), st.just(0), st.just(0)),
    ),
    min_size=5,
    max_size=60,
)
trips = st.sampled_from([None, None, 0.001, 0.03])


def play(world: World, script: list[tuple[str, float, int, object]]) -> None:
    """Let members do what *script* says."""
    for kind, after, number, what in script:
        world.clock.run(after)
        if number >= len(world.members):
            number = 0  # noqa: PLW2901
        if kind == "ask":
            world.ask(number, int(what))  # type: ignore[call-overload]
        elif kind == "asks":  # until it has to wait
            for _ in range(12):
                if isinstance(world.ask(number, int(what)), NotUntil):  # type: ignore[call-overload]
                    break
        elif kind == "end":
            assert isinstance(what, End)
            world.end(number, what)
        world.check()


def settle(world: World) -> None:
    """Let everything that is on its way arrive, and all that is known be told."""
    for _ in range(2):
        world.clock.run(0.5)
        for member in world.members:
            member.look(world.clock.now)
    world.clock.run(0.5)
    for member in world.members:
        member.membership.take_in(world.clock.now)


@given(steps, trips, st.integers(1, 4))
def test_no_window_holds_more_than_its_rate_and_what_is_untold(
    script: list[tuple[str, float, int, object]], trip: float | None, count: int
) -> None:
    """A request larger than the burst goes into debt, as with one process."""
    world = World(trip)
    for _ in range(count):
        world.join()
    play(world, script)
    slack_seconds = 0.0 if count == 1 else UNTOLD_SECONDS + (trip or 0.0)
    for referee, largest in zip(world.referees, (1, 2500), strict=True):
        burst = max(referee.rate * BURST_SECONDS, largest)
        assert referee.highest <= burst + referee.rate * slack_seconds + count * largest + 1e-6


@given(steps, trips, st.integers(1, 4))
def test_what_the_store_has_let_through_is_what_was_sent_and_is_held(
    script: list[tuple[str, float, int, object]], trip: float | None, count: int
) -> None:
    """A place that was lost in a silence of two seconds may have cost its one request."""
    world = World(trip)
    for _ in range(count):
        world.join()
    play(world, script)
    settle(world)
    held = sum(one.held.get("requests", 0.0) for one in world.shared.record.members.values())
    limit = world.shared.record.limits["requests"]
    lost = sum(member.lost for member in world.members)
    assert 0 <= limit.totals[0] - (world.sent - world.unsent + held) <= lost
    assert sum(member.granted()[0] for member in world.members) >= world.sent


@settings(max_examples=25)
@given(trips, st.integers(2, 5), st.lists(small, min_size=5, max_size=5), st.floats(0.005, 0.4))
def test_nobody_waits_longer_than_for_what_stands_in_front_of_him(
    trip: float | None, count: int, tokens: list[int], every: float
) -> None:
    """Each asks when he was told to, and at least so often; nobody goes twice before another."""
    world = World(trip)
    for _ in range(count):
        world.join()
    last = [0.0] * count
    due = [0.0] * count

    def wake(number: int) -> None:
        due[number] = world.clock.now

    for number, member in enumerate(world.members):
        member.membership.on_reply = functools.partial(wake, number)
    longest = 0.0
    while world.clock.now < 16:
        world.clock.run_to(due)
        for number in range(count):
            if due[number] > world.clock.now:
                continue
            said = world.ask(number, tokens[number])
            now = world.clock.now
            if isinstance(said, NotUntil):
                due[number] = max(math.nextafter(now, math.inf), now + min(said.wait, every))
                continue
            if last[number] > 4:  # not at the start, when bursts are saved up and held back
                longest = max(longest, now - last[number])
            last[number] = due[number] = now
            world.end(number, End.ANSWERED)
    world.check()
    each = [max(1 / RATES[0], size / RATES[1]) for size in tokens[:count]]
    assert longest <= sum(each) + (count + 1) * ((trip or 0.0) * 2 + 0.002)
    assert min(last) > 16 - sum(each) - 0.2


@given(
    steps,
    steps,
    trips,
    st.integers(2, 4),
    st.booleans(),
)
def test_a_store_that_was_away_brings_back_no_more_than_the_parts_of_all(
    before: list[tuple[str, float, int, object]],
    meanwhile: list[tuple[str, float, int, object]],
    trip: float | None,
    count: int,
    forgets: bool,
) -> None:
    """Away or begun anew: each goes on, once more with at most a burst of its own."""
    world = World(trip)
    for _ in range(count):
        world.join()
    for number in range(count):
        world.ask(number, 1)
        world.clock.run(0.11)
    for number in range(count):  # all know that all are there
        world.ask(number, 1)
        world.clock.run(0.11)
    play(world, before)
    if forgets:
        world.shared.begin_anew()
    else:
        world.shared.gone = "nobody is there"
    play(world, meanwhile)
    world.shared.gone = None
    play(world, before)
    for referee, largest in zip(world.referees, (1, 2500), strict=True):
        # one that was silent for two seconds is forgotten, and takes all of it to be its own
        burst = max(referee.rate * BURST_SECONDS, largest)
        assert referee.highest <= (1 + count) * (burst + largest + referee.rate * 0.2)


@given(st.lists(st.tuples(st.integers(0, 2), seconds, st.integers(0, 600)), max_size=30))
def test_readings_that_several_take_in_count_once(
    answers: list[tuple[int, float, int]],
) -> None:
    """What is left never rises above what one of them was told, and what has flowed in since."""
    world = World()
    for _ in range(3):
        world.join()
    for number, after, remaining in answers:
        world.clock.run(after)
        world.ask(number, 10)
        if not world.open[number]:
            continue
        told = Reading("requests", remaining, RPM, 60.0)
        world.members[number].report(
            world.open[number].pop(0), Feedback(End.ANSWERED, readings=(told,)), world.clock.now
        )
        world.check()


def test_a_reservation_is_reported_once() -> None:
    world = World()
    world.join()
    world.join()
    reservation = world.ask(0, 1)
    assert isinstance(reservation, Reservation)
    world.end(0, End.ANSWERED)
    try:
        world.members[0].report(reservation, Feedback(End.ANSWERED), 1.0)
    except RuntimeError as error:
        assert "exactly once" in str(error)  # noqa: PT017
    else:
        raise AssertionError
