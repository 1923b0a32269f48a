"""What a job reads: its order, a file that grows or shrinks, one without rows, a table."""

from __future__ import annotations

import dataclasses
import random
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.errors import JobError
from ratedispatch.jobs.inputs.template import Template
from ratedispatch.jobs.job import Job
from ratedispatch.jobs.job_options import JobOptions
from ratedispatch.jobs.order import Order
from ratedispatch.jobs.run_file import run_file
from ratedispatch.limits import Limits
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.transport import ProviderTransport
from tests.jobs.job_files import row, text_of
from tests.jobs.played_job import FAST, ROWS, SLOW, at_end, files_in, names, play

if TYPE_CHECKING:
    from pathlib import Path

    from ratedispatch.observe.report import Report
    from ratedispatch.request import Request


def sent_of(folder: Path, rows: list[dict[str, Any]], **options: Any) -> list[int]:
    """Return the numbers of the rows in the order in which they were sent, one at a time."""
    sent: list[int] = []

    def send(request: Request) -> None:
        sent.append(request.row or 0)

    provider = dataclasses.replace(SLOW, latency=0.001)
    play(folder, rows=rows, send=send, provider=provider, max_in_flight=1, **options)
    return sent


@pytest.mark.parametrize("order", [Order.AUTO, Order.FILE])
def test_rows_go_in_their_order_where_nothing_is_gained_by_another(
    tmp_path: Path, order: Order
) -> None:
    """As a person expects."""
    sent = sent_of(tmp_path, ROWS, job_options=JobOptions(order=order))
    assert sent == list(range(1, 11))


@pytest.mark.parametrize("is_reversed", [False, True])
def test_a_sorted_file_is_read_from_many_places_in_turn(tmp_path: Path, is_reversed: bool) -> None:
    """So that short and long rows go at once, and both limits are used."""
    rows = [row(f"s{number}", max_tokens=1) for number in range(240)]
    rows += [row(f"l{number}", max_tokens=3_000) for number in range(80)]
    both = Limits(requests_per_minute=64_000, tokens_per_minute=50_000_000)
    sent = sent_of(tmp_path, rows[::-1] if is_reversed else rows, limits=both)
    assert sorted(sent) == list(range(1, 321))
    long = range(1, 81) if is_reversed else range(241, 321)
    for begin in range(0, 320, 16):
        assert 2 <= sum(number in long for number in sent[begin : begin + 16]) <= 6


def test_a_file_that_grows_is_done_as_far_as_it_went(tmp_path: Path) -> None:
    """With a note; the next run refuses the other content until it is forced."""
    path = tmp_path / "in.jsonl"

    def grow(_: Job) -> None:
        with path.open("ab") as file:
            file.write(text_of(row("new")))

    first = play(tmp_path, rows=ROWS, listen=at_end(1, grow))
    assert (first.answered, first.stop_code) == (10, None)
    assert "only the rows that it had then were processed" in first.notes[0]
    with pytest.raises(JobError, match="10 are unchanged"):
        play(tmp_path)
    last = play(tmp_path, job_options=JobOptions(allow_changed_input=True))
    assert (last.answered, last.attempts) == (11, 1)


def test_a_file_that_becomes_shorter_stops_the_job(tmp_path: Path) -> None:
    """With code "input"; what was answered is written."""
    rows = [row(f"r{number}", user="x" * 2_000) for number in range(60)]

    def cut(_: Job) -> None:
        (tmp_path / "in.jsonl").write_bytes(text_of(*rows[:30]))

    report = play(
        tmp_path, rows=rows, listen=at_end(2, cut), job_options=JobOptions(order=Order.FILE)
    )
    assert report.stop_code == "input"
    assert report.answered == report.attempts == len(names(tmp_path / "out.jsonl"))


@pytest.mark.parametrize("text", [b"", b"\n \r\n", b"\xef\xbb\xbf\n"])
def test_an_input_without_rows_is_refused_and_nothing_is_made(tmp_path: Path, text: bytes) -> None:
    """Blank lines are no rows."""
    (tmp_path / "in.jsonl").write_bytes(text)
    with pytest.raises(JobError, match=r"the input .* is empty"):
        Job(files_in(tmp_path), FAST)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_template_that_names_a_missing_column_is_refused_and_nothing_is_made(
    tmp_path: Path,
) -> None:
    """Before anything is sent."""
    (tmp_path / "in.jsonl").write_bytes(b'{"text": "x"}\n')
    with pytest.raises(JobError, match="txet"):
        Job(files_in(tmp_path), FAST, JobOptions(template=Template("{txet}", model="gpt-4o")))
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_table_is_answered_row_by_row(tmp_path: Path) -> None:
    """Equal rows stay separate; a broken one fails alone, and takes no other with it."""
    table = tmp_path / "in.csv"
    table.write_bytes(b"text,n\nsame,1\nsame,1\ntoo,many,cells\n")
    output = tmp_path / "out.jsonl"

    async def main() -> Report:
        transport = ProviderTransport(SLOW, random.Random(1))
        options = JobOptions(template=Template("{text}", model="gpt-4o"))
        return await run_file(table, output, client=transport, limits=FAST, job_options=options)

    report = run_virtual(main())
    assert (report.answered, report.failed) == (2, 1)
    assert sorted(names(output)) == ["row-1", "row-2"]
    assert run_virtual(main()).attempts == 0
