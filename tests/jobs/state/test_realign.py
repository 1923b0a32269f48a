"""Which results belong to rows of a changed input."""

from __future__ import annotations

import io
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.jobs.batchfile import head_of
from ratedispatch.jobs.state.realign import Match, match, rewrite, rewritten
from ratedispatch.jobs.state.section import digest_of
from ratedispatch.simulate.forecast.reading_order import interleaved
from tests.jobs.job_files import result, scan_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

#: Few contents, so that rows are equal; blank lines, so that places are not counts.
ROWS = st.lists(st.sampled_from([b"a", b"b", b"c", b"d", b"", b" "]), min_size=1, max_size=12)


@pytest.fixture(scope="module", autouse=True)
def no_disk() -> Iterator[None]:
    """Not to wait for the disk a thousand times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        yield


class Files:
    """Result files and where results go that belong to no row."""

    def __init__(self, folder: str) -> None:
        self.results = (Path(folder) / "out", Path(folder) / "bad")
        self.aside = Path(folder) / "stale"

    def write(self, lines: list[bytes]) -> None:
        """Write every third of *lines* to the second file."""
        for place, path in enumerate(self.results):
            path.write_bytes(
                b"".join(line for n, line in enumerate(lines) if (n % 3 == 2) == bool(place))
            )

    def match(self, data: bytes, *, by_place: bool) -> Match:
        return match(self.results, io.BytesIO(data), scan_of(data), by_place=by_place)

    def rewrite(self, found: Match) -> None:
        for path in self.results:
            rewrite(path, self.aside, found.places)
        for path in self.results:
            if rewritten(path).exists():
                rewritten(path).replace(path)

    @property
    def kept(self) -> list[tuple[int, str]]:
        """Rows and digests of what is in the result files."""
        return _heads(b"".join(path.read_bytes() for path in self.results))

    @property
    def stale(self) -> list[tuple[int, str]]:
        return _heads(self.aside.read_bytes() if self.aside.exists() else b"")


def _heads(text: bytes) -> list[tuple[int, str]]:
    heads = [head_of(line) for line in text.splitlines()]
    return sorted((head.row, head.digest) for head in heads if head is not None)


def rows_of(lines: list[bytes]) -> dict[int, bytes]:
    return {number: line.strip() for number, line in enumerate(lines, 1) if line.strip()}


@given(
    ROWS,
    st.sets(st.integers(0, 11)),
    ROWS.filter(lambda lines: any(line.strip() for line in lines)),
    st.booleans(),
    st.randoms(),
)
def test_results_stay_whose_rows_are_there_still(
    before: list[bytes], done: set[int], after: list[bytes], by_place: bool, rng: Random
) -> None:
    """Each once, at its place now, unmoved where it can be; all others are set aside."""
    was, now = rows_of(before), rows_of(after)
    answered = sorted(row for row in was if row in done)
    rng.shuffle(answered)
    with tempfile.TemporaryDirectory() as folder:
        files = Files(folder)
        files.write([result(row, digest_of(was[row])) for row in answered])
        found = files.match(b"\n".join(after), by_place=by_place)
        files.rewrite(found)
        kept, stale = files.kept, files.stale
    places = [place for place, _ in kept]
    assert len(set(places)) == len(places)
    assert all(digest_of(now[place]) == digest for place, digest in kept)
    there = [row for row in answered if now.get(row) == was[row]]
    assert set(there) <= set(places)
    assert all(found.places[row] == row for row in there)
    if by_place:
        expected = len(there)
    else:
        contents = Counter(was[row] for row in answered)
        expected = (contents & Counter(now.values())).total()
    assert (found.kept, found.gone) == (expected, len(answered) - expected)
    assert len(kept) == expected
    gone = sorted(set(answered) - set(found.places))
    assert [row for row, _ in stale] == gone
    assert found.first == (gone[0] if gone else None)


def test_rows_that_move_take_their_results_with_them() -> None:
    """One inserted, one deleted, one edited, one moved; the line is the same but for its number."""
    before = [b"a", b"b", b"c", b"d"]
    after = b"new\na\n\nd\nc2\n"
    with tempfile.TemporaryDirectory() as folder:
        files = Files(folder)
        files.write([result(row, digest_of(line)) for row, line in enumerate(before, 1)])
        found = files.match(after, by_place=False)
        assert found == Match(2, 2, 2, {1: 2, 4: 4})
        files.rewrite(found)
        assert files.kept == [(2, digest_of(b"a")), (4, digest_of(b"d"))]
        assert files.stale == [(2, digest_of(b"b")), (3, digest_of(b"c"))]
        text = files.results[0].read_bytes()
        assert result(1, digest_of(b"a")).replace(b"_000000000001", b"_000000000002") in text
        assert not list(Path(folder).glob("*.new"))


def test_the_first_line_counts_without_its_mark_and_white_space() -> None:
    """An editor that adds a mark or other line ends changes no row."""
    with tempfile.TemporaryDirectory() as folder:
        files = Files(folder)
        files.write([result(1, digest_of(b"a")), result(2, digest_of(b"b"))])
        found = files.match(b"\xef\xbb\xbfa\r\nb \r\n", by_place=True)
        assert (found.kept, found.gone) == (2, 0)


def test_lines_without_a_digest_stay_where_there_is_a_row() -> None:
    """They do not tell more."""
    with tempfile.TemporaryDirectory() as folder:
        files = Files(folder)
        files.write([result(1), result(2), result(3)])
        found = files.match(b"x\n\nz\n", by_place=False)
        assert found == Match(2, 1, 2, {1: 1, 3: 3})


@pytest.mark.slow
@pytest.mark.parametrize("by_place", [True, False])
def test_many_equal_rows_take_no_more_time_each(by_place: bool) -> None:
    """Whatever the order of their results: the steps grow with the rows, not with their square."""

    def steps(count: int) -> float:
        data = b"a\n" * count
        found = scan_of(data)
        with tempfile.TemporaryDirectory() as folder:
            files = Files(folder)
            files.write([result(row + 1, digest_of(b"a")) for row in interleaved(count)])
            begin = time.process_time()
            assert match(files.results, io.BytesIO(data), found, by_place=by_place).kept == count
            return time.process_time() - begin

    # eight times as many rows would take 64 times as long
    assert steps(16_000) < 20 * min(steps(2_000) for _ in range(3))


def test_missing_files_have_no_results_and_none_are_made() -> None:
    """Nor is anything set aside."""
    with tempfile.TemporaryDirectory() as folder:
        files = Files(folder)
        found = files.match(b"a\n", by_place=False)
        assert found == Match(0, 0, None, {})
        files.rewrite(found)
        assert not list(Path(folder).iterdir())
