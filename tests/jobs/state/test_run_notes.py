"""What a journal says of runs is read back, and changes nothing for what else is in it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.jobs.state.journal import RECORD
from ratedispatch.jobs.state.run_notes import Begun, Ended, Mark, notes_in

COUNTS = st.integers(0, 10**12)
BEGUN = st.builds(
    Begun,
    at=st.floats(0, 10**11),
    command=st.lists(st.text(max_size=9), max_size=4).map(tuple),
    folder=st.text(max_size=9),
    process=st.integers(0, 2**31),
    host=st.text(max_size=9),
)
ENDED = st.builds(Ended, at=st.floats(0, 10**11), code=st.text(max_size=9), message=st.text())
MARK = st.builds(
    Mark, st.integers(0, 10**14).map(lambda ms: ms / 1000), COUNTS, COUNTS, COUNTS, COUNTS, COUNTS
)
ROWS = st.builds(b"%c%d\n".__mod__, st.tuples(st.sampled_from(b"stbd"), st.integers(0, 10**9)))


@given(st.lists(st.one_of(BEGUN, ENDED, MARK, ROWS), max_size=8))
def test_notes_are_read_among_records_of_rows_and_are_none_of_them(found: list[object]) -> None:
    """Also where a text ends as a record does; an older release looks for records of rows only."""
    lines = [one if isinstance(one, bytes) else one.to_line() for one in found]  # type: ignore[attr-defined]
    text = b"".join(lines)
    assert list(notes_in(text)) == [one for one in found if not isinstance(one, bytes)]
    rows = [one for one in found if isinstance(one, bytes)]
    assert [kind + row + b"\n" for kind, row in RECORD.findall(text)] == rows


def test_damaged_notes_are_passed_over() -> None:
    """A torn one, one of a later release, one that has no numbers, one that is too large."""
    text = (
        b'{"run": {"at": 1, "comm\n{"run": 7}\n{"end": {"at": NaN, "code": "", "message": ""}}\n'
        b'{"end": {"at": "x"}}\n{"end": []}\nw1,2,3\nw12,s5\n{"run": ' + b"[" * 9_000 + b"\n"
    )
    assert list(notes_in(text)) == []


def test_a_command_with_a_page_of_text_is_left_out() -> None:
    """The rest of the line is there."""
    (note,) = notes_in(Begun(5.0, ("run", "x" * 40_000), "/home", 7, "a").to_line())
    assert note == Begun(5.0, (), "/home", 7, "a")
