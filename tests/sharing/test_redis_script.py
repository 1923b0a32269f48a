"""The script does with notes what the record does, number by number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ratedispatch.pacing.shared.record import Record
from ratedispatch.pacing.shared.store import (
    LEARNED,
    MOST_LIMITS,
    MOST_MEMBERS,
    TAKEN,
    TOTALS,
    LimitNote,
    Note,
    Pause,
    Sheet,
    Stand,
    StoreGone,
)
from ratedispatch.sharing.redis_script import (
    DEFAULT,
    OTHER_EPOCH,
    OTHER_LAYOUT,
    REASONS,
    packed,
    script_for,
    unpacked,
)
from tests.pacing.shared.test_record import limit, note
from tests.sharing.redis_server import RedisServer, running

if TYPE_CHECKING:
    from collections.abc import Iterator

redis = pytest.importorskip("redis", reason="the client of Redis is not installed")

CLOCK = "tonumber(time[1]) + tonumber(time[2]) / 1000000"
BEGINNING = 1_795_796_482.25


class Scripted:
    """
    The script with a clock that the test sets, over one key.

    Args:
        client: The server's.
        key: Where the state stands.
    """

    def __init__(self, client: Any, key: str) -> None:
        text = script_for().text
        assert text.count(CLOCK) == 1
        self._run = client.register_script(text.replace(CLOCK, "tonumber(ARGV[2])"))
        self._numbers: dict[int, int] = {}
        self.client = client
        self.key = key
        client.delete(key)

    def send(
        self,
        told: Note,
        member: int,
        now: float,
        *,
        number: int | None = None,
        epoch: float = 0.0,
        is_again: bool = False,
    ) -> Sheet | int:
        """Return what the script says to a note."""
        if number is None:
            number = self._numbers[member] = self._numbers.get(member, 0) + 1
        parcel = packed(f"m{member}", number, told, is_again=is_again, epoch=epoch)
        reply = self._run(keys=[self.key], args=[parcel, f"{now:.17g}"])
        return unpacked(reply) if isinstance(reply, bytes) else reply


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    yield from running()


@pytest.fixture(scope="module")
def client(server: RedisServer) -> Iterator[Any]:
    with redis.Redis(unix_socket_path=str(server.socket), protocol=2) as client:
        yield client


@pytest.fixture
def scripted(client: Any) -> Scripted:
    return Scripted(client, "{test}")


amounts = st.floats(0.0, 1e6, allow_nan=False) | st.sampled_from([0.0, 1.0, 30.0, 1 / 3])
signed = st.floats(-1e6, 1e6, allow_nan=False) | st.sampled_from([0.0, 1.0, -1.0])
positive = st.floats(1e-3, 1e6)


@st.composite
def limit_notes(draw: st.DrawFn, name: str) -> LimitNote:
    """Return what a member says of a limit."""
    return LimitNote(
        name,
        (draw(signed), *[draw(signed)] * (TOTALS - 1)),
        flow=draw(positive),
        burst=draw(positive),
        ceiling=draw(amounts),
        first=draw(signed),
        stand=draw(st.none() | st.builds(Stand, signed, amounts, signed)),
        learned=draw(st.none() | st.sampled_from([(1.5,) * LEARNED, (float("inf"),) * LEARNED])),
        held=draw(amounts),
        asked=draw(st.sampled_from([60.0, 3000.0, float("inf")])),
        at=draw(st.just(float("inf")) | st.floats(BEGINNING - 1, BEGINNING + 10)),
    )


@st.composite
def notes(draw: st.DrawFn) -> Note:
    """Return a note of up to three limits."""
    names = draw(st.permutations(["requests", "tokens", "a day"]))[: draw(st.integers(1, 3))]
    return Note(
        0.0,
        tuple([draw(limit_notes(name)) for name in names]),
        pause=draw(st.none() | st.builds(Pause, positive, positive)),
        wants=draw(st.booleans()),
        priority=draw(st.integers(-3, 3)),
        leaves=draw(st.integers(0, 9)) == 0,
    )


steps = st.tuples(
    st.integers(1, 4),
    st.sampled_from([0.0, 0.001, 0.05, 0.3, 1.0, 1.9999, 2.0001, 30.0, 61.0, -0.01, -5.0]),
    notes(),
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(steps, min_size=1, max_size=10))
def test_the_script_does_what_the_record_does(
    scripted: Scripted, story: list[tuple[int, float, Note]]
) -> None:
    """Every sheet is equal, to the last bit."""
    scripted.client.delete(scripted.key)
    now = BEGINNING
    record = Record(epoch=now + story[0][1])
    for member, elapsed, told in story:
        now += elapsed
        sheet = record.write(told, member, now, tuning=DEFAULT.record)
        assert scripted.send(told, member, now) == sheet


def test_looks_at_all_members_as_seldom_as_the_record_does(scripted: Scripted) -> None:
    record = Record(epoch=BEGINNING)
    for member, after in [(1, 0.0), (2, 1.96), (2, 2.01), (2, 2.05), (2, 2.07), (1, 2.08)]:
        now = BEGINNING + after
        told = note(limit(1.0))
        sheet = record.write(told, member, now, tuning=DEFAULT.record)
        assert scripted.send(told, member, now) == sheet


class TestRoom:
    def test_one_limit_too_many_changes_nothing(self, scripted: Scripted) -> None:
        names = [str(number) for number in range(MOST_LIMITS)]
        record = Record(epoch=BEGINNING)
        full = note(*[limit(1.0, name=name) for name in names])
        assert scripted.send(full, 1, BEGINNING) == record.write(full, 1, BEGINNING)
        with pytest.raises(StoreGone) as gone:
            record.write(note(limit(name="one more")), 2, BEGINNING)
        answer = scripted.send(note(limit(name="one more")), 2, BEGINNING)
        assert isinstance(answer, int)
        assert REASONS[answer] == gone.value.reason
        assert scripted.send(full, 1, BEGINNING) == record.write(full, 1, BEGINNING)

    def test_one_member_too_many_changes_nothing(self, scripted: Scripted) -> None:
        record = Record(epoch=BEGINNING)
        for member in range(MOST_MEMBERS):
            told = note(limit(1.0))
            assert scripted.send(told, member, BEGINNING) == record.write(told, member, BEGINNING)
        with pytest.raises(StoreGone) as gone:
            record.write(note(limit()), 99, BEGINNING)
        answer = scripted.send(note(limit()), 99, BEGINNING)
        assert isinstance(answer, int)
        assert REASONS[answer] == gone.value.reason
        # each look may have changed who wants anything
        later = BEGINNING + 1.0
        sheet = record.write(note(limit()), 5, later, tuning=DEFAULT.record)
        assert scripted.send(note(limit()), 5, later) == sheet

    def test_who_says_nothing_any_more_makes_room(self, scripted: Scripted) -> None:
        record = Record(epoch=BEGINNING)
        for member in range(MOST_MEMBERS):
            told = note(limit(1.0))
            record.write(told, member, BEGINNING, tuning=DEFAULT.record)
            scripted.send(told, member, BEGINNING)
        later = BEGINNING + 61.0
        sheet = record.write(note(limit()), 99, later, tuning=DEFAULT.record)
        assert sheet.living == 1
        assert scripted.send(note(limit()), 99, later) == sheet


class TestOnce:
    def test_a_note_that_comes_again_counts_once(self, scripted: Scripted) -> None:
        scripted.send(note(limit(10.0)), 1, BEGINNING, number=1)
        again = scripted.send(note(limit(10.0)), 1, BEGINNING, number=1, is_again=True)
        assert isinstance(again, Sheet)
        assert again.limits[0].totals[TAKEN] == 10.0
        assert again.limits[0].available == 40.0
        after = scripted.send(note(limit(1.0)), 1, BEGINNING, number=2)
        assert isinstance(after, Sheet)
        assert after.limits[0].totals[TAKEN] == 11.0

    def test_what_the_lost_reply_said_is_said_again(self, scripted: Scripted) -> None:
        learned = (7.0,) * LEARNED
        scripted.send(note(limit()), 1, BEGINNING)
        scripted.send(note(limit(learned=learned)), 2, BEGINNING)
        scripted.send(note(limit(1.0)), 1, BEGINNING + 3, number=2)  # reaped, and to be told both
        again = scripted.send(note(limit(1.0)), 1, BEGINNING + 3, number=2, is_again=True)
        assert isinstance(again, Sheet)
        assert again.limits[0].learned == learned

    def test_who_was_reaped_hears_of_it_though_the_reply_was_lost(self, scripted: Scripted) -> None:
        scripted.send(note(limit(90.0, held=40.0)), 1, BEGINNING)
        scripted.send(note(limit(1.0)), 1, BEGINNING + 3, number=2)
        again = scripted.send(note(limit(1.0)), 1, BEGINNING + 3, number=2, is_again=True)
        after = scripted.send(note(limit(1.0)), 1, BEGINNING + 3, number=3)
        assert isinstance(again, Sheet)
        assert isinstance(after, Sheet)
        assert (again.was_reaped, after.was_reaped) == (True, False)

    def test_a_last_note_that_comes_again_does_not_bring_it_back(self, scripted: Scripted) -> None:
        scripted.send(note(limit(1.0)), 2, BEGINNING)
        last = note(limit(10.0), leaves=True)
        scripted.send(last, 1, BEGINNING, number=1)
        assert scripted.send(last, 1, BEGINNING, number=1, is_again=True) == OTHER_EPOCH
        sheet = scripted.send(note(limit()), 2, BEGINNING)
        assert isinstance(sheet, Sheet)
        assert (sheet.living, sheet.limits[0].totals[TAKEN]) == (1, 11.0)

    def test_a_note_for_another_beginning_is_dropped(self, scripted: Scripted) -> None:
        scripted.send(note(limit(10.0)), 1, BEGINNING)
        assert scripted.send(note(limit(10.0)), 1, BEGINNING, epoch=1.0) == OTHER_EPOCH
        scripted.client.delete(scripted.key)
        assert scripted.send(note(limit(10.0)), 1, BEGINNING, epoch=BEGINNING) == OTHER_EPOCH
        assert scripted.client.get(scripted.key) is None


class TestState:
    def test_what_another_version_has_written_is_left_alone(self, scripted: Scripted) -> None:
        scripted.client.set(scripted.key, b"\x92\x02\x00")  # an array that begins with 2
        assert scripted.send(note(limit()), 1, BEGINNING) == OTHER_LAYOUT
        assert scripted.client.get(scripted.key) == b"\x92\x02\x00"

    def test_the_state_goes_two_days_after_the_last_note(self, scripted: Scripted) -> None:
        scripted.send(note(limit()), 1, BEGINNING)
        assert scripted.client.ttl(scripted.key) == 2 * 24 * 3600

    def test_the_state_of_64_members_stays_small(self, scripted: Scripted) -> None:
        for member in range(MOST_MEMBERS):
            told = note(limit(1 / 3, held=1 / 3), limit(1 / 3, name="tokens", held=1 / 3))
            scripted.send(told, member, BEGINNING + member / 100)
        assert scripted.client.strlen(scripted.key) < 6_000
