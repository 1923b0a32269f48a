"""Counting on several cores against counting on one: the same rows, though a process dies."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.jobs.workload import file_workload, several_cores
from ratedispatch.jobs.workload.file_workload import read_workload
from ratedispatch.jobs.workload.row_reading import Reading
from ratedispatch.request import CHAT, EMBEDDINGS

if TYPE_CHECKING:
    from pathlib import Path

    from ratedispatch.jobs.workload.counted import Counted

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the processes are forked")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of a few lines."""
    monkeypatch.setattr(several_cores, "_FIRST", 3)
    monkeypatch.setattr(several_cores, "_PIECE", 7)
    monkeypatch.setattr(file_workload, "FEWEST_ROWS", 5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Rows of two kinds, with caps and without, blank lines, a bad row and one that is doubled."""
    lines: list[str] = []
    for number in range(90):
        body: dict[str, Any] = {"model": "text-embedding-3-small", "input": [7] * (number + 1)}
        if number % 3:
            messages = [{"role": "user", "content": "word " * number}]
            body = {"model": "gpt-4o-mini", "messages": messages}
            body |= {"max_tokens": number, "n": 2} if number % 2 else {}
        url = CHAT if number % 3 else EMBEDDINGS
        lines.append(json.dumps({"custom_id": f"r{number % 80}", "url": url, "body": body}))
        if number % 20 == 7:
            lines += ["", "{"]
    file = tmp_path / "in.jsonl"
    file.write_text("\n".join(lines))
    return file


def values(counted: Counted) -> tuple[object, ...]:
    return (
        counted.workload.kinds,
        list(counted.workload),
        list(counted.lines),
        list(counted.billed_outputs),
        list(counted.assumed),
        counted.findings,
        counted.counts,
        counted.rows,
        counted.is_whole,
    )


@pytest.mark.parametrize("processes", [2, 5])
def test_several_processes_count_what_one_counts(path: Path, processes: int) -> None:
    """In the order of the file; the progress ends at the end."""
    seen: list[tuple[int, int]] = []
    found = read_workload(path, processes=processes, on_progress=lambda *at: seen.append(at))
    alone = read_workload(path)
    assert values(found) == values(alone)
    assert [len(found.workload), found.rows] == [80, 95]
    size = path.stat().st_size
    assert seen == sorted(seen)
    assert seen[-1] == (size, size)
    assert not multiprocessing.active_children()


def test_a_copy_of_an_input_is_counted_as_well(path: Path, tmp_path: Path) -> None:
    """It has no name: each process opens it by its descriptor."""
    import gzip

    packed = tmp_path / "in.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert values(read_workload(packed, processes=2)) == values(read_workload(path))


def test_a_process_that_dies_is_done_without(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pieces are counted here."""
    alone = read_workload(path)
    here, count = os.getpid(), several_cores._count

    def deadly(rows: Any, lines: range, *more: Any) -> Any:
        if os.getpid() != here and lines.start > 20:
            os.kill(os.getpid(), signal.SIGKILL)
        return count(rows, lines, *more)

    monkeypatch.setattr(several_cores, "_count", deadly)
    assert values(read_workload(path, processes=2)) == values(alone)


def test_an_interruption_leaves_no_process_behind(path: Path) -> None:
    """Whatever they are doing."""

    def interrupted(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_workload(path, processes=3, on_progress=interrupted)
    assert not multiprocessing.active_children()


def test_a_warning_of_all_processes_is_given_once(path: Path) -> None:
    """As if one process had counted."""
    path.write_text(path.read_text().replace("gpt-4o-mini", "own-model"))
    reading = Reading()
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        read_workload(path, reading=reading, processes=3)
    assert len(given) == 1
    assert "'own-model' is not known" in str(given[0].message)
