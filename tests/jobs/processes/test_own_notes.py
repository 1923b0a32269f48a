"""The journal that several processes write, and the one that follows it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ratedispatch.events import AttemptEnded, RequestEnded
from ratedispatch.jobs.processes.own_notes import OwnNotes
from ratedispatch.jobs.state.follower import Follower
from ratedispatch.jobs.state.journal import Journal, open_journal
from ratedispatch.jobs.state.manifest import manifest_of
from ratedispatch.outcome import Decision, Failed
from ratedispatch.request import Cost, Request
from tests.jobs.job_files import scan_of

#: What may become of an attempt: its status, its decision, and whether it may have been billed.
ENDS = [
    (429, Decision.RATE_LIMIT, False),
    (None, Decision.UNREACHABLE, False),
    (500, Decision.TRANSIENT, True),
    (200, Decision.ANSWERED, True),
]
MANIFEST = manifest_of("in.jsonl", scan_of(b'{"custom_id":"a"}\n' * 3), None, "jsonl")


def request(row: int) -> Request:
    return Request({"model": "m"}, row=row)


def ended(row: int, status: int | None, decision: Decision) -> AttemptEnded:
    return AttemptEnded(request(row), 1, Cost(1), status, decision, "", 0.1, 0.0)


def state(journal: Journal) -> tuple[set[int], int]:
    return set(journal.open_rows), journal.billed_twice


steps = st.lists(st.tuples(st.integers(1, 3), st.sampled_from(ENDS)), max_size=12)


@settings(max_examples=25, deadline=None)
@given(steps=steps)
def test_it_notes_what_one_process_would_have(
    steps: list[tuple[int, tuple[int | None, Decision, bool]]],
) -> None:
    """The same lines, so that what follows them knows the same."""
    with tempfile.TemporaryDirectory() as name:
        alone, shared = (open_journal(Path(name) / one) for one in ("a.job", "b.job"))
        alone.write_manifest(MANIFEST)
        shared.write_manifest(MANIFEST)
        follower = Follower(shared)
        notes = OwnNotes(follower.descriptor, lambda error: None)
        for row, (status, decision, is_billed) in steps:
            alone.send(row)
            assert notes.note(row)
            follower.follow()
            assert state(shared) == state(alone)
            if not is_billed:
                alone.take_back(row)
            notes(ended(row, status, decision))
            follower.follow()
            assert state(shared) == state(alone)
        sent = {row: sum(one == row for one, _ in steps) for row, _ in steps}
        assert follower.sent == sent
        follower.close()
        files = [(Path(name) / one).read_bytes() for one in ("a.job", "b.job")]
        assert files[0] == files[1]
        alone.close()
        shared.close()


def test_a_row_of_an_earlier_run_leaves_once_more(tmp_path: Path) -> None:
    """It may have been billed, whichever process sends it now."""
    path = tmp_path / "out.job"
    journal = open_journal(path)
    journal.write_manifest(MANIFEST)
    journal.send(1)
    follower = Follower(journal)
    notes = OwnNotes(follower.descriptor, lambda error: None)
    notes.expect(1)
    notes.note(1)
    follower.follow()
    assert (journal.billed_twice, follower.sent) == (1, {1: 1})
    notes(RequestEnded(Failed(request(1), "bad", ""), 0.0))
    notes.note(1)
    assert path.read_bytes().endswith(b"\ns1\nt1\ns1\n")
    follower.close()
    journal.close()


def test_notes_in_a_journal_that_was_removed_are_copied(tmp_path: Path) -> None:
    """The processes go on writing to a file that has no name any more."""
    path = tmp_path / "out.job"
    journal = open_journal(path)
    journal.write_manifest(MANIFEST)
    follower = Follower(journal)
    notes = OwnNotes(follower.descriptor, lambda error: None)
    notes.note(1)
    path.unlink()
    follower.follow()
    journal.restore()
    notes.note(2)
    follower.follow()
    follower.close()
    journal.close()
    with contextlib.closing(open_journal(path)) as again:
        assert set(again.open_rows) == {1, 2}


def test_what_cannot_be_noted_is_told(tmp_path: Path) -> None:
    """The attempt does not leave."""
    path = tmp_path / "out.job"
    path.touch()
    told: list[OSError] = []
    descriptor = os.open(path, os.O_RDONLY)
    assert not OwnNotes(descriptor, told.append).note(1)
    assert len(told) == 1
    os.close(descriptor)
