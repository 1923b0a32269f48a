"""The parts of the benchmark against real servers that need no server."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.real import __main__ as real
from benchmarks.real import measure
from benchmarks.real.parts import RealServer, Trial, missing_package, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def nowhere(folder: Path) -> Iterator[str]:
    yield "http://127.0.0.1:9/v1"


TRIAL = Trial("by rate", nowhere, (), ideal=2.0, rows=2)

GOOD: dict[str, Any] = {"answered": 2, "failed": 0, "ratio": 1.15, "refused_share": 0.1}


@pytest.mark.parametrize(
    ("changes", "is_met"),
    [
        ({}, True),
        ({"answered": 1}, False),
        ({"failed": 1}, False),
        ({"ratio": 1.16}, False),
        ({"ratio": None}, True),
        ({"refused_share": 0.11}, False),
    ],
)
def test_a_target_is_met_by_rows_seconds_and_refusals(
    changes: dict[str, Any], is_met: bool
) -> None:
    assert measure.is_met(TRIAL, {**GOOD, **changes}) is is_met


def test_the_figures_of_a_run_are_read_from_its_files(tmp_path: Path) -> None:
    """Seconds run from the first sending, which is an end less its latency, to the last end."""
    attempts = [("10.200", 0.2, 200), ("10.100", 0.0, 503), ("13.000", 0.3, 200)]
    lines = [
        {
            "event": "attempt",
            "at": f"2026-01-01T00:00:{at}Z",
            "latency": latency,
            "status": status,
        }
        for at, latency, status in attempts
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    answers = [{"custom_id": "a"}, {"custom_id": "b"}, {"custom_id": "b"}]
    (tmp_path / "out.jsonl").write_text("\n".join(map(json.dumps, answers)), encoding="utf-8")
    figures = measure.figures_of(TRIAL, tmp_path)
    assert figures == {
        "rows": 2,
        "answered": 2,
        "failed": 0,
        "doubled": 1,
        "attempts": 3,
        "refused": 1,
        "refused_share": 0.3333,
        "seconds": 3.0,
        "ratio": 1.5,
        "latency_p50_s": 0.3,
        "per_second": 0.67,
    }


def test_a_server_that_cannot_be_had_is_skipped_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = RealServer("nginx", lambda: missing_package("no-such-server"), (TRIAL,))
    monkeypatch.setattr(real, "SERVERS", (server,))
    assert real.main(["nginx"]) == 0
    reason = "nginx was skipped: no-such-server is not installed: apt-get install no-such-server"
    assert reason in capsys.readouterr().out


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "echo no such directive; exit 1"]
    with (
        pytest.raises(RuntimeError, match="sh does not listen on port 9: no such directive"),
        running(command, tmp_path, 9),
    ):
        pass
