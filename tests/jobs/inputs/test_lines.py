"""The lines of an input."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.jobs.inputs.lines import LongLine, numbered_lines, raw_lines

PIECES = [
    b"\xef\xbb\xbf",
    b"\n",
    b"\r\n",
    b"\r",
    b" ",
    b"\t",
    b"\x0b",
    b"\x00",
    b"a",
    b"\xff",
    b"{}",
]


def lines(data: bytes, longest: int = 100) -> list[tuple[int, bytes | LongLine]]:
    return list(numbered_lines(io.BytesIO(data), longest=longest))


@given(st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join))
def test_lines_are_those_between_line_ends(data: bytes) -> None:
    """Whatever marks, ends and blanks there are: split, stripped, numbered, blank ones out."""
    split = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    numbered = ((number, line.strip()) for number, line in enumerate(split, 1))
    assert lines(data) == [(number, line) for number, line in numbered if line]


@given(
    st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")), max_size=12),
    st.integers(1, 12),
    st.booleans(),
)
def test_only_lines_beyond_the_bound_are_left_out(
    texts: list[bytes], longest: int, is_ended: bool
) -> None:
    """Each keeps its number, and the length of a long one is told exactly."""
    data = b"\n".join(texts) + (b"\n" if is_ended else b"")
    found = dict(raw_lines(io.BytesIO(data), longest=longest))
    whole = data.split(b"\n")
    whole = whole if whole[-1] else whole[:-1]
    assert sorted(found) == list(range(1, len(whole) + 1))
    for number, text in enumerate(whole, 1):
        line = found[number]
        if len(text) > longest:
            assert line == LongLine(number, len(text), longest)
        else:
            assert not isinstance(line, LongLine)
            bare = line.removesuffix(b"\n")
            assert bare == (text.removeprefix(b"\xef\xbb\xbf") if number == 1 else text)


def test_a_long_line_is_a_finding_with_both_lengths() -> None:
    """And the line after it is read."""
    (one, long), (two, rest) = lines(b"x" * 3_000_000 + b"\nok", longest=1_000_000)
    assert (one, two, rest) == (1, 2, b"ok")
    assert isinstance(long, LongLine)
    assert long.message == (
        "line 1: 3,000,000 bytes, more than the 1,000,000 that a line may have; "
        "is a line break missing?"
    )


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_of_just_the_bound_is_read(end: bytes) -> None:
    """With or without an end."""
    assert lines(b"12345" + end, longest=5) == [(1, b"12345")]
    assert lines(b"123456" + end, longest=5) == [(1, LongLine(1, 6, 5))]


def test_a_long_last_line_without_an_end_is_one_finding() -> None:
    """Its rest is no line of its own."""
    assert lines(b"a\n" + b"x" * 2_500_000, longest=10) == [
        (1, b"a"),
        (2, LongLine(2, 2_500_000, 10)),
    ]
