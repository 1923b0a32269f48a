"""Laws of the file: it does what the record does, and takes any bytes."""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ratedispatch.pacing.shared.record import LimitRecord, MemberRecord, Record
from ratedispatch.pacing.shared.store import LEARNED, TOTALS, Note, Pause, Sheet, Stand
from ratedispatch.sharing.file_store import FileStore
from ratedispatch.sharing.layout import FORMAT, MARKS_AT, PLACES, SLOT, SLOTS_AT
from tests.sharing.notes import limit, note, sheet, tell

MEMBERS = 3

NOTES = st.builds(
    lambda taken, held, tokens, stand, learned, pause, wants, priority: Note(
        0.0,
        (
            limit(taken, held=held, learned=learned)._replace(stand=stand),
            *([limit(tokens, name="tokens")] if tokens else []),
        ),
        pause,
        wants,
        priority,
    ),
    taken=st.floats(-20, 20),
    held=st.floats(0, 20),
    tokens=st.floats(0, 20),
    stand=st.none() | st.builds(Stand, st.floats(-9, 9), st.floats(0, 9), st.floats(0, 99)),
    learned=st.none() | st.tuples(*[st.floats(0, 9)] * 3),
    pause=st.none() | st.builds(Pause, st.floats(0, 9), st.floats(9, 20)),
    wants=st.booleans(),
    priority=st.integers(-5, 5),
)
# a mark stands for the instant of a note: no two of a member are at the same one
STEPS = st.lists(
    st.tuples(
        st.integers(0, MEMBERS - 1),
        st.floats(0.001, 2.5),
        NOTES,
        st.sampled_from(["", "sent", "dies"]),
    ),
    max_size=20,
)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_members_of_a_file_are_members_of_one_record(
    steps: list[tuple[int, float, Note, str]],
) -> None:
    """Number by number, with marks that stand beside it and the dead as the kernel shows them."""
    clock = [100.0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.limits")

        def join() -> FileStore:
            return FileStore(path, lambda: clock[0])

        stores, keys, new_key = [join() for _ in range(MEMBERS)], list(range(MEMBERS)), MEMBERS
        model, looked = Record(0.0), [-math.inf] * MEMBERS
        first_news = None
        for place, delay, told, after in steps:
            clock[0] += delay
            dead = frozenset[int]()
            if keys[place] not in model.members or clock[0] - looked[place] >= 0.25:
                dead, looked[place] = frozenset(model.members) - frozenset(keys), clock[0]
            wanted = model.write(told, keys[place], clock[0], dead=dead)
            found = sheet(stores[place], told)
            if first_news is None:
                first_news = found.news - wanted.news
            assert found == wanted._replace(epoch=found.epoch, news=wanted.news + first_news)
            assert stores[0].news() == found.news
            if after == "sent":
                stores[place].redeemed()
                model.members[keys[place]].held.clear()
            elif after == "dies":
                stores[place].close()
                stores[place], keys[place], new_key = join(), new_key, new_key + 1
                looked[place] = -math.inf
        for store in stores:
            store.close()


#: Where damage matters most, and anywhere.
PLACES_IN_FILE = (
    st.integers(0, MARKS_AT + 64)
    | st.integers(SLOTS_AT, SLOTS_AT + 600)
    | st.integers(SLOTS_AT + SLOT, SLOTS_AT + SLOT + 600)
)
DAMAGE = st.lists(
    st.tuples(PLACES_IN_FILE, st.binary(min_size=1, max_size=64)) | st.integers(0, 2 * SLOT),
    min_size=1,
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(DAMAGE)
def test_any_damage_costs_at_most_one_more_burst(damage: list[tuple[int, bytes] | int]) -> None:
    """Bytes that are written over or cut off crash nobody; there is never more than a burst."""
    clock = [100.0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.limits")
        first, second = (FileStore(path, lambda: clock[0]) for _ in range(2))
        for _ in range(3):
            sheet(first, note(5.0))
            sheet(second, note(5.0))
        for each in damage:
            if isinstance(each, int):
                os.truncate(path, each)
            else:
                at, data = each
                with path.open("r+b") as file:
                    file.seek(at)
                    file.write(data)
            first.redeemed()
            first.news()
            for store in (first, second, first):
                told = tell(store, note(1.0))
                assert isinstance(told, Sheet), told
                assert told.limits[0].available <= 9.0
                assert 1 <= told.living <= 2
        first.close()
        second.close()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_a_file_of_anything_is_begun_anew(content: bytes) -> None:
    """Or refused, if it says in the right way that a newer version has written it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.limits")
        path.write_bytes(content)
        path.chmod(0o600)
        store = FileStore(path)
        assert sheet(store, note(1.0)).limits[0].available <= 9.0
        store.close()


def test_the_format_has_a_number_of_its_own() -> None:
    """Whoever changes the record has to change the number: older processes must not read it."""
    shape = [
        [field.name for field in msgspec.structs.fields(kind)]
        for kind in (Record, LimitRecord, MemberRecord)
    ]
    known = {
        1: [
            ["epoch", "limits", "members", "pause", "news", "looked_at", "living", "wanting"],
            [
                *("at", "used", "surplus", "flow", "burst", "ceiling"),
                *("totals", "learned", "learned_number"),
            ],
            ["told_at", "waits_since", "priority", "held", "asked", "known", "was_reaped"],
            ["began", "until"],
            [16, 40, 128, SLOTS_AT, SLOT],
        ]
    }
    assert [*shape, list(Pause._fields), [TOTALS, LEARNED, PLACES, SLOTS_AT, SLOT]] == known[FORMAT]
