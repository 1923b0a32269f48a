"""The coarse history of a job from the notes in its job file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ratedispatch.jobs.retold.job_file_runs import read_job_file
from ratedispatch.jobs.state.run_notes import Begun, Ended, Mark

if TYPE_CHECKING:
    from pathlib import Path

START = 1_795_521_600.0


def mark(seconds: float, answered: int, open_rows: int = 0) -> bytes:
    return Mark(START + seconds, answered, 0, open_rows, 0, 0).to_line()


def test_answers_what_was_in_flight_and_the_ends_of_runs(tmp_path: Path) -> None:
    """Between two marks answers come evenly; those of earlier runs count once."""
    path = tmp_path / "out.jsonl.job"
    path.write_bytes(
        b'{"format": 2}\ns1\n'
        + Begun(START, ("ratedispatch", "run", "in put")).to_line()
        + mark(0, 0)
        + b"s2\nb2\n"
        + mark(2, 10, 4)
        + mark(4, 30, 4)
        + Ended(START + 4, "drained", "asked to stop").to_line()
        + Begun(START + 90, ()).to_line()
        + mark(90, 30)
        + mark(92, 36, 6)
        + b"s3\nw12,torn"
    )
    history = read_job_file(path)
    assert history is not None
    assert history.is_coarse
    first, second = history.runs
    assert first.bins.answers[:5] == pytest.approx([5, 5, 10, 10, 0])
    assert first.bins.in_flight()[:4] == pytest.approx([2, 2, 4, 4])
    assert (first.command, first.stop) == (
        "ratedispatch run 'in put'",
        ("drained", "asked to stop"),
    )
    assert (sum(second.bins.answers), second.stop) == (6, None)


def test_a_command_is_told_without_the_texts_that_are_sent(tmp_path: Path) -> None:
    """As an event log tells it: a page is passed on. A word after a text is a flag again."""
    path = tmp_path / "out.jsonl.job"
    command = (
        "ratedispatch", "run", "in.csv", "--prompt", "--system", "--model", "m",
        "--system=Be kind", "--param", "user=ann", "-o", "a=b",
    )  # fmt: skip
    path.write_bytes(b'{"format": 2}\n' + Begun(START, command).to_line() + mark(0, 0) + mark(2, 1))
    history = read_job_file(path)
    assert history is not None
    assert history.runs[0].command == (
        "ratedispatch run in.csv --prompt '[text]' --model m '--system=[text]' --param '[text]' "
        "-o a=b"
    )


@pytest.mark.parametrize("text", [b"", b"{}\n", b"\xff" * 5_000, b"{}\nw1,2,3,4,5,6\n"])
def test_a_job_file_without_notes_tells_nothing(tmp_path: Path, text: bytes) -> None:
    """Nor does one that is not there, one of a former release, or a mark without a beginning."""
    path = tmp_path / "out.jsonl.job"
    assert read_job_file(path) is None
    path.write_bytes(text)
    assert read_job_file(path) is None
