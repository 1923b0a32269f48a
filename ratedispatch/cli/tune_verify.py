"""
Runs the recommended and neighbouring settings, and compares predicted and measured times.

Each run is this program in a separate process, with the first rows of the input. It sends to a fake
server with the modelled provider, or, for money, to the real one. The outputs are discarded, and
the job itself is not begun.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ratedispatch.cli.command_line import words_for
from ratedispatch.cli.fake_words import fake_words
from ratedispatch.observe.human import one_line
from ratedispatch.simulate.forecast.reading_order import reading_order
from ratedispatch.simulate.tune.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ratedispatch.simulate.forecast.scene import Scene
    from ratedispatch.simulate.forecast.workload import Workload
    from ratedispatch.simulate.tune.advice import Advice
    from ratedispatch.simulate.tune.bench import Play
    from ratedispatch.simulate.tune.setting import Setting

#: Seconds that the recommended run is to take by what is foretold, that none of the others is to
#: exceed, and after which a run is ended.
_WANTED_SECONDS = 20.0
_LONGEST_SECONDS = 45.0
_MOST_SECONDS = 60.0

#: The fewest rows of a run: of fewer, the start of the process would be what is measured.
_LEAST_ROWS = 50

#: What a fake server takes for a key.
_FAKE_KEY = "fake"

#: The most settings that are run.
_MOST_RUNS = 5

#: Flags of `run` that would have the runs write, share or learn what the job will need.
_LEFT_OUT = (
    "output_format", "errors_file", "log_json", "max_rows", "max_cost", "max_cost_run",
    "share", "shard", "fake", "retry_failed",
)  # fmt: skip


#: Characters of a message that are shown.
_LONGEST_NOTE = 200


@dataclass(frozen=True, slots=True)
class Checked:
    """
    A setting that was run.

    Args:
        setting: The setting.
        rows: How many rows the run had.
        foretold: Seconds that were foretold for these rows.
        measured: Seconds that they took; None if the run failed, or did not end as it should.
        refused: Requests that were refused.
        usd: What was billed, as far as prices are known.
        note: Why nothing was measured, such as a run that ended early.
    """

    setting: Setting
    rows: int
    foretold: float
    measured: float | None
    refused: int = 0
    usd: float | None = None
    note: str = ""

    @property
    def error(self) -> float | None:
        """The error of the predicted time, as a share of the measured time."""
        return self.foretold / self.measured - 1 if self.measured else None


def verify(
    advice: Advice,
    workload: Workload,
    scene: Scene,
    *,
    spend: float | None,
    play: Play,
    tell: Callable[[str], None],
) -> list[Checked]:
    """
    Run the recommended setting and those beside it.

    Args:
        advice: What is recommended.
        workload: The rows of the job, in the order of the file.
        scene: What they are played with.
        spend: What all runs together may cost at the real provider, in USD; None for a fake
            server.
        play: What plays a job for the times that are foretold.
        tell: Called with a sentence before each run.
    """
    settings = beside(advice)
    count = rows_for(advice, len(workload), settings)
    found = []
    with tempfile.TemporaryDirectory(prefix="ratedispatch-") as folder:
        for number, setting in enumerate(settings):
            tell(f"run {number + 1} of {len(settings)}, of {count:,} rows")
            first = workload.chosen(reading_order(len(workload), setting.order)[:count])
            bench = Bench(first, replace(scene, order="file"), play)
            foretold = bench(replace(setting, order="file")).seconds
            output = Path(folder) / f"{number}.jsonl"
            share = None if spend is None else spend / len(settings)
            words = _words(advice.default.setting, setting, output, count, share)
            with _server(scene) if spend is None else nullcontext() as base_url:
                found.append(_run(words, base_url, setting, count, foretold))
    return found


def beside(advice: Advice) -> list[Setting]:
    """Return the settings that are run: the best, the current one, and their neighbours."""
    settings = [advice.best.setting, advice.default.setting]
    changed = set(advice.changes) or {one.knob for one in advice.wrong[:2]}
    settings += [one.trial.setting for one in advice.wrong if one.knob in changed]
    return list(dict.fromkeys(settings))[:_MOST_RUNS]


def rows_for(advice: Advice, rows: int, settings: Sequence[Setting]) -> int:
    """Return how many rows a run has, so that no run is predicted to be too short or too long."""
    seconds = max(advice.best.seconds, 1e-9)
    known = {advice.default.setting: advice.default.seconds}
    known |= {one.trial.setting: seconds * (1 + one.cost) for one in advice.wrong}
    longest = max([known.get(setting, seconds) for setting in settings])
    share = min(_WANTED_SECONDS / seconds, _LONGEST_SECONDS / longest)
    return min(rows, max(_LEAST_ROWS, round(rows * share)))


def _words(
    default: Setting, setting: Setting, output: Path, rows: int, spend: float | None
) -> list[str]:
    """Return the words of a run of the first *rows* with *setting*."""
    from ratedispatch.cli.run import run

    changes: dict[str, Any] = dict.fromkeys(_LEFT_OUT)
    changes |= {name: getattr(setting, name) for name in default.changes(setting)}
    changes |= {"output": output, "max_rows": rows, "max_cost_run": spend, "order": setting.order}
    return words_for(click.get_current_context(), run, changes)


@contextmanager
def _server(scene: Scene) -> Iterator[str]:
    """Give the address of a fake server like the provider of *scene*, which runs meanwhile."""
    from ratedispatch.simulate.server.child import FakeServerProcess

    with FakeServerProcess("--no-config", *fake_words(scene.provider)) as server:
        yield server.base_url


def _run(
    words: list[str], base_url: str | None, setting: Setting, rows: int, foretold: float
) -> Checked:
    """Run *words* as a process, and return what its report says."""
    own = {"--no-memory", "--no-config"}
    arguments = [word for word in words[1:] if word not in own]
    environment = dict(os.environ)
    if base_url is not None:
        arguments = [*_without(_without(arguments, "--base-url"), "--api-key-env")]
        arguments += ["--base-url", base_url]
        environment["OPENAI_API_KEY"] = _FAKE_KEY
    command = [sys.executable, "-m", "ratedispatch", *arguments, *sorted(own), "--json", "-q"]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_MOST_SECONDS, env=environment, check=False
        )
        report = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        note = f"not finished in {_MOST_SECONDS:.0f} s"
        return Checked(setting, rows, foretold, None, note=note)
    except ValueError:  # it told its mistake, and no report
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no report"]
        return Checked(setting, rows, foretold, None, note=one_line(lines[-1])[:_LONGEST_NOTE])
    return measured_by(report, setting, rows, foretold)


def measured_by(report: Mapping[str, Any], setting: Setting, rows: int, foretold: float) -> Checked:
    """
    Return what the *report* of a run of so many *rows* has measured.

    A run that ended early took less time than predicted for all rows, so it is not a measurement.
    """
    done = report["answered"] + report["failed"]
    refused, usd = report["refusals"], report["cost_usd"]
    if done < rows:
        why = one_line(str(report["stop_message"] or "it ended early"))[:_LONGEST_NOTE]
        note = f"stopped after {done:,} of {rows:,} rows: {why}"
        return Checked(setting, rows, foretold, None, refused, usd, note)
    return Checked(setting, report["answered"], foretold, report["seconds"], refused, usd)


def _without(words: Iterable[str], flag: str) -> Iterator[str]:
    """Yield *words* without *flag* and what follows it."""
    skips = False
    for word in words:
        if skips:
            skips = False
        elif word == flag:
            skips = True
        elif not word.startswith(f"{flag}="):
            yield word
