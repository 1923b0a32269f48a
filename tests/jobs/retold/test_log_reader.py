"""The history of a job from its event log: what it tells, and what hostile lines do to it."""

from __future__ import annotations

import io
import json
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratedispatch.jobs.retold.log_reader import read_lines
from ratedispatch.observe.page.frames import Frames, ceiling_of, frames_of

if TYPE_CHECKING:
    from collections.abc import Sequence

NOON = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC).timestamp()


def at(seconds: float) -> str:
    moment = datetime.fromtimestamp(NOON + seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def attempt(seconds: float, latency: Any = 1.0, **values: Any) -> dict[str, Any]:
    return {
        "event": "attempt",
        "at": at(seconds),
        "cost": {"requests": 1, "tokens": 300},
        "prompt": 200,
        "usage": {"prompt": 200, "output": 40},
        "wait": 0.5,
        "latency": latency,
        "decision": "answered",
        "code": "",
        **values,
    }


def history_of(*lines: Any) -> Any:
    return read_lines(io.BytesIO(b"".join(json.dumps(one).encode() + b"\n" for one in lines)))


def over_time(frames: Frames, rates: Sequence[float]) -> float:
    return sum(rate * width for rate, width in zip(rates, frames.widths, strict=True))


def begin(seconds: float, **values: Any) -> dict[str, Any]:
    limits = [{"group": "", "models": [], "requests": 600, "tokens": "auto", "burst_s": 0.7}]
    flags = {"INPUT": "in put.jsonl", "--rpm": 600.0, "--quiet": True, "--param": ["a=1", "b=2"]}
    line = {"event": "run", "at": at(seconds), "version": "9.9", "command": "run", "flags": flags}
    return {**line, "limits": limits, "server": "https://api.example.com", **values}


@pytest.mark.parametrize("name", ["a  b.jsonl", "a\nb.jsonl", "it's $(x).jsonl", "a\x1b.jsonl"])
def test_the_command_of_a_run_is_read_back_by_a_shell(name: str) -> None:
    """Whatever the name of a file is: also with two spaces, or with what cannot be seen."""
    (run,) = history_of(begin(0, flags={"INPUT": name, "--output": name})).runs
    assert run.command.isprintable()
    out = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {run.command}"], capture_output=True, check=True
    ).stdout
    assert out.decode().split("\0")[:-1] == ["ratedispatch", "run", name, "--output", name]


def test_a_name_with_a_dash_in_front_is_not_read_back_as_a_flag() -> None:
    """As an argument it is a path, and as a value it stands behind an equals sign."""
    (run,) = history_of(begin(0, flags={"INPUT": "-a.jsonl", "--output": "-b.jsonl"})).runs
    assert run.command == "ratedispatch run ./-a.jsonl --output=-b.jsonl"


def test_half_of_a_pair_in_a_command_is_shown() -> None:
    """JSON may hold it, and no encoding does."""
    (run,) = history_of(begin(0, flags={"INPUT": "a\ud800"})).runs
    assert run.command == r"ratedispatch run $'a\x3f'"


def test_what_a_log_tells_of_a_run() -> None:
    """Rates, limits and their changes, pauses, refusals, the command, the figures at the end."""
    refused: dict[str, Any] = {"decision": "rate_limit", "code": "slow"}
    history = history_of(
        begin(0),
        attempt(2),
        attempt(3, 2.0),
        attempt(4, **refused),
        {"event": "pause", "at": at(4), "seconds": 3, "code": "slow", "group": ""},
        {"event": "limit", "at": at(5), "dimension": "requests", "limit": 300, "window_s": 60},
        attempt(9, 1.0, decision="transient", code="reset"),
        {"event": "stop", "at": at(10), "code": "drained", "message": "asked to stop"},
        {"event": "end", "at": at(10), "report": {"answered": 2, "attempts": 4}},
    )
    assert history.unread == 0
    (run,) = history.runs
    assert (
        run.command == "ratedispatch run 'in put.jsonl' --rpm 600 --quiet --param a=1 --param b=2"
    )
    assert (run.version, run.server) == ("9.9", "https://api.example.com")
    assert run.codes == {"slow": 1, "reset": 1}
    assert run.stop == ("drained", "asked to stop")
    assert run.closing == {"answered": 2, "attempts": 4}
    ceiling = ceiling_of(run.steps, "requests", NOON + 10)
    assert ceiling == [(NOON + 1, 600), (NOON + 5, 300), (NOON + 10, 300)]
    assert ceiling_of(run.steps, "tokens", NOON + 10) == []
    frames = frames_of(run, 5)
    assert (
        sum(rate * width / 60 for rate, width in zip(frames.requests, frames.widths, strict=False))
        == 4
    )
    assert (sum(frames.answers), sum(frames.refusals), sum(frames.broken)) == (2, 1, 1)
    assert (
        sum(each * width for each, width in zip(frames.in_flight, frames.widths, strict=False)) == 5
    )
    assert (
        sum(share * width for share, width in zip(frames.paused, frames.widths, strict=False)) == 3
    )
    assert history.latencies.count == 2
    assert (history.waits.count, history.waits.largest) == (4, 0.5)


def test_a_run_ends_with_its_stop_its_figures_a_new_begin_or_an_hour_of_silence() -> None:
    """A pause is no silence."""
    day = 86_400.0
    pause = {"event": "pause", "at": at(20), "seconds": 2 * day, "code": "day", "group": ""}
    stop = {"event": "stop", "at": at(6), "code": "drained", "message": ""}
    end = {"event": "end", "at": at(6.1), "report": {}}
    history = history_of(
        *(begin(0), attempt(5), stop, end),
        *(attempt(9), attempt(10, 0.5), pause, attempt(20 + 2 * day)),
        attempt(20 + 3 * day),
        begin(30 + 3 * day),
        attempt(40 + 3 * day),
    )
    assert [sum(run.bins.requests) for run in history.runs] == [1, 3, 1, 1]
    assert [run.stop is None for run in history.runs] == [False, True, True, True]


def test_logs_of_earlier_versions_are_read() -> None:
    """Without a first line, without the tokens of prompts, without figures at the end."""
    line = attempt(1)
    del line["prompt"], line["usage"]
    history = history_of(line, attempt(2))
    assert history.unread == 0
    assert sum(history.runs[0].bins.requests) == 2


VALUES: tuple[Any, ...] = (None, -1, "x", [], 1e300, True, float("nan"))
HOSTILE = [
    b"",
    b"not json",
    b"[]",
    b'"event"',
    b"{}",
    b'{"event": "attempt"}',
    b'{"event": "attempt", "at": "yesterday"}',
    b'{"event": "attempt", "at": 5}',
    b'{"event": {}, "at": "2026-11-24T12:00:01Z"}',
    b"[" * 100_000,
    b"\xff\xfe\x00",
    (
        b'{"event": "limit", "at": "2026-11-24T12:00:01Z", "dimension": "r", "limit": 1e999, '
        b'"window_s": 60}'
    ),
    b'{"event": "limit", "at": "2026-11-24T12:00:01Z", "limit": 1, "window_s": 0}',
    b'{"event": "pause", "at": "2026-11-24T12:00:01Z", "seconds": NaN, "code": 1, "group": []}',
    b'{"event": "end", "at": "2026-11-24T12:00:01Z", "report": 7, "x": ' + b"9" * 5_000 + b"}",
    *(
        json.dumps(attempt(1, **{name: value})).encode()
        for name in ("latency", "wait", "cost", "decision", "code", "prompt", "usage")
        for value in VALUES
        if not (name in {"decision", "code"} and value == "x")
        if not (name == "usage" and not value)
    ),
    *(json.dumps(attempt(1, at=f"{year}-12-31T23:59:59Z")).encode() for year in ("0001", "9999")),
    b" " * 50 + b"x" * 2**21,
]


@pytest.mark.parametrize("line", HOSTILE[1:], ids=range(len(HOSTILE) - 1))
def test_a_line_that_cannot_be_is_counted_and_left_out(line: bytes) -> None:
    """It changes nothing of what the other lines say."""
    sound = json.dumps(attempt(3)).encode()
    history = read_lines(io.BytesIO(sound + b"\n" + line + b"\n" + sound + b"\n{torn"))
    assert history.unread == 2
    assert sum(history.runs[0].bins.requests) == 2
    assert history.runs[0].bins.width == 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=10))
def test_no_line_raises(lines: list[bytes]) -> None:
    """Whatever stands on it."""
    assert read_lines(io.BytesIO(b"\n".join(lines))).unread <= sum(
        len(line.split(b"\n")) for line in lines
    )
