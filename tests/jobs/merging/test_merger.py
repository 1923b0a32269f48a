"""The results of several shards are put together, or nothing is written."""

from __future__ import annotations

import json
import os
import random
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ratedispatch.errors import JobError
from ratedispatch.jobs.batchfile import head_of
from ratedispatch.jobs.inputs.template import Template
from ratedispatch.jobs.job_options import JobOptions
from ratedispatch.jobs.merging.gaps import RowsMissing
from ratedispatch.jobs.merging.merger import Merged, MergeOptions, MergeOrder, merge_shards
from ratedispatch.jobs.merging.places import LineReader, Place, Places
from ratedispatch.jobs.outputs.table import OutputFormat
from ratedispatch.jobs.run_file import run_file
from ratedispatch.jobs.shard import Shard
from ratedispatch.jobs.state.files import lock
from ratedispatch.jobs.state.journal import open_journal, read_journal
from ratedispatch.jobs.state.paths import JobFiles, files_of
from ratedispatch.jobs.state.section import digest_of
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProviderTransport
from tests.jobs.job_files import row, text_of
from tests.jobs.played_job import FAST, ROWS, names

if TYPE_CHECKING:
    from ratedispatch.observe.report import Report

QUICK = ProviderSettings(output_tokens=4, latency=0.5, latency_sigma=0.3)


def target_in(folder: Path, name: str = "out.jsonl") -> JobFiles:
    table = OutputFormat.CSV if name.endswith(".csv") else OutputFormat.JSONL
    return files_of("-", folder / name, None, table)


def play(folder: Path, shard: str | None, name: str = "out.jsonl", **options: Any) -> Report:
    async def main() -> Report:
        return await run_file(
            folder / "in.jsonl",
            folder / name,
            client=ProviderTransport(QUICK, random.Random(1)),
            limits=FAST,
            job_options=JobOptions(shard=shard, **options),
        )

    return run_virtual(main())


def merged(folder: Path, *paths: Path, name: str = "out.jsonl", **options: Any) -> Merged:
    found = paths or tuple(sorted(folder.glob("out.*-of-*.jsonl")))
    return merge_shards(found, target_in(folder, name), MergeOptions(**options))


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """A folder with the outputs of three shards of ten rows, a bad one and a repeated name."""
    (tmp_path / "in.jsonl").write_bytes(text_of(*ROWS) + b"broken\n" + text_of(ROWS[0]))
    for index in range(3):
        play(tmp_path, f"{index}/3")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def numbers(path: Path) -> list[int]:
    heads = [head_of(line) for line in path.read_bytes().splitlines()]
    return [head.row for head in heads if head is not None]


@pytest.mark.parametrize("order", list(MergeOrder))
@pytest.mark.parametrize("has_input", [False, True])
def test_all_rows_are_put_together(shards: Path, order: MergeOrder, has_input: bool) -> None:
    """In the order that was asked for; each line is what its shard wrote."""
    lines = [
        line for path in shards.glob("out.*-of-3*.jsonl") for line in path.read_bytes().splitlines()
    ]
    source = shards / "in.jsonl" if has_input else None
    found = merged(shards, order=order, input=source)
    assert (found.shards, found.answered, found.failed, found.gaps) == (3, 10, 2, ())
    written = [(shards / name).read_bytes().splitlines() for name in RESULTS]
    assert sorted(chain.from_iterable(written)) == sorted(lines)
    rows = [numbers(shards / name) for name in RESULTS]
    if order is MergeOrder.INPUT:
        assert rows == [list(range(1, 11)), [11, 12]]
    else:
        parts = [numbers(shards / f"out.{n}-of-3.jsonl") for n in range(3)]
        assert rows[0] == list(chain.from_iterable(parts))
    assert (shards / "out.jsonl.job").stat().st_mode & 0o777 == 0o600
    assert not list(shards.glob(".ratedispatch*"))


RESULTS = ("out.jsonl", "out.errors.jsonl")


@pytest.mark.parametrize("order", list(MergeOrder))
def test_a_run_takes_what_was_put_together_for_its_own(shards: Path, order: MergeOrder) -> None:
    """It sends nothing; failed rows can be sent again."""
    merged(shards, order=order)
    before = contents(shards)
    report = play(shards, None)
    assert (report.answered, report.failed, report.attempts, report.resumed) == (10, 2, 0, 12)
    assert {name: before[name] for name in RESULTS} == {
        name: (shards / name).read_bytes() for name in RESULTS
    }
    assert play(shards, None, retry_failed=True).attempts == 0  # they still are no requests
    assert sorted(numbers(shards / "out.errors.jsonl")) == [11, 12]


def test_a_run_does_what_was_missing(shards: Path) -> None:
    """Where what is there was put together although rows are missing."""
    (shards / "out.1-of-3.jsonl").unlink()
    (shards / "out.1-of-3.jsonl.job").unlink()
    paths = [path for path in shards.glob("out.*-of-3*.jsonl") if "1-of-3" not in path.name]
    with pytest.raises(RowsMissing) as error:
        merged(shards, *paths)
    assert "4 rows are missing of 12: shard 1/3 has no file (4 rows); run these" in str(error.value)
    found = merged(shards, *paths, allow_missing=True)
    assert found.missing == 4
    report = play(shards, None)
    assert (report.answered, report.failed) == (10, 2)
    assert report.attempts == report.answered - found.answered
    assert sorted(names(shards / "out.jsonl")) == sorted(value["custom_id"] for value in ROWS)


@pytest.mark.parametrize("has_input", [False, True])
def test_missing_rows_are_named_by_shard(shards: Path, has_input: bool) -> None:
    """A torn line is one that is missing, too; nothing is written."""
    cut = shards / "out.2-of-3.jsonl"
    text = cut.read_bytes()
    gone = numbers(cut)[-1]
    cut.write_bytes(text[:-5])
    before = contents(shards)
    with pytest.raises(RowsMissing) as error:
        merged(shards, input=shards / "in.jsonl" if has_input else None)
    words = f"1 row is missing of 12: shard 2/3 lacks 1 row (line {gone}); run these shards"
    assert words in str(error.value)
    assert contents(shards) == before
    play(shards, "2/3")
    assert merged(shards).answered == 10


def test_rows_of_an_input_with_blank_lines_are_counted_without_it(tmp_path: Path) -> None:
    """Which lines they are on, only the input tells."""
    (tmp_path / "in.jsonl").write_bytes(b"\n" + text_of(*ROWS[:4]) + b"\n\n" + text_of(*ROWS[4:]))
    for index in range(2):
        play(tmp_path, f"{index}/2")
    path = tmp_path / "out.1-of-2.jsonl"
    gone, *_ = numbers(path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    with pytest.raises(RowsMissing, match=r"1 row is missing of 10: shard 1/2 lacks 1 row; run"):
        merged(tmp_path)
    with pytest.raises(RowsMissing, match=rf"shard 1/2 lacks 1 row \(line {gone}\)"):
        merged(tmp_path, input=tmp_path / "in.jsonl")
    play(tmp_path, "1/2")
    there = len(numbers(path))
    words = rf"{10 - there} rows are missing of 10: shard 0/2 has no file \({10 - there} rows\)"
    with pytest.raises(RowsMissing, match=words):
        merged(tmp_path, path)


def test_an_errors_file_that_was_not_copied_is_named(shards: Path) -> None:
    """Its rows are missing, but no run of the shard is what they need."""
    with_failures = [path for path in shards.glob("out.*.errors.jsonl") if path.read_bytes()]
    with_failures[0].unlink()
    with pytest.raises(
        RowsMissing, match=rf"; {with_failures[0]}, the errors file of .* is missing"
    ):
        merged(shards)


def test_a_row_that_is_there_twice_is_named(shards: Path) -> None:
    """In one file or in two; nothing is written."""
    path = shards / "out.0-of-3.jsonl"
    first, *_ = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(path.read_bytes() + first)
    before = contents(shards)
    with pytest.raises(JobError, match=rf"1 row is there more than once: row \d+ twice in {path}"):
        merged(shards, allow_missing=True)
    assert contents(shards) == before
    path.write_bytes(path.read_bytes()[: -len(first)])
    errors = shards / "out.0-of-3.errors.jsonl"
    errors.write_bytes(errors.read_bytes() + first)
    with pytest.raises(JobError, match=rf"row \d+ in {path} and {errors}"):
        merged(shards)


def test_a_row_in_the_file_of_another_shard_is_named(shards: Path) -> None:
    """As where somebody has joined two files by hand."""
    path = shards / "out.0-of-3.jsonl"
    other = shards / "out.1-of-3.jsonl"
    path.write_bytes(path.read_bytes() + other.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(JobError, match=rf"1 row belongs to another shard: row \d+ in {path}"):
        merged(shards)


def test_results_of_another_input_are_refused(shards: Path) -> None:
    """Whether the job files say so, or the digests of the rows."""
    other = shards / "other"
    other.mkdir()
    (other / "in.jsonl").write_bytes(text_of(*ROWS, *ROWS[:2]))
    play(other, "1/3")
    with pytest.raises(JobError, match="were made from different inputs"):
        merged(shards, shards / "out.0-of-3.jsonl", other / "out.1-of-3.jsonl")
    with pytest.raises(JobError, match=r"is not what .* was made from"):
        merged(shards, input=other / "in.jsonl")
    for path in shards.glob("*.job"):
        path.unlink()
    (shards / "in.jsonl").write_bytes(text_of(row("x"), *ROWS[1:]) + b"broken\n" + text_of(ROWS[0]))
    with pytest.raises(JobError, match=r"1 row of the results is not from this input: row 1 in"):
        merged(shards, input=shards / "in.jsonl")


def test_without_job_files_the_input_is_needed(shards: Path) -> None:
    """With it all is as before, and a run goes on with what was made."""
    for path in shards.glob("*.job"):
        path.unlink()
    with pytest.raises(JobError, match=r"has no job file beside it .* name the input with --input"):
        merged(shards)
    found = merged(shards, input=shards / "in.jsonl")
    assert (found.answered, found.failed) == (10, 2)
    report = play(shards, None)
    assert (report.attempts, report.resumed) == (0, 12)


@pytest.mark.parametrize("shard", ["1/2", None])
def test_parts_of_another_split_are_refused(shards: Path, shard: str | None) -> None:
    """The message names both."""
    play(shards, shard, "more.jsonl")
    other = shards / ("more.jsonl" if shard is None else "more.1-of-2.jsonl")
    with pytest.raises(JobError, match=r"is one of 3, but .* is one of [12]|one of 1, but .* of 3"):
        merged(shards, shards / "out.0-of-3.jsonl", other)


def test_a_shard_is_given_once(shards: Path) -> None:
    """The same file twice is one; a copy of it is refused."""
    path = shards / "out.0-of-3.jsonl"
    copy = shards / "copy.jsonl"
    copy.write_bytes(path.read_bytes())
    (shards / "copy.jsonl.job").write_bytes((shards / "out.0-of-3.jsonl.job").read_bytes())
    with pytest.raises(JobError, match="are both shard 0/3; give it once"):
        merged(shards, path, copy)
    assert merged(shards, *sorted(shards.glob("out.*-of-3.jsonl")), path).answered == 10


def test_answers_of_two_servers_are_put_together_only_if_asked_for(shards: Path) -> None:
    """As those of a fake one and of a real one."""
    play(shards, "0/3", "more.jsonl", origin="http://elsewhere")
    paths = [shards / "more.0-of-3.jsonl", *(shards / f"out.{n}-of-3.jsonl" for n in (1, 2))]
    with pytest.raises(JobError, match=r"http://elsewhere, but .* an unknown server"):
        merged(shards, *paths)
    assert merged(shards, *paths, allow_other_server=True).answered == 10


def test_nothing_that_is_there_is_replaced_without_being_asked(shards: Path) -> None:
    """Neither the output nor what stands beside it; with the word for it, all three are."""
    for name in (*RESULTS, "out.jsonl.job"):
        (shards / name).write_bytes(b"mine\n")
        with pytest.raises(JobError, match=f"{name} already exists; .* --overwrite"):
            merged(shards)
        assert (shards / name).read_bytes() == b"mine\n"
        (shards / name).unlink()
    for name in (*RESULTS, "out.jsonl.job"):
        (shards / name).write_bytes(b"mine\n")
    assert merged(shards, overwrite=True).answered == 10
    assert play(shards, None).attempts == 0


def test_a_pattern_may_catch_the_files_of_an_earlier_result(shards: Path) -> None:
    """The errors file of it is passed over; the output itself is refused."""
    merged(shards)
    pattern = sorted(shards.glob("out.*"))
    with pytest.raises(JobError, match="is among the files to merge and is also the output"):
        merged(shards, *pattern, overwrite=True)
    pattern = sorted(shards.glob("out.*.jsonl"))
    assert shards / "out.errors.jsonl" in pattern
    assert merged(shards, *pattern, overwrite=True).failed == 2


def test_what_the_result_is_made_of_is_not_replaced(shards: Path) -> None:
    """Not even its errors file."""
    target = replace(target_in(shards), errors=shards / "out.1-of-3.errors.jsonl")
    with pytest.raises(JobError, match="is one of the files to merge and would be overwritten"):
        merge_shards(sorted(shards.glob("out.*-of-3.jsonl")), target, MergeOptions(overwrite=True))


def test_links_are_not_followed(shards: Path) -> None:
    """Whoever may write to the folder could have any file of the user replaced."""
    (shards / "mine").write_bytes(b"mine")
    (shards / "out.errors.jsonl").symlink_to(shards / "mine")
    with pytest.raises(JobError, match="is a link"):
        merged(shards, *sorted(shards.glob("out.*-of-3.jsonl")), overwrite=True)
    assert (shards / "mine").read_bytes() == b"mine"


def test_a_shard_that_is_running_is_refused(shards: Path) -> None:
    """By the lock of its job, or of its output where the job file is not there."""
    journal = open_journal(shards / "out.1-of-3.jsonl.job")
    with pytest.raises(JobError, match="another process is working on"):
        merged(shards)
    journal.close()
    with (shards / "out.1-of-3.jsonl").open("rb") as file:
        lock(file, shards / "x")
        with pytest.raises(JobError, match="another process is working on"):
            merged(shards)


def test_what_may_have_been_billed_twice_is_added_up(shards: Path) -> None:
    """And what was spent, and the rows in doubt."""
    for index in range(3):
        path = shards / f"out.{index}-of-3.jsonl.job"
        path.write_bytes(path.read_bytes() + b"c%d,%d\n" % (10**9 * (index + 1), 10**8))
    path = shards / "out.0-of-3.jsonl"
    gone = numbers(path)[0]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    merged(shards, allow_missing=True)
    journal = read_journal(shards / "out.jsonl.job")
    assert (journal.spent, journal.dearest) == (6.0, 0.1)
    assert list(journal.open_rows) == [gone]
    report = play(shards, None)
    assert (report.attempts, report.billed_twice_at_most) == (1, 1)


def test_a_table_is_made_of_the_shards_of_a_table(tmp_path: Path) -> None:
    """Of its lines and the input, as one run makes it."""
    source = tmp_path / "in.csv"
    source.write_text("text\n" + "".join(f"t{n}\n" for n in range(1, 8)))
    template = Template("Say {text}", model="gpt-4o", max_tokens=5)

    def run(shard: str | None, name: str) -> Report:
        async def main() -> Report:
            return await run_file(
                source,
                tmp_path / name,
                client=ProviderTransport(QUICK, random.Random(1)),
                limits=FAST,
                job_options=JobOptions(shard=shard, template=template),
            )

        return run_virtual(main())

    for index in range(2):
        run(f"{index}/2", "out.csv")
    target = target_in(tmp_path, "out.csv")
    options = MergeOptions(input=source, output_format=OutputFormat.CSV)
    found = merge_shards(sorted(tmp_path.glob("out.*-of-2.csv")), target, options)
    assert found.answered == 7
    cells = [line.split(",")[0] for line in (tmp_path / "out.csv").read_text().splitlines()]
    assert cells == ["text", *(f"t{n}" for n in range(1, 8))]
    before = (tmp_path / "out.csv").read_bytes()
    assert run(None, "out.csv").attempts == 0
    assert (tmp_path / "out.csv").read_bytes() == before


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_row_is_there_once_or_nothing_is_written(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever the order of the lines, and whichever are missing, torn or doubled."""
    folder = tmp_path_factory.mktemp("merge")
    count = data.draw(st.integers(1, 4))
    rows = data.draw(st.integers(1, 12))
    inputs = [row(f"r{number}") for number in range(1, rows + 1)]
    (folder / "in.jsonl").write_bytes(text_of(*inputs))
    digests = {n: digest_of(json.dumps(value).encode()) for n, value in enumerate(inputs, 1)}
    lines: list[list[bytes]] = [[] for _ in range(2 * count)]
    expected: dict[int, tuple[bytes, bool]] = {}
    missing = doubles = 0
    for number in data.draw(st.permutations(range(1, rows + 1))):
        index = next(i for i in range(count) if number in Shard(i, count))
        is_failed = data.draw(st.booleans())
        times = data.draw(st.sampled_from([1, 1, 1, 1, 1, 1, 0, 2]))
        line = b'{"id":"batch_req_%012d-%s","n":{"a":%d},"error":null}\n'
        line %= (number, digests[number].encode(), data.draw(st.integers(0, 10**6)))
        lines[2 * index + is_failed] += [line] * times
        missing += times == 0
        doubles += times > 1
        expected[number] = (line, is_failed)
    for number, some in enumerate(lines):
        text = b"".join(some)
        if some and data.draw(st.sampled_from([False] * 5 + [True])):  # torn at its end
            torn = head_of(some[-1])
            assert torn is not None
            text = text[: -data.draw(st.integers(1, len(some[-1]) - 1))]
            if some.count(some[-1]) == 1:
                missing += 1
            else:
                doubles -= 1
        name = f"s{number // 2}{'.errors' if number % 2 else ''}.jsonl"
        (folder / name).write_bytes(text)
    before = set(os.listdir(folder))  # noqa: PTH208
    paths = [folder / f"s{index}.jsonl" for index in range(count)]
    options = MergeOptions(input=folder / "in.jsonl")
    try:
        found = merge_shards(paths, target_in(folder), options)
    except RowsMissing:
        outcome = "missing"
    except JobError:
        outcome = "doubled"
    else:
        outcome = "whole"
    assert outcome == ("doubled" if doubles else "missing" if missing else "whole")
    if outcome != "whole":
        assert set(os.listdir(folder)) == before  # noqa: PTH208
        return
    assert found.answered + found.failed == rows
    for kind, name in enumerate(RESULTS):
        text = b"".join(line for _, (line, failed) in sorted(expected.items()) if failed == kind)
        assert (folder / name).read_bytes() == text


def test_a_line_that_was_moved_meanwhile_is_noticed(tmp_path: Path) -> None:
    """A result is never put in the place of another one."""
    path = tmp_path / "out.jsonl"
    path.write_bytes(b'{"id":"batch_req_000000000001"}\n' + b'{"id":"batch_req_000000000002"}\n')
    reader = LineReader([path])
    assert reader.line(2, Place(0, 32, 0)) == b'{"id":"batch_req_000000000002"}\n'
    with pytest.raises(JobError, match=r"was changed while it was merged: .* no longer at byte 32"):
        reader.line(1, Place(0, 32, 0))
    reader.close()


def test_a_long_line_is_read_as_a_whole(tmp_path: Path) -> None:
    """It takes several reads."""
    line = b'{"id":"batch_req_000000000007","x":"' + b"y" * 50_000 + b'"}\n'
    (tmp_path / "out.jsonl").write_bytes(line)
    reader = LineReader([tmp_path / "out.jsonl"])
    assert reader.line(7, Place(0, 0, 0)) == line
    reader.close()


def test_few_files_are_open_at_once(tmp_path: Path) -> None:
    """There may be more shards than a process may have files open."""
    paths = [tmp_path / f"{number}" for number in range(300)]
    for number, path in enumerate(paths):
        path.write_bytes(b'{"id":"batch_req_%012d"}\n' % number)
    reader = LineReader(paths)
    before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    for number in (*range(300), *range(300)):
        assert reader.line(number, Place(number, 0, 0)).startswith(b'{"id"')
    if before:
        assert len(list(Path("/proc/self/fd").iterdir())) - before <= 128
    reader.close()


@given(st.dictionaries(st.integers(0, 9_000), st.integers(0, 2**40), max_size=20))
def test_places_come_back_in_the_order_of_rows(offsets: dict[int, int]) -> None:
    """Holes between them are none."""
    places = Places(5, Path("/tmp"))
    expected = {row: Place(row % 5, offset, 2**64 - 1 - row) for row, offset in offsets.items()}
    for number, place in expected.items():
        places.put(number, place)
    assert list(places) == sorted(expected.items())
    assert places.at(9_001) is None
    places.close()
