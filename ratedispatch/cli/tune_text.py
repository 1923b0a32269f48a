"""Writes the advice of ``tune`` as text for a person: settings, their effects, and limits."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

from ratedispatch.dimension import dimension_named
from ratedispatch.observe.human import about_usd, duration_text, one_line
from ratedispatch.pacing.bottleneck import words_for
from ratedispatch.simulate.tune.sensitivity import DEPTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ratedispatch.cli.tune_verify import Checked
    from ratedispatch.jobs.tuning.tuner import OnAccount, Tuning
    from ratedispatch.simulate.tune.advice import Advice
    from ratedispatch.simulate.tune.sensitivity import Doubt, Raise, Wrong
    from ratedispatch.simulate.tune.setting import Setting
    from ratedispatch.simulate.tune.trial import Trial

#: What more of it brings is not worth a line below so much of the time.
_LITTLE = 0.005

#: The share from which on a time is so many times as long instead of longer by percents.
_TIMES_FROM = 10.0

_LONGEST_NAME = 40

#: What the knobs are called, with what a run does that says nothing about them.
_KNOBS = {
    "max_in_flight": ("in flight", "default"),
    "burst_seconds": ("burst", ""),
    "max_tokens": ("max tokens", "as in the rows"),
    "order": ("order", ""),
    "processes": ("processes", ""),
}

#: What is said of a provider.
_SAID = {
    DEPTH: "bucket depth",
    "latency": "latency",
    "token_time": "time per token",
}

_LIMITS = {
    "requests_per_minute": "requests per minute",
    "tokens_per_minute": "tokens per minute",
    "input_tokens_per_minute": "input tokens per minute",
    "output_tokens_per_minute": "output tokens per minute",
    "requests_per_day": "requests per day",
    "tokens_per_day": "tokens per day",
    "engine_slots": "slots of the server",
}


def describe_tuning(
    tuning: Tuning, command: str, checked: Sequence[Checked] = (), *, width: int
) -> str:
    """
    Return *tuning* as text for a person.

    Args:
        tuning: What was found.
        command: The recommended command line.
        checked: What was run to compare.
        width: Columns of the terminal; a command line is not broken, so that it can be copied.
    """
    own = tuning.accounts[0]
    parts = [
        textwrap.fill(f"{_rows(tuning.rows)} on {_account(own)}", width),
        _compared(own.advice),
        textwrap.fill(_binding(own.advice.best), width),
        _recommended(tuning, command, width),
        _sensitivity(own.advice.wrong),
        _doubts(own.advice.doubts),
        _raises(own.advice.raises),
        _others(tuning.accounts, width),
        _ways(tuning.accounts, width),
        _checked(checked, width),
        "\n".join(textwrap.fill(note, width) for note in tuning.notes),
    ]
    return "\n\n".join(part for part in parts if part)


def _account(one: OnAccount) -> str:
    name = one_line(one.account.name)[:_LONGEST_NAME]
    owner = "your account" if name == "yours" else f"an account of {name}"
    return f"{owner}: {one.account.limits_text}"


def _compared(advice: Advice) -> str:
    """Return the table of the compared settings, with their predictions."""
    varied = [
        knob
        for knob in _KNOBS
        if len({getattr(trial.setting, knob) for trial in advice.finalists}) > 1
    ]
    lines = [("", *(_KNOBS[knob][0] for knob in varied), "time", "cost", "refused", "latency")]
    for trial in advice.finalists:
        label = "best" if trial is advice.best else "next"
        if trial is advice.default:
            is_best = trial is advice.best and math.isfinite(trial.seconds)
            label = "current, best" if is_best else "current"
        lines.append((label, *(_value(knob, trial.setting) for knob in varied), *_figures(trial)))
    return table_text(lines)


def _figures(trial: Trial) -> tuple[str, ...]:
    return (
        time_text(trial.seconds),
        "–" if trial.usd is None else about_usd(trial.usd),
        f"{trial.refused:,}",
        f"{trial.latency:.2f} s",
    )


def _binding(trial: Trial) -> str:
    if not math.isfinite(trial.seconds):
        return f"The job stops before its end with any settings: {one_line(trial.stop)}"
    if not trial.binding:
        return "No limit holds the job back, only the latency of its answers."
    shares = ", ".join(
        f"{share:.0%} of the limit on {_limit(name)}" for name, share in trial.shares.items()
    )
    text = f"The best setting is bound by {words_for(trial.binding)}"
    return f"{text}; it uses {shares}." if shares else f"{text}."


def _limit(dimension: str) -> str:
    unit = dimension_named(dimension).unit
    return f"{unit} per day" if dimension.endswith("_per_day") else unit


def _recommended(tuning: Tuning, command: str, width: int) -> str:
    advice = tuning.advice
    if not advice.changes:
        head = "Keep the current settings; no change saves 1% of the time:"
        if not math.isfinite(advice.best.seconds):
            head = "No settings prevent that:"
    else:
        head = f"This command saves {advice.saved:.0%} of the time:"
    lines = [head, f"  {command}"]
    cap = advice.best.setting.max_tokens
    lines += [
        textwrap.fill(
            f"--max-tokens {cap} lowers the output caps of {_rows(one.lowered)} and cuts off "
            f"{_count(one.cut)}, as far as their lengths are known.",
            width,
        )
        for one in tuning.caps
        if one.tokens == cap and "max_tokens" in advice.changes
    ]
    return "\n".join(lines)


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _count(number: float) -> str:
    if number >= 1.5:
        return f"about {number:,.0f} answers"
    return "fewer than 2 answers" if number else "no answer"


def _sensitivity(wrong: Sequence[Wrong]) -> str:
    if not wrong:
        return ""
    by_knob: dict[str, list[Wrong]] = {}
    for one in wrong:
        by_knob.setdefault(one.knob, []).append(one)
    lines = [
        (f"  {_KNOBS[knob][0]}", *(f"{_plain(knob, one.value)}: {_cost(one.cost)}" for one in all_))
        for knob, all_ in by_knob.items()
    ]
    return "Change in time with another value of one setting:\n" + table_text(lines)


def _doubts(doubts: Sequence[Doubt]) -> str:
    if not doubts:
        return ""
    lines = []
    for one in doubts:
        counts = ((one.unanswered, "rows not answered"), (one.refused, "refused"))
        refused = ", ".join(f"{count:,} {what}" for count, what in counts if count)
        words = "half, " if one.name == DEPTH else "double, "
        value = f"{words}{one.value:.3g} s: {_cost(one.cost)}"
        lines.append((f"  {_SAID[one.name]}", value, refused))
    return "Change in time if the provider differs from the description:\n" + table_text(lines)


def _cost(share: float) -> str:
    if not math.isfinite(share):
        return "never ends"
    if share >= _TIMES_FROM:
        return f"{share + 1:,.0f} times as long"
    return "the same" if abs(share) < _LITTLE else f"{share:+.0%}"


def _raises(raises: Sequence[Raise]) -> str:
    by_name: dict[str, list[Raise]] = {}
    for one in raises:
        by_name.setdefault(one.name, []).append(one)
    lines: list[tuple[str, ...]] = []
    for name, steps in by_name.items():
        if max(step.saved for step in steps) < _LITTLE:
            lines.append((f"  {_LIMITS.get(name, name)}", "no effect"))
            continue
        lines.append(
            (
                f"  {_LIMITS.get(name, name)}",
                *(f"{_times(s)} saves {max(0.0, s.saved):.0%}" for s in steps),
            )
        )
    if not lines:
        return ""
    return "Time that a higher limit saves:\n" + table_text(lines)


def _times(step: Raise) -> str:
    return "double" if step.factor == 2 else f"{step.factor - 1:+.0%}"


def _others(accounts: Sequence[OnAccount], width: int) -> str:
    if len(accounts) < 2:
        return ""
    lines: list[tuple[str, ...]] = [("  account", "time", "cost", "refused", "latency")]
    notes = []
    for one in accounts[1:]:
        name = one_line(one.account.name)[:_LONGEST_NAME]
        lines.append((f"  {name}", *_figures(one.advice.best)))
        notes.append(_noted(f"{name}: {one.account.limits_text}", width))
    head = "Best settings on other accounts:"
    return "\n".join([head, table_text(lines), *notes])


def _noted(text: str, width: int) -> str:
    """Return *text* as a note below a table."""
    return textwrap.fill(text, width, initial_indent="  ", subsequent_indent="    ")


def _ways(accounts: Sequence[OnAccount], width: int) -> str:
    ways = accounts[0].ways
    if not ways:
        return ""
    lines = []
    for way in ways:
        if way.most == way.least:
            time = time_text(way.least)
        elif way.most is None:
            time = f"{time_text(way.least)} or more"
        else:
            time = f"up to {time_text(way.most)}"
        cost = "–" if way.usd is None else about_usd(way.usd)
        lines.append((f"  {way.service}", time, cost))
    notes = [_noted(f"{way.service}: {way.note}", width) for way in ways]
    return "\n".join(["Services of the provider:", table_text(lines), *notes])


def _checked(checked: Sequence[Checked], width: int) -> str:
    if not checked:
        return ""
    varied = [knob for knob in _KNOBS if len({getattr(one.setting, knob) for one in checked}) > 1]
    names = (_KNOBS[knob][0] for knob in varied)
    lines: list[tuple[str, ...]] = [("  rows", *names, "predicted", "measured", "error", "refused")]
    for one in checked:
        values = (_value(knob, one.setting) for knob in varied)
        if one.measured is None or one.error is None:
            figures: tuple[str, ...] = ("none",)
        else:
            figures = (time_text(one.measured), f"{one.error:+.1%}", f"{one.refused:,}")
        lines.append((f"  {one.rows:,}", *values, time_text(one.foretold), *figures))
    notes = dict.fromkeys(_noted(one.note, width) for one in checked if one.note)
    return "\n".join(["Predicted and measured times:", table_text(lines), *notes])


def _value(knob: str, setting: Setting) -> str:
    value = getattr(setting, knob)
    return _KNOBS[knob][1] if value is None else _plain(knob, value)


def _plain(knob: str, value: Any) -> str:
    if value is None:
        return _KNOBS[knob][1]
    return f"{value:g} s" if knob == "burst_seconds" else str(value)


def time_text(seconds: float) -> str:
    """Return a time, or that it has no end."""
    return duration_text(seconds) if math.isfinite(seconds) else "never ends"


def table_text(lines: Iterable[Sequence[str]]) -> str:
    """Return *lines* as columns, all but the first aligned at their right ends."""
    rows = list(lines)
    count = max(map(len, rows))
    widths = [
        max((len(row[at]) for row in rows if at < len(row)), default=0) for at in range(count)
    ]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=False))
        ).rstrip()
        for row in rows
    )
