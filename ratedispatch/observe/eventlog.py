"""
Logs what a job does: a line of JSON for each run, attempt, pause, change of a limit and stop.

A listener that writes when it is flushed. If the file can no longer be written, the log ends and
the job continues.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from datetime import UTC
from typing import TYPE_CHECKING, Any

from ratedispatch.events import (
    AttemptEnded,
    AttemptSent,
    JobStopped,
    LimitChanged,
    ProcessLost,
    QueuePaused,
    RouteResumed,
    RouteStopped,
    SharingChanged,
)
from ratedispatch.observe.redact import redact_value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType

    from ratedispatch.events import Event
    from ratedispatch.observe.report import Report

#: Bytes that may wait to be written; a larger backlog is written at once.
_BUFFER = 256 * 1024

# readable by its owner only: custom_ids may be names
_MODE = 0o600


class EventLog:
    """
    Appends what happens to a file. A listener, and a context manager that closes the file.

    Lines wait in memory until `flush`, or until they are 256 KiB.

    Args:
        path: The file; created with mode 0600, or appended to.
        clock: Tells the time of day.
        key: Removed wherever it occurs; or each of several.
        on_failure: Called once with a sentence when the file can no longer be written.

    Raises:
        OSError: It cannot be opened for reading and writing, or is not a regular file.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], datetime],
        key: str | Sequence[str] = "",
        on_failure: Callable[[str], None],
    ) -> None:
        if path.exists() and not path.is_file():
            # a pipe without a reader would hold up the job
            raise OSError(None, "it is not a regular file", str(path))
        self._path = path
        self._clock = clock
        self._key = key
        self._on_failure = on_failure
        self._buffer = bytearray()
        self._waited: dict[int, float] = {}  # by id of the request in flight
        self._is_broken = False
        if path.is_symlink():
            # another user of the folder could have the log appended to any file
            raise OSError(None, "it is a link, and links are not followed", str(path))
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(path, flags, _MODE)
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        if self._ends_in_a_torn_line():
            self._buffer += b"\n"

    def __enter__(self) -> EventLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write what waits and close the file."""
        self.flush()
        self._file.close()

    listens_to = frozenset(
        {AttemptSent, AttemptEnded, QueuePaused, LimitChanged, RouteStopped, RouteResumed}
        | {ProcessLost, JobStopped, SharingChanged}
    )

    def begin(self, **values: Any) -> None:
        """Log that a run begins, with what is to be known of it later."""
        self._append("run", **values)

    def end(self, report: Report) -> None:
        """Log that a run has ended, with its figures."""
        self._append("end", report=report.as_dict())

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def __call__(self, event: Event) -> None:
        """Log *event*."""
        match event:
            case AttemptSent():
                self._waited[id(event.request)] = event.waited
            case AttemptEnded():
                self._append("attempt", **self._attempt(event))
            case QueuePaused():
                self._append(
                    "pause", seconds=round(event.seconds, 3), code=event.code, group=event.group
                )
            case LimitChanged(rate=rate):
                limit = round(rate.limit, 3) if math.isfinite(rate.limit) else None
                self._append(
                    "limit",
                    dimension=rate.dimension,
                    limit=limit,
                    window_s=rate.window,
                    group=event.group,
                )
            case SharingChanged():
                self._append("sharing", message=event.message, group=event.group)
            case RouteStopped():
                self._append(
                    "route_stopped", route=event.route, code=event.code, message=event.message
                )
            case RouteResumed():
                self._append("route_resumed", route=event.route)
            case ProcessLost():
                self._append("process_lost", process=event.process, message=event.message)
            case JobStopped():
                self._append("stop", code=event.code, message=event.message)

    def flush(self) -> None:
        """Write what waits; a file that cannot be written ends the log, after a whole line."""
        waiting, written = bytes(self._buffer), 0
        self._buffer.clear()
        try:
            while written < len(waiting):
                written += self._file.write(waiting[written:])
        except OSError as error:
            self._is_broken = True
            torn = written - (waiting.rfind(b"\n", 0, written) + 1)
            with contextlib.suppress(OSError):
                os.ftruncate(self._file.fileno(), os.fstat(self._file.fileno()).st_size - torn)
            self._on_failure(
                f"the log {self._path} cannot be written ({error.strerror or error}) and ends "
                f"here; the job continues"
            )

    def _attempt(self, event: AttemptEnded) -> dict[str, Any]:
        request, cost, usage = event.request, event.cost, event.usage
        line: dict[str, Any] = {
            "place": request.row,
            "custom_id": request.custom_id,
            "model": request.model,
            "attempt": event.attempt,
            "cost": {"requests": cost.requests, "tokens": cost.tokens},
            "prompt": cost.counted_tokens,
            "cap": cost.expected_output_tokens if cost.is_capped else None,
            "wait": round(self._waited.pop(id(request), 0.0), 3),
            "latency": round(event.latency, 3),
            "status": event.status,
            "decision": event.decision.value,
            "code": event.code,
            "usage": usage and {"prompt": usage.prompt_tokens, "output": usage.output_tokens},
        }
        if event.readings:
            left = {one.bucket: one.remaining for one in event.readings}
            line["remaining"] = {name: value for name, value in left.items() if value is not None}
        if event.route:
            line["route"] = event.route
        return line

    def _append(self, event: str, **values: Any) -> None:
        if self._is_broken:
            return
        at = self._clock().astimezone(UTC).isoformat(timespec="milliseconds")
        line = {"event": event, "at": at.replace("+00:00", "Z"), **values}
        self._buffer += json.dumps(redact_value(line, self._key)).encode() + b"\n"
        if len(self._buffer) >= _BUFFER:
            self.flush()

    def _ends_in_a_torn_line(self) -> bool:
        if self._file.seek(0, os.SEEK_END) == 0:
            return False
        self._file.seek(-1, os.SEEK_END)
        return self._file.read(1) != b"\n"
