"""Which rows a shard has, how its files are named, and a job that has a shard of the rows."""

from __future__ import annotations

import dataclasses
import io
import random
import re
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.errors import JobError
from ratedispatch.jobs.job_options import JobOptions
from ratedispatch.jobs.plan.planner import plan_file
from ratedispatch.jobs.plan.spending import Caps
from ratedispatch.jobs.rowformat import BatchRows
from ratedispatch.jobs.run_file import run_file
from ratedispatch.jobs.shard import Shard, check_shard
from ratedispatch.jobs.state.rowset import RowSet
from ratedispatch.jobs.state.scan import scan
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.transport import ProviderTransport
from tests.jobs.job_files import scan_of, text_of, texts
from tests.jobs.played_job import FAST, ROWS, SLOW, names

if TYPE_CHECKING:
    from typing import Any

    from ratedispatch.observe.report import Report


@given(st.integers(1, 40), st.integers(0, 300))
def test_the_shards_are_a_partition(count: int, last: int) -> None:
    """Every line belongs to exactly one shard, whatever their number and that of the lines."""
    shards = [Shard(index, count) for index in range(count)]
    rows = [shard.rows(last) for shard in shards]
    assert sorted(line for one in rows for line in one) == list(range(1, last + 1))
    for shard, one in zip(shards, rows, strict=True):
        assert [line for line in range(-1, last + 1) if line in shard] == list(one)
        assert shard.share(last) == len(one)
        assert sorted([*one, *shard.others(last)]) == list(range(1, last + 1))


@given(st.integers(1, 40), st.integers(0, 300))
def test_the_shards_differ_by_one_row_at_most(count: int, last: int) -> None:
    """No machine has more to do than another."""
    sizes = [Shard(index, count).share(last) for index in range(count)]
    assert max(sizes) - min(sizes) <= 1


#: The first lines of shards 0/3, 1/3 and 2/3, and of 7/16.
FIRST_OF_3 = [
    [1, 6, 9, 11, 14, 16, 19, 22],
    [2, 4, 7, 12, 15, 17, 20, 23],
    [3, 5, 8, 10, 13, 18, 21, 24],
]
FIRST_OF_16 = [13, 30, 41, 52, 78, 91]


def test_the_split_is_the_same_for_ever() -> None:
    """Machines with other releases of this program, or of Python, come to the same rows."""
    assert [list(islice(Shard(index, 3).lines(), 8)) for index in range(3)] == FIRST_OF_3
    assert list(islice(Shard(7, 16).lines(), 6)) == FIRST_OF_16


@pytest.mark.parametrize("period", [2, 4, 16])
def test_a_pattern_of_the_input_falls_on_all_shards(period: int) -> None:
    """Where every 16th row is long, none of 16 machines gets them all."""
    long_rows = range(1, 16_001, period)
    counts = [sum(row in shard for row in long_rows) for shard in map(shard_of_16, range(16))]
    mean = len(long_rows) / 16
    # of 1,000 rows each shard has 62.5, with a deviation of 7.7 if they fall by chance
    assert max(abs(count - mean) for count in counts) < 4 * mean**0.5


def shard_of_16(index: int) -> Shard:
    return Shard(index, 16)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "16/16",
            "there is no shard 16/16: shards are counted from 0, and those of 16 are 0/16 to 15/16",
        ),
        ("1/1", "there is no shard 1/1: shards are counted from 0, and the only one of 1 is 0/1"),
        ("0/0", "0/0 asks for 0 shards"),
        ("0/100001", "there can be 1 to 100,000"),
        ("3", "'3' is not I/N"),
        ("-1/4", "'-1/4' is not I/N"),
        ("1/4/2", "is not I/N"),
        ("", "'' is not I/N"),
        ("/16", "'/16' is not I/N"),
        ("٣/16", "is not I/N"),
    ],
)
def test_a_shard_that_there_is_not_is_refused(text: str, words: str) -> None:
    """The message says how they are counted."""
    for make in (Shard.parse, lambda text: JobOptions(shard=text)):
        with pytest.raises(ValueError, match=re.escape(words)):
            make(text)


def test_a_shard_is_read_as_it_is_written() -> None:
    """With or without spaces and leading zeros."""
    assert Shard.parse(str(Shard(3, 16))) == Shard.parse(" 03 / 16 ") == Shard(3, 16)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ("a/out.jsonl", "a/out.03-of-16.jsonl"),
        ("out", "out.03-of-16"),
        ("out.v2.csv", "out.v2.03-of-16.csv"),
        ("out.03-of-16.jsonl", "out.03-of-16.jsonl"),
        ("out.3-of-16", "out.3-of-16"),
        (".hidden", ".hidden.03-of-16"),
        ("-", "-"),
        (".", "."),
    ],
)
def test_the_files_of_a_shard_have_its_name(asked: str, named: str) -> None:
    """Sorted by name they are in the order of the shards; a name is never tagged twice."""
    assert Shard(3, 16).path(Path(asked)) == Path(named)


def test_a_file_that_is_named_after_another_shard_is_refused() -> None:
    """It would be the output of two."""
    with pytest.raises(JobError, match="named after shard 4/16, but this is shard 3/16"):
        Shard(3, 16).path(Path("out.04-of-16.jsonl"))


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ("3/16", Shard(4, 16), "begun by shard 3/16, but this run is shard 4/16"),
        ("3/16", None, "begun by shard 3/16, but this run has no --shard"),
        ("", Shard(4, 16), "begun without --shard, but this run is shard 4/16"),
    ],
)
def test_an_output_stays_with_its_shard(before: str, now: Shard | None, words: str) -> None:
    """The message names both."""
    with pytest.raises(JobError, match=words):
        check_shard(before, now, Path("out.jsonl"))
    check_shard(str(now or ""), now, Path("out.jsonl"))


@given(texts(), st.integers(1, 5))
def test_the_scans_of_all_shards_add_up_to_the_whole(text: bytes, count: int) -> None:
    """Rows and tokens are those of the shard; digest, lines and repeated names those of all."""
    whole = scan_of(text)
    parts = [
        scan(io.BytesIO(text), BatchRows(), shard=Shard(index, count)) for index in range(count)
    ]
    assert sum(part.rows for part in parts) == whole.rows
    assert sum(part.tokens for part in parts) == pytest.approx(whole.tokens)
    for part in parts:
        assert part.rows + part.others == whole.rows
        assert (part.digest, part.lines, list(part.duplicates)) == (
            whole.digest,
            whole.lines,
            list(whole.duplicates),
        )
        again = type(part).from_dict(part.as_dict())
        assert (again.rows, again.others) == (part.rows, part.others)


@given(st.integers(0, 100))
def test_a_set_of_all_rows_up_to_one(last: int) -> None:
    """The same as to add them one after the other."""
    rows = RowSet.up_to(last)
    assert (list(rows), len(rows)) == (list(range(1, last + 1)), last)


def play_shard(folder: Path, shard: str | None, **options: Any) -> Report:
    """Run *shard* of the input in *folder*."""

    async def main() -> Report:
        return await run_file(
            folder / "in.jsonl",
            folder / "out.jsonl",
            client=ProviderTransport(SLOW, random.Random(1)),
            limits=FAST,
            job_options=JobOptions(shard=shard, **options),
        )

    return run_virtual(main())


def test_the_shards_of_a_file_do_every_row_once(tmp_path: Path) -> None:
    """Bad rows and repeated names included; each counts its own rows only."""
    text = text_of(*ROWS) + b"\n\nbroken\n" + text_of(ROWS[0])
    (tmp_path / "in.jsonl").write_bytes(text)
    reports = [play_shard(tmp_path, f"{index}/3") for index in range(3)]
    assert sum(report.answered for report in reports) == 10
    assert sum(report.failed for report in reports) == 2
    for index, report in enumerate(reports):
        files = [f"out.{index}-of-3.jsonl", f"out.{index}-of-3.errors.jsonl"]
        done = [name for file in files for name in names(tmp_path / file)]
        assert len(done) == report.answered + report.failed
        assert (report.unanswered, report.stop_code) == (0, None)
        assert report.notes[0].startswith(f"shard {index}/3 has {len(done)} of 12 rows")
    again = [play_shard(tmp_path, f"{index}/3") for index in range(3)]
    assert [report.attempts for report in again] == [0, 0, 0]


def test_a_cap_and_what_is_left_are_those_of_the_shard(tmp_path: Path) -> None:
    """And the next run of the shard goes on."""
    (tmp_path / "in.jsonl").write_bytes(text_of(*ROWS))
    first = play_shard(tmp_path, "1/2", caps=Caps(max_rows=2))
    assert (first.answered, first.unanswered, first.stop_code) == (2, 3, "max_rows")
    second = play_shard(tmp_path, "1/2")
    assert (second.answered, second.resumed, second.attempts) == (5, 2, 3)


def test_a_shard_without_rows_ends_well(tmp_path: Path) -> None:
    """There may be more machines than rows; an empty input is still refused."""
    (tmp_path / "in.jsonl").write_bytes(text_of(ROWS[0]))
    reports = [play_shard(tmp_path, f"{index}/3") for index in range(3)]
    assert sorted(report.answered for report in reports) == [0, 0, 1]
    assert [report.stop_code for report in reports] == [None] * 3
    (tmp_path / "in.jsonl").write_bytes(b"\n")
    with pytest.raises(JobError, match="is empty"):
        play_shard(tmp_path, "0/4")


def test_the_output_of_a_shard_is_not_gone_on_with_by_another(tmp_path: Path) -> None:
    """Also under another name, and also where a changed input is allowed."""
    (tmp_path / "in.jsonl").write_bytes(text_of(*ROWS))
    play_shard(tmp_path, "0/2")
    for path in tmp_path.glob("out.0-of-2*"):
        path.rename(path.with_name(path.name.replace("0-of-2", "1-of-2")))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(JobError, match="begun by shard 0/2, but this run is shard 1/2"):
        play_shard(tmp_path, "1/2", allow_changed_input=True)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_changed_input_keeps_the_rows_that_stay_in_the_shard(tmp_path: Path) -> None:
    """Rows that were added at the end move nobody; what left the shard is set aside."""
    (tmp_path / "in.jsonl").write_bytes(text_of(*ROWS))
    play_shard(tmp_path, "0/2")
    (tmp_path / "in.jsonl").write_bytes(text_of(*ROWS, {**ROWS[0], "custom_id": "new"}))
    report = play_shard(tmp_path, "0/2", allow_changed_input=True)
    assert report.resumed == 5
    (tmp_path / "in.jsonl").write_bytes(text_of(*ROWS[1:]))
    report = play_shard(tmp_path, "0/2", allow_changed_input=True)
    assert report.unanswered == 0
    rows = Shard(0, 2).rows(9)
    assert report.answered == len(rows)
    assert sorted(names(tmp_path / "out.0-of-2.jsonl")) == sorted(
        ROWS[1:][row - 1]["custom_id"] for row in rows
    )


def test_a_plan_of_a_shard_counts_its_rows(tmp_path: Path) -> None:
    """The plans of all shards add up."""
    (tmp_path / "in.jsonl").write_bytes(text_of(*ROWS) + b"broken\n")
    plans = [plan_file(tmp_path / "in.jsonl", FAST, shard=Shard(index, 3)) for index in range(3)]
    assert sorted(plan.rows for plan in plans) == [3, 4, 4]
    assert sum(len(plan.findings) for plan in plans) == 1
    assert dataclasses.replace(JobOptions(), shard="0/2").part == Shard(0, 2)
