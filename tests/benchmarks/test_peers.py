"""The parts of the peers' benchmark that need no peer: the table, workloads, and children."""

from __future__ import annotations

import ast
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.frame.workload import Row, Workload
from benchmarks.live.parts.scenario import Files
from benchmarks.live.sweep import KNOBS, text_of
from benchmarks.peers import __main__ as peers
from benchmarks.peers.measure import check, run_child
from benchmarks.peers.places import DRIVER, variables
from benchmarks.peers.table import OURS, PEERS, Peer
from benchmarks.peers.workloads import TASKS
from ratedispatch.simulate.provider.calls import read_call
from ratedispatch.tokens import count_tokens

BY_NAME = {task.name: task for task in TASKS}


def rows(count: int) -> Workload:
    """Return *count* rows of 200 tokens without their bodies."""
    return Workload("rows", tuple(Row(str(number), {}, 200) for number in range(count)))


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_every_peer_is_pinned_and_has_a_runner_that_knows_nothing_of_the_project(
    peer: Peer,
) -> None:
    """A runner imports its own packages and the standard library, or it could not be imported."""
    assert all("==" in package for package in peer.packages)
    if peer.name == OURS:
        return
    tree = ast.parse((DRIVER.parent / f"{peer.name}.py").read_text("utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert not imported & {"ratedispatch", "benchmarks", "tests"}
    assert any(isinstance(node, ast.FunctionDef) and node.name == "send" for node in tree.body)


def test_the_bounds_are_those_of_the_limits() -> None:
    """They are worked out by hand: (rows - burst) / rate + latency."""
    paced = BY_NAME["paced"]
    assert paced.lower_bound(rows(1500), 0.0) == pytest.approx((1500 - 50) / 50 + 0.2)
    tokens = BY_NAME["tokens"]
    assert tokens.lower_bound(rows(600), 0.0) == pytest.approx(40.0, abs=0.01)
    free = BY_NAME["free"]
    assert free.lower_bound(rows(6000), 0.0) == pytest.approx(30 * 0.02)


@pytest.mark.parametrize(("first", "bound"), [(0.0, 23.2), (5.0, 28.2)])
def test_a_late_start_has_less_of_the_higher_limit(first: float, bound: float) -> None:
    """Of 1,000 rows, 50 go at once, 50 a second until second 15 and 25 a second from then on."""
    drop = BY_NAME["drop"]
    assert drop.lower_bound(rows(1000), first) == pytest.approx(bound)


def test_without_limits_the_server_has_none_and_everybody_the_same_bound() -> None:
    """What is told is far above what anybody can send."""
    free = BY_NAME["free"]
    workload = rows(1)
    assert "--rpm" not in free.server(workload, 0)
    assert free.told(workload).in_flight == 200


@pytest.mark.slow
def test_rows_alike_are_charged_alike() -> None:
    """Rows of 200 tokens are within a few of it."""
    tokens = {row.tokens for row in BY_NAME["drop"].rows(0).rows}
    assert min(tokens) >= 195
    assert max(tokens) <= 205


def test_a_missing_peer_is_reported_with_the_way_out(tmp_path: Path) -> None:
    """Nothing is run, and the reason names the command that installs it."""
    versions, reason = check(PEERS[1], tmp_path)
    assert versions == {}
    assert reason == f"not installed: python -m benchmarks.peers.install {PEERS[1].name}"


def test_a_peer_sees_no_proxy_and_no_module_of_this_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its environment keeps it from the network, and has tiktoken's cache filled."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid")
    monkeypatch.setenv("PYTHONPATH", "somewhere")
    found = variables(PEERS[-1], tmp_path, tmp_path / "home")
    assert "HTTPS_PROXY" not in found
    assert "PYTHONPATH" not in found
    assert found["TELEMETRY_ENABLED"] == "false"
    assert len(list(Path(found["TIKTOKEN_CACHE_DIR"]).iterdir())) == 2


@pytest.mark.skipif(os.name == "nt", reason="wait4 is of POSIX")
def test_a_child_that_takes_too_long_is_ended_and_said_to_be(tmp_path: Path) -> None:
    """It has no exit code, and did not outlive its limit."""
    command = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
    child = run_child(command, dict(os.environ), Files(tmp_path), 0.05)
    assert child.exit_code is None
    assert child.wall < 30


@pytest.mark.skipif(os.name == "nt", reason="wait4 is of POSIX")
def test_what_a_child_used_is_its_own(tmp_path: Path) -> None:
    """Exit code, processor time, memory and last words are told, and the job reaches it."""
    program = "import sys; sys.stderr.write(sys.stdin.read() + ' heard\\n'); sys.exit(3)"
    command = [sys.executable, "-S", "-c", program]
    child = run_child(command, dict(os.environ), Files(tmp_path), 30.0, "job")
    assert (child.exit_code, child.last_words) == (3, "job heard")
    assert 0 < child.cpu < 10


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="/proc is of Linux")
def test_the_memory_of_a_child_is_not_that_of_its_parent(tmp_path: Path) -> None:
    """A small child of a large process is small."""
    # long enough to be looked at while it runs
    command = [sys.executable, "-S", "-c", "import time; time.sleep(0.1)"]
    child = run_child(command, dict(os.environ), Files(tmp_path), 30.0)
    own = Path("/proc/self/status").read_text("utf-8").partition("VmRSS:")[2].split()[0]
    assert 0 < child.peak_rss < int(own) * 1024 / 2


@pytest.mark.slow
@pytest.mark.parametrize("knob", KNOBS)
def test_the_points_of_a_sweep_differ_in_their_knob(knob: str) -> None:
    """No value is measured twice on the same kind of server."""
    points = KNOBS[knob](0)
    assert len({(point.series, point.value) for point in points}) == len(points) >= 10


@pytest.mark.slow
def test_capped_rows_are_charged_their_cap() -> None:
    """The tokens of a row are those that the fake server charges for it."""
    for point in KNOBS["cap-slack"](0):
        row = point.workload.rows[0]
        call = read_call("/v1/chat/completions", row.body, row.custom_id, count_tokens)
        assert call.tokens == row.tokens
        assert json.dumps(row.body).count("max_tokens") == 1


def test_a_sweep_is_shown_with_the_figures_that_it_has() -> None:
    """A point that lacks one, because a run lacked it, has a dash there."""
    speed = {"requests_per_s": {"median": 53.68}}
    points = [
        {"series": "kept", "value": 1.0, "summary": {**speed, "utilisation": {"median": 0.5}}},
        {"series": "kept", "value": 1.5, "summary": speed},
    ]
    heading, first, second = text_of(points).splitlines()
    assert heading.split() == ["value", "requests/s", "used", "of", "TPM"]
    assert first.split() == ["kept", "1", "53.7", "50%"]
    assert second.split() == ["kept", "1.5", "53.7", "–"]


def test_a_workload_is_shown_with_what_went_wrong() -> None:
    """A peer that is skipped has no figures, and one that took too long is said to be so."""
    run: dict[str, Any] = {"exit_code": 0, "last_words": ""}
    ours = {
        "name": OURS,
        "skipped": None,
        "summary": {"makespan_s": {"median": 9.16}},
        "runs": [run, {**run, "exit_code": None}, {**run, "exit_code": 3, "last_words": "oh"}],
    }
    other = {"name": "other", "skipped": "not installed", "summary": {}, "runs": []}
    shown = {"workload": "free", "rows": 6_000, "rpm": 1, "tpm": 2, "in_flight": 200}
    lines = peers.text_of({**shown, "peers": [ours, other]}).splitlines()
    assert lines[0] == "free: 6,000 rows; everybody is told 1 RPM, 2 TPM, 200 in flight"
    assert lines[3].split()[:3] == [OURS, "9.2", "–"]
    assert set(lines[4].split()[1:]) == {"–"}
    assert lines[5:] == [
        f"{OURS}, run 2: took too long",
        f"{OURS}, run 3: exit 3: oh",
        "other is skipped: not installed",
    ]
