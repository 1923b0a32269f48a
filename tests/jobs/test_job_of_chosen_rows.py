"""A run that sends chosen rows only, and the run after it that sends the rest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ratedispatch.jobs.batchfile import row_of
from ratedispatch.jobs.job_options import JobOptions
from ratedispatch.jobs.plan.spending import Caps
from ratedispatch.jobs.shard import Shard
from tests.jobs.played_job import ROWS, at_end, files_in, play

if TYPE_CHECKING:
    from pathlib import Path

    from ratedispatch.events import Event
    from ratedispatch.jobs.job import Job


def answered(folder: Path) -> list[int]:
    lines = files_in(folder).output.read_bytes().splitlines()
    return sorted(row_of(line) or 0 for line in lines)


def test_the_chosen_rows_are_sent_and_the_others_wait(tmp_path: Path) -> None:
    """Nothing stops the run; the same again sends nothing, and a run without a choice the rest."""
    only = JobOptions(only=[2, 7, 9])
    report = play(tmp_path, rows=ROWS, job_options=only)
    assert (report.answered, report.resumed, report.unanswered) == (3, 0, 7)
    assert report.stop_code is None
    assert answered(tmp_path) == [2, 7, 9]
    again = play(tmp_path, job_options=only)
    assert (again.attempts, again.answered, again.resumed) == (0, 3, 3)
    rest = play(tmp_path)
    assert (rest.attempts, rest.answered, rest.resumed) == (7, 10, 3)
    assert answered(tmp_path) == list(range(1, 11))


def test_a_choice_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    """After one row is asked to drain: what was in flight is done, and not sent again."""
    only = JobOptions(only=range(4, 9))
    first = play(
        tmp_path,
        rows=ROWS,
        job_options=only,
        listen=at_end(1, lambda job: job.drain()),
        max_in_flight=1,
    )
    assert first.stop_code == "drained"
    done = answered(tmp_path)
    assert 1 <= len(done) < 5
    second = play(tmp_path, job_options=only)
    assert second.attempts == 5 - len(done)
    assert answered(tmp_path) == [4, 5, 6, 7, 8]


def test_bad_rows_that_were_not_chosen_are_left_to_the_other_run(tmp_path: Path) -> None:
    """They are in the errors file once, by the run that reads them."""
    files = files_in(tmp_path)
    lines = ["{", *map(json.dumps, ROWS[:4]), "[]"]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    report = play(tmp_path, job_options=JobOptions(only=[3]))
    assert (report.answered, report.failed) == (1, 0)
    rest = play(tmp_path)
    assert (rest.answered, rest.failed) == (4, 2)
    assert len(files.errors.read_bytes().splitlines()) == 2


def test_a_choice_and_a_shard_and_a_cap_hold_together(tmp_path: Path) -> None:
    """Rows of other shards are not sent, and no more than may be."""
    shard = Shard(0, 2)
    own = [line for line in range(1, 11) if line in shard]
    options = JobOptions(only=range(1, 11), shard=shard)
    report = play(tmp_path, rows=ROWS, job_options=options, caps=Caps(max_rows=2))
    assert (report.answered, report.stop_code) == (2, "max_rows")
    assert set(answered(tmp_path)) < set(own)


def test_what_is_ahead_is_the_rest_of_the_choice(tmp_path: Path) -> None:
    """After one of four, three times as much; rows that are done are not ahead."""
    play(tmp_path, rows=ROWS, job_options=JobOptions(only=[1]))
    seen: list[float] = []

    def look(job: Job, _: Event) -> None:
        ahead = job.ahead()
        if ahead is not None:
            seen.append(ahead.rows)

    play(tmp_path, job_options=JobOptions(only=[1, 4, 6, 8, 10]), listen=look, max_in_flight=1)
    assert seen[0] == 3.0
    assert seen[-1] == 0.0
