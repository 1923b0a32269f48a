"""
Renders a report page: one self-contained HTML file without network access and scripts.

The texts of a page come from inputs, providers and logs, so the template escapes all of them, and
a policy in the page forbids a browser to load or run anything.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from ratedispatch.observe.human import about_usd, duration_text, one_line
from ratedispatch.observe.page import captions
from ratedispatch.observe.page.bar_chart import histogram, shares
from ratedispatch.observe.page.progress_chart import progress_figure
from ratedispatch.observe.page.run_section import Figure, section_of
from ratedispatch.observe.page.ticks import between_text, date_text
from ratedispatch.observe.page.time_chart import LAYOUTS
from ratedispatch.observe.summary import topics

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jinja2 import Environment

    from ratedispatch.observe.history import History
    from ratedispatch.observe.page.material import Material
    from ratedispatch.observe.spread import Spread

_FOLDER = Path(__file__).parent

#: Runs that are shown with their charts: the last ones.
_SHOWN_RUNS = 4

#: Characters of a text from outside that are shown: of a name, of a message, and of any.
_NAME = 120
_MESSAGE = 400

_LONGEST = 10_000

_MODELS = 40

#: More answers in the log than in the output: a row may be sent again after a kill, but seldom.
_MANY_MORE, _SOME = 1.1, 20


def render(material: Material) -> str:
    """Return the page of *material* as HTML."""
    style = (_FOLDER / "page.css").read_text("utf-8")
    template = _environment().get_template("page.html")
    return template.render(
        material=material,
        style=Markup(style),  # noqa: S704  (it is the package's own)
        policy=_policy(style),
        made=date_text(material.made.timestamp()),
        headline=captions.headline(material),
        tiles=list(_tiles(material)),
        held=_held(material),
        prediction=_prediction(material),
        sections=_sections(material.history),
        runs=list(_runs(material.history)),
        spreads=list(_spreads(material)),
        failures=captions.failures_sentence(material.outcomes),
        reasons=sorted(material.outcomes.reasons.items(), key=lambda item: -item[1].rows),
        models=list(_models(material)),
        topics={} if material.report is None else topics(material.report, cost=material.cost),
        notes=list(_notes(material)),
    )


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    found = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,  # what no filter has cut, too
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["name"] = functools.partial(_cut, most=_NAME)
    found.filters["message"] = functools.partial(_cut, most=_MESSAGE)
    return found


def _policy(style: str) -> str:
    """Return what the page may do: be shown, in its own style."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _shown(value: object) -> object:
    """Return *value* with nothing in it that could hide or act, unless it is markup."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return _cut(value, _LONGEST)


def _cut(text: object, most: int) -> str:
    """Return *text* visible, on one line, and not too long."""
    found = str(text)[: most + 1]
    return one_line(found if len(found) <= most else found[: most - 1] + "…")


def _tiles(material: Material) -> Iterator[tuple[str, str, str]]:
    """Yield the figures that stand first: the number, what it is, and a remark."""
    outcomes, report, history = material.outcomes, material.report, material.history
    total = outcomes.rows
    yield f"{outcomes.answered:,}", "answered", f"of {total:,} rows" if total else "rows"
    yield f"{outcomes.failed:,}", "failed", "" if outcomes.failed else "no row"
    if report is not None and history is not None and len(history.runs) + history.earlier > 1:
        yield duration_text(report.seconds), "last run", f"of {_runs_text(history)}"
    elif report is not None:
        yield duration_text(report.seconds), "time", ""
    elif history is not None and history.runs:
        yield duration_text(sum(run.bins.seconds for run in history.runs)), "time", "of all runs"
    if report is not None and report.attempts:
        share = f"{captions.percent(report.refusals / report.attempts)} " if report.refusals else ""
        yield f"{report.refusals:,}", "refused", f"{share}of {report.attempts:,} sent"
    if material.costs:
        yield about_usd(sum(material.costs.values())), "cost", "all runs"
    elif material.cost is not None:
        yield material.cost, "cost", "last run"
    if report is not None and report.shares and report.attempts:
        best = max(report.shares.values())
        yield captions.percent(best), "limit used", "the most used limit"


def _runs_text(history: History) -> str:
    return captions.counted(len(history.runs) + history.earlier, "run")


def _held(material: Material) -> Figure | None:
    report = material.report
    rows = [] if report is None else captions.held_rows(report)
    if report is None or not rows:
        return None
    about = captions.held_sentence(report) or "One request was sent."
    pictures = [
        (layout.kind, shares(rows, about, layout, f"held-{layout.kind}")) for layout in LAYOUTS
    ]
    return Figure("", about, pictures)


def _prediction(material: Material) -> dict[str, Any] | None:
    predicted, history, report = material.predicted, material.history, material.report
    if predicted is None:
        return None
    runs = history.runs if history is not None else []
    is_coarse = history is not None and history.is_coarse
    seconds = report.seconds if report is not None else None
    if len(runs) > 1 or seconds is None:  # a prediction is one of the whole job
        seconds = sum(run.bins.seconds for run in runs) if runs else None
    came = captions.Measured(
        seconds,
        sum(material.costs.values()) if material.costs else None,
        sum(sum(run.bins.refusals) for run in runs) if runs and not is_coarse else None,
        None if report is None else report.binding,
    )
    figure = None
    if len(runs) == 1 and predicted.tenths:
        figure = progress_figure(runs[0], predicted.tenths)
    return {"rows": captions.prediction_rows(predicted, came), "figure": figure}


def _sections(history: History | None) -> list[Any]:
    """Return the last runs, the newest first."""
    if history is None:
        return []
    total = history.earlier + len(history.runs)
    found = []
    for number, run in reversed(list(enumerate(history.runs, history.earlier + 1))):
        title = "The run" if total == 1 else f"Run {number} of {total}"
        found.append(section_of(run, title, f"run{number}"))
        if len(found) == _SHOWN_RUNS:
            break
    return found


def _runs(history: History | None) -> Iterator[Sequence[str]]:
    """Yield a line for each run of several."""
    if history is None or len(history.runs) + history.earlier < 2:
        return
    for number, run in enumerate(history.runs, history.earlier + 1):
        bins = run.bins
        end = "complete" if run.stop is None else f"stopped: {run.stop[0]}"
        if run.stop is None and run.closing is None and run is not history.runs[-1]:
            end = "killed, or no end recorded"
        yield (
            f"{number}",
            between_text(bins.start, bins.end),
            duration_text(bins.seconds),
            "–" if history.is_coarse else f"{sum(bins.requests):,.0f}",
            f"{sum(bins.answers):,.0f}",
            "–" if history.is_coarse else f"{sum(bins.refusals):,.0f}",
            end,
        )


def _spreads(material: Material) -> Iterator[Figure]:
    history, outcomes = material.history, material.outcomes
    kinds: list[tuple[Spread, str, str, str]] = []
    if history is not None:
        kinds.append((history.latencies, "Latency", "answers", "s"))
        kinds.append((history.waits, "Wait in the queue", "requests", "s"))
    kinds.append((outcomes.outputs, "Length of the answers", "answers", "tokens"))
    kinds.append((outcomes.prompts, "Length of the prompts", "answered requests", "tokens"))
    for number, (spread, title, what, unit) in enumerate(kinds):
        if not spread.count or not spread.largest:
            continue
        about = captions.spread_sentence(spread, what, unit)
        pictures = [
            (one.kind, histogram(spread, unit, (title, about), one, f"h{number}{one.kind}"))
            for one in LAYOUTS
        ]
        yield Figure(f"{title} in {'seconds' if unit == 's' else unit}", about, pictures)


def _models(material: Material) -> Iterator[Sequence[str]]:
    found = sorted(material.outcomes.models.items(), key=lambda item: -item[1].answers)
    for name, sums in found[:_MODELS]:
        usd = material.costs.get(name)
        yield (
            name,
            f"{sums.answers:,}",
            f"{sums.prompt_tokens:,}",
            f"{sums.output_tokens:,}",
            about_usd(usd) if usd is not None else "none" if material.is_free else "not known",
        )


def _notes(material: Material) -> Iterator[str]:
    """Yield what a reader has to know of the page itself."""
    yield from material.notes
    yield from material.outcomes.notes
    history = material.history
    if history is None:
        yield (
            "There is no timeline, because it is drawn from an event log. Write one with "
            "run --log-json, and give it with --log."
        )
    elif not history.runs:
        yield "There is no timeline, because the event log contains no run."
    elif history.is_coarse:
        yield (
            "The timeline shows answers only: it is drawn from the job file, which counts them "
            "every two seconds. For requests, tokens, limits and refusals, write an event log with "
            "run --log-json, and give it with --log."
        )
    elif history.earlier:
        yield f"{captions.counted(history.earlier, 'earlier run')} of the log have no charts."
    told = 0.0 if history is None else sum(sum(run.bins.answers) for run in history.runs)
    there = material.outcomes.answered
    if told > _MANY_MORE * there + _SOME:
        yield (
            f"The log has {told:,.0f} answers, but the output has {there:,}: the log seems to "
            f"belong to another job, or to several."
        )
    unread = material.outcomes.unread, 0 if history is None else history.unread
    for count, where in zip(unread, ("result files", "event log"), strict=True):
        if count:
            yield f"{captions.counted(count, 'line')} of the {where} could not be read."
