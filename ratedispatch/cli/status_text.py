"""Writes how far jobs are: as text for a person, as a line, and as values of JSON."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from ratedispatch.jobs.standing.job_standing import State, Sum
from ratedispatch.observe.command_text import shell_line
from ratedispatch.observe.human import about_usd, clock_text, duration_text, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.jobs.standing.job_standing import Standing

#: Columns of the words at the beginning of lines.
_COLUMN = 10

#: Reasons, and shards that are missing, that are named.
_MOST_REASONS = 8
_MOST_SHARDS = 8

#: What is said of rows that have left and have no line.
_IN_FLIGHT = "in flight"
_IN_DOUBT = "in doubt (sent, but without a result; may be billed)"


def page(parts: Sequence[Standing], now: float, folder: str) -> list[str]:
    """
    Return how far the jobs *parts* are, as lines.

    Args:
        parts: One, or the shards of one.
        now: Seconds since 1970.
        folder: The working directory, for which commands are written.
    """
    lines = _one(parts[0], now) if len(parts) == 1 else _several(Sum(parts))
    for part in parts:
        lines += [_field("note", note) for note in part.notes]
    for part in parts:
        if part.state is State.RUNNING or part.begun is None or not part.begun.command:
            continue
        if part.left:
            lines.append(_field("continue", _command(part, folder)))
    return [one_line(line) for line in lines]


def line(parts: Sequence[Standing]) -> str:
    """Return how far the jobs *parts* are, as one line."""
    whole = Sum(parts)
    words = [_state_of(whole), _rows(whole.answered + whole.failed, whole.rows)]
    words += [f"{whole.failed:,} failed", *_doubt(whole.in_doubt, is_running=_is_running(parts))]
    words += _speed(whole.rows_per_minute, None)
    if _is_running(parts):
        words.append(f"ETA {clock_text(whole.eta)}")
    if whole.spent is not None:
        words.append(f"{about_usd(whole.spent)} spent")
    return one_line(", ".join(words))


def values(parts: Sequence[Standing]) -> dict[str, Any]:
    """Return how far the jobs *parts* are, as values of JSON: the sum, and each."""
    whole = Sum(parts)
    return {
        "state": _state_of(whole),
        "rows": whole.rows,
        "answered": whole.answered,
        "failed": whole.failed,
        "left": max(0, whole.rows - whole.answered - whole.failed),
        "in_doubt": whole.in_doubt,
        "rows_per_minute": whole.rows_per_minute,
        "eta_seconds": whole.eta,
        "spent_usd": whole.spent,
        "failures": dict(whole.failures),
        "missing_shards": [str(shard) for shard in whole.missing],
        "parts": [_values(part) for part in parts],
    }


def _values(part: Standing) -> dict[str, Any]:
    begun, ended, pace = part.begun, part.ended, part.pace
    return {
        "output": str(part.output),
        "shard": None if part.shard is None else str(part.shard),
        "state": str(part.state),
        "rows": part.rows,
        "answered": part.answered,
        "failed": part.failed,
        "left": part.left,
        "in_doubt": part.in_doubt,
        "begun_at": None if begun is None else begun.at,
        "ended_at": None if ended is None else ended.at,
        "stop_code": (ended.code or None) if ended is not None else None,
        "stop_message": (ended.message or None) if ended is not None else None,
        "last_line_at": part.last,
        "rows_per_minute": None if pace is None else pace.rows_per_minute,
        "pace_seconds": None if pace is None else pace.seconds,
        "eta_seconds": part.eta,
        "spent_usd": part.spent,
        "failures": dict(part.failures),
        "process": begun.process if begun is not None else None,
        "host": begun.host if begun is not None else None,
        "folder": begun.folder if begun is not None else None,
        "command": list(begun.command) if begun is not None else [],
        "notes": list(part.notes),
    }


def _one(part: Standing, now: float) -> list[str]:
    is_running = part.state is State.RUNNING
    lines = [f"{part.output}: {_what(part, now)}"]
    counts = [f"{part.answered:,} answered", f"{part.failed:,} failed"]
    counts += _doubt(part.in_doubt, is_running=is_running)
    lines.append(_field("rows", f"{_rows(part.done, part.rows)}: {', '.join(counts)}"))
    if is_running:
        pace = part.pace
        words = (
            _speed(pace.rows_per_minute, pace.seconds) if pace is not None else ["not known yet"]
        )
        if part.left:
            words.append(f"ETA {clock_text(part.eta)}")
        lines.append(_field("speed", ", ".join(words)))
    return lines + _money_and_failures(part)


def _several(whole: Sum) -> list[str]:
    table = []
    for part in whole.parts:
        pace = part.pace
        speed = "" if pace is None else f"{pace.rows_per_minute:,.0f} rows/min"
        eta = "" if part.eta is None else f"ETA {clock_text(part.eta)}"
        rows = f"{part.done:,} of {part.rows:,}"
        table.append((str(part.output), str(part.state), rows, f"{_share(part)}", speed, eta))
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = [
        "  ".join(
            (cell.ljust if column < 2 else cell.rjust)(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    is_running = _is_running(whole.parts)
    counts = [f"{whole.answered:,} answered", f"{whole.failed:,} failed"]
    counts += _doubt(whole.in_doubt, is_running=is_running)
    done = whole.answered + whole.failed
    lines.append(_field("total", f"{_rows(done, whole.rows)}: {', '.join(counts)}"))
    if is_running:
        words = _speed(whole.rows_per_minute, None) or ["not known yet"]
        lines.append(_field("speed", ", ".join([*words, f"ETA {clock_text(whole.eta)}"])))
    missing = whole.missing
    if missing:
        names = ", ".join(map(str, missing[:_MOST_SHARDS]))
        more = f" and {len(missing) - _MOST_SHARDS:,} more" if len(missing) > _MOST_SHARDS else ""
        verb = "has" if len(missing) == 1 else "have"
        lines.append(_field("missing", f"{names}{more} {verb} no job file among these files"))
    return lines + _money_and_failures(whole)


def _money_and_failures(part: Standing | Sum) -> list[str]:
    lines = []
    if part.spent is not None:
        lines.append(_field("spent", about_usd(part.spent)))
    reasons = list(part.failures.items())
    if reasons:
        texts = [f"{count:,} {reason}" for reason, count in reasons[:_MOST_REASONS]]
        rest = sum(count for _, count in reasons[_MOST_REASONS:])
        texts += [f"{rest:,} for other reasons"] if rest else []
        lines.append(_field("failures", ", ".join(texts)))
    return lines


def _what(part: Standing, now: float) -> str:
    """Return in words whether the job runs, and since when."""
    begun, ended, last = part.begun, part.ended, part.last
    if part.state is State.RUNNING:
        if begun is None or ended is not None:
            return "in use by a process" + ("" if ended is None else " that has sent nothing yet")
        text = f"running since {_instant(begun.at, now)}"
        return f"{text} ({duration_text(max(0.0, now - begun.at))}), process {begun.process}" + (
            f" on {begun.host}" if begun.host else ""
        )
    when = "" if last is None else f"; last line written at {_instant(last, now)}"
    if part.state is State.FINISHED:
        at = ended.at if ended is not None else last
        return "finished" if at is None else f"finished at {_instant(at, now)}{_took(part)}"
    if part.state is State.STOPPED and ended is not None:
        why = f": {ended.message}" if ended.message else ""
        return f"stopped at {_instant(ended.at, now)}{why}"
    if part.state is State.DEAD:
        return f"killed: the process or the machine went down{when}"
    return f"not running{when}"


def _took(part: Standing) -> str:
    if part.begun is None or part.ended is None or part.ended.at < part.begun.at:
        return ""
    return f", after {duration_text(part.ended.at - part.begun.at)}"


def _instant(at: float, now: float) -> str:
    """Return an instant as a clock shows it, with the date if that is not today's."""
    try:
        then, today = (datetime.fromtimestamp(one).astimezone() for one in (at, now))
    except (ValueError, OverflowError, OSError):
        return "an unknown time"
    return then.strftime("%H:%M:%S" if then.date() == today.date() else "%Y-%m-%d %H:%M:%S")


def _rows(done: int, rows: int) -> str:
    share = f" ({done / rows:.0%})" if rows else ""
    return f"{done:,} of {rows:,} rows{share}"


def _share(part: Standing) -> str:
    return f"{part.done / part.rows:.0%}" if part.rows else ""


def _speed(rows_per_minute: float | None, seconds: float | None) -> list[str]:
    if rows_per_minute is None:
        return []
    span = "" if seconds is None else f" over the last {duration_text(seconds)}"
    return [f"{rows_per_minute:,.0f} rows/min{span}"]


def _doubt(count: int, *, is_running: bool) -> list[str]:
    if is_running:
        return [f"{count:,} {_IN_FLIGHT}"]
    return [f"{count:,} {_IN_DOUBT}"] if count else []


def _command(part: Standing, folder: str) -> str:
    assert part.begun is not None
    command = shell_line(_words_on(part))
    if part.begun.folder in {"", folder}:
        return command
    return f"{shell_line(['cd', part.begun.folder])} && {command}"


def _words_on(part: Standing) -> Sequence[str]:
    """Return the command that resumes the job: as typed, or a run after a complete probe."""
    assert part.begun is not None
    words = part.begun.command
    is_whole = part.ended is not None and not part.ended.message
    if not is_whole or words[1:2] != ("simulate",):
        return words
    from click import UsageError

    from ratedispatch.cli.command_line import same_words_for
    from ratedispatch.cli.run import run
    from ratedispatch.cli.simulate import simulate

    try:
        return same_words_for(words[2:], simulate, run)
    except UsageError:  # of another release
        return words


def _is_running(parts: Sequence[Standing]) -> bool:
    return any(part.state is State.RUNNING for part in parts)


def _state_of(whole: Sum) -> str:
    """Return the state of all: running if one runs, finished if all are, else the worst."""
    states = [part.state for part in whole.parts]
    for state in (State.RUNNING, State.DEAD, State.STOPPED, State.UNKNOWN):
        if state in states:
            return str(state)
    return str(State.STOPPED if whole.missing else State.FINISHED)


def _field(name: str, text: str) -> str:
    return f"  {name:{_COLUMN}}{text}"
