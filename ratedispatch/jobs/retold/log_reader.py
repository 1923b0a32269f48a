"""
Makes the history of a job from its event log, line by line.

Everything on a line is data: lines that cannot be read or are impossible are counted and left out.
Memory stays bounded, however long the log is.
"""

from __future__ import annotations

import itertools
import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ratedispatch import _json
from ratedispatch.dimension import dimension_named, is_daily
from ratedispatch.jobs.inputs.lines import LongLine, numbered_lines
from ratedispatch.observe.command_text import command_text
from ratedispatch.observe.history import History, LimitStep, PlayedRun, pause_in, stop_in
from ratedispatch.observe.time_bins import is_sound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

#: Bytes of a line; those of the program have some hundred.
_LONGEST = 2**20

#: Characters of a text of a line that are kept.
_LONGEST_TEXT = 2_000

#: Characters of a command and of a dimension's name, and groups of limits.
_LONGEST_COMMAND = 10_000
_LONGEST_NAME = 100
_MOST_GROUPS = 100

#: A key among the limits of a run that is not a limit.
_NO_LIMITS = frozenset({"group", "models", "burst_s"})

#: Seconds without an event, beyond those of a pause, after which another run has begun.
_GAP = 3_600.0

#: Seconds of a latency or a wait, a month: no job has a longer timeout.
_LONGEST_SPAN = 30 * 86_400.0

#: More than any limit is, and any request costs or takes.
_MOST = 1e15


class LogReader:
    """
    Reads the lines of an event log into a history.

    Attributes:
        history: What was read so far.
    """

    def __init__(self) -> None:
        self.history = History()
        self._run: PlayedRun | None = None
        self._started: PlayedRun | None = None
        self._is_over = False
        self._until = 0.0
        self._reading: dict[str, Callable[[PlayedRun, float, dict[str, Any]], None]] = {
            "attempt": self._attempt,
            "pause": self._pause,
            "limit": self._limit,
            "sharing": self._note,
            "route_stopped": self._note,
            "route_resumed": self._note,
            "process_lost": self._note,
            "stop": self._stop,
            "run": self._begin,
            "end": self._end,
        }

    def read(self, line: bytes) -> None:
        """Count what *line* says."""
        try:
            value = _json.loads(line)
            name = value["event"]
            at = datetime.fromisoformat(value["at"]).timestamp()
            read = self._reading.get(name)
            if read is not None:  # events of a later version are no mistake
                read(self._run_at(at, name, value), at, value)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
            self.history.unread += 1

    def _run_at(self, at: float, name: str, value: dict[str, Any]) -> PlayedRun:
        """Return the run that has a line of the time *at*: the last one, or a new one."""
        run = self._run
        if not is_sound(at):
            raise ValueError("no time of this job")
        # the figures of a run come behind the line of its stop
        is_new = name == "run" or at > self._until + _GAP or (self._is_over and name != "end")
        if run is None or is_new:
            latency = _span(value.get("latency")) if name == "attempt" else 0.0
            run = self._run = self.history.begin(at - latency)
            self._is_over = False
        self._until = max(self._until, at)
        return run

    def _attempt(self, run: PlayedRun, at: float, value: dict[str, Any]) -> None:
        latency, wait, cost = _span(value["latency"]), _span(value["wait"]), value["cost"]
        amounts = _number(cost["requests"]), _number(cost["tokens"])
        decision, code = value["decision"], value["code"]
        if not (isinstance(decision, str) and isinstance(code, str)):
            raise ValueError("no code")
        prompt = _number(value.get("prompt", 0))
        usage = value.get("usage") or {}
        billed = _number(usage.get("prompt", 0)) + _number(usage.get("output", 0))
        if run is not self._started:
            self._started = run
            run.start(at - latency)
        self.history.sent(run, at - latency, (*amounts, prompt), wait)
        self.history.ended(run, at, latency, decision, code[:_LONGEST_TEXT], billed)

    def _pause(self, run: PlayedRun, at: float, value: dict[str, Any]) -> None:
        seconds = _number(value["seconds"])
        pause_in(run, at, seconds, _text(value, "code"), _text(value, "group"))
        self._until = max(self._until, at + seconds)

    def _limit(self, run: PlayedRun, at: float, value: dict[str, Any]) -> None:
        window = _number(value["window_s"])
        limit = math.inf if value["limit"] is None else _number(value["limit"])
        if window <= 0:
            raise ValueError("no window")
        group, daily = _text(value, "group"), is_daily(window)
        run.step(LimitStep(at, _text(value, "dimension"), group, limit / window * 60, daily))

    def _note(self, run: PlayedRun, at: float, value: dict[str, Any]) -> None:
        name, message = _text(value, "route"), _text(value, "message") or _text(value, "code")
        if value["event"] == "route_resumed":
            message = "has answered and is used again"
        elif value["event"] == "route_stopped":
            message = f"is left alone for a while: {message}"
        elif value["event"] == "process_lost":
            name = f"process {_text(value, 'process')}"
        run.note(at, f"{name} {message}".strip())

    def _stop(self, run: PlayedRun, at: float, value: dict[str, Any]) -> None:
        stop_in(run, at, _text(value, "code"), _text(value, "message"))
        self._is_over = True

    def _begin(self, run: PlayedRun, at: float, value: dict[str, Any]) -> None:
        tell_begin(run, at, value)

    def _end(self, run: PlayedRun, at: float, value: dict[str, Any]) -> None:
        run.bins.bin_of(at)
        if isinstance(value["report"], dict):
            run.closing = value["report"]
        self._is_over = True


def tell_begin(run: PlayedRun, at: float, value: dict[str, Any]) -> None:
    """Keep in *run*, which begins at *at*, what the first line of its log says."""
    run.version, run.server = _text(value, "version"), _text(value, "server")
    flags = value.get("flags")
    if isinstance(flags, dict):
        run.command = command_text(_text(value, "command"), flags)[:_LONGEST_COMMAND]
    limits = value.get("limits")
    for each in limits[:_MOST_GROUPS] if isinstance(limits, list) else ():
        if isinstance(each, dict):
            for step in _first_steps(each, at):
                run.step(step)


def _first_steps(limits: dict[str, Any], at: float) -> Iterator[LimitStep]:
    """Yield the limits of a group that are known when a run begins."""
    group = _text(limits, "group")
    for name, limit in itertools.islice(limits.items(), _MOST_GROUPS):
        is_number = isinstance(limit, int | float) and not isinstance(limit, bool)
        if name not in _NO_LIMITS and is_number and 0 < limit < _MOST:
            one = dimension_named(name[:_LONGEST_NAME])
            yield LimitStep(at, one.name, group, limit / one.window * 60, one.is_daily)


def read_log(path: Path) -> History:
    """
    Return what the event log *path* tells.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return read_lines(file)


def read_lines(file: BinaryIO) -> History:
    """Return what the lines of an event log tell."""
    reader = LogReader()
    for _, line in numbered_lines(file, longest=_LONGEST):
        if isinstance(line, LongLine):
            reader.history.unread += 1
        else:
            reader.read(line)
    return reader.history


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MOST:
        raise ValueError("no such number")
    return float(value)


def _span(value: Any) -> float:
    """Return seconds that a request can take."""
    seconds = _number(value)
    if seconds > _LONGEST_SPAN:
        raise ValueError("no such time")
    return seconds


def _text(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    return "" if found is None else str(found)[:_LONGEST_TEXT]
