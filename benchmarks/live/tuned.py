"""
What `tune` recommends, against the best that an exhaustive search finds on the fake server.

Each point is a run of ``ratedispatch run`` over HTTP, a process of its own, with a short job. The
recommendation is made in virtual time before, and is run in turn with all points of the grid.

``own-server``: 32 places that grow slower as they fill; over the number in flight.
``caps``: caps four times too high, so that tokens bind; over caps and bursts.
``short``: a short job on a shallow bucket without headers; over bursts.

Run it with ``python -m benchmarks.live.tuned [--what SCENARIO] [--runs 3] [--json [FILE]]``.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.frame.command import LOOPBACK, make_parser, progress, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.rounds import interleave
from benchmarks.frame.tables import table
from benchmarks.frame.workload import Row, Workload, mixed, short
from benchmarks.live.sweep import Point
from ratedispatch.cli.fake_words import fake_words
from ratedispatch.jobs.tuning.other_accounts import OWN, Account
from ratedispatch.jobs.tuning.tuner import tune
from ratedispatch.jobs.workload.file_workload import read_workload
from ratedispatch.jobs.workload.row_reading import Reading
from ratedispatch.limits import Limits
from ratedispatch.simulate.forecast.lengths import Lengths
from ratedispatch.simulate.forecast.scene import Scene
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.tune.setting import Setting
from ratedispatch.tokens import TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

#: The most that the recommendation may lose against the best point, as a share of its time.
MOST_LOSS = 0.02

#: The flags of `run`, by the knobs.
_FLAGS = {
    "max_in_flight": "--max-in-flight",
    "burst_seconds": "--burst-seconds",
    "max_tokens": "--max-tokens",
    "order": "--order",
    "processes": "--processes",
}

_PROMPT = 100


@dataclass(frozen=True, slots=True)
class Trade:
    """
    A scenario.

    Args:
        workload: Makes the file from a seed.
        limits: What the job is told.
        provider: How the server behaves.
        grid: The values that are tried of each knob.
    """

    workload: Callable[[int], Workload]
    limits: Limits
    provider: ProviderSettings
    grid: Mapping[str, tuple[Any, ...]]

    def points(self) -> list[Setting]:
        """Return every setting of the grid."""
        return [
            Setting(**dict(zip(self.grid, values, strict=True)))
            for values in itertools.product(*self.grid.values())
        ]

    def recommended(self, seed: int) -> tuple[Setting, float]:
        """Return what `tune` recommends, and the seconds that it foretells."""
        workload = self.workload(seed)
        with tempfile.TemporaryDirectory(prefix="ratedispatch-tuned-") as folder:
            path = Path(folder) / "in.jsonl"
            workload.write(path)
            counted = read_workload(path, self.limits, reading=Reading(policy=TOKENS))
        scene = Scene(limits=self.limits, provider=self.provider)
        account = Account(OWN, self.limits)
        found = tune(counted.workload, scene, Setting(), accounts=[account])
        return found.advice.best.setting, found.advice.best.seconds

    def run_flags(self, setting: Setting) -> tuple[str, ...]:
        """Return the flags of `run` for *setting*."""
        rpm, tpm = (self.limits.known(name) or "none" for name in ("requests", "tokens"))
        words = ["--rpm", str(rpm), "--tpm", str(tpm), "--charge-policy", "tokens"]
        for knob in Setting().changes(setting):
            words += [_FLAGS[knob], str(getattr(setting, knob))]
        return (*words, "--no-memory")


def _capped(seed: int) -> Workload:
    """Return rows with prompts of 100 tokens and caps of 400, which are four times too high."""
    plain = mixed(200, seed, median=_PROMPT + 16, sigma=0.0)
    rows = (
        Row(row.custom_id, {**row.body, "max_tokens": 400}, row.tokens - 16 + 400)
        for row in plain.rows
    )
    return Workload(plain.name, tuple(rows))


_BURSTS = (0.0, 0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 2.0)
_TPM = Limits(requests_per_minute=30_000, tokens_per_minute=600_000)
_RPM = Limits(requests_per_minute=3_000, tokens_per_minute=250_000)

TRADES = {
    "own-server": Trade(
        partial(short, 300),
        Limits(),
        ProviderSettings(engine_slots=32, engine_batching=1.0, latency=0.25),
        {"max_in_flight": (None, "auto", 8, 16, 24, 32, 40, 48, 64, 96)},
    ),
    "caps": Trade(
        _capped,
        _TPM,
        ProviderSettings.like(
            _TPM, burst_seconds=1.0, output_tokens=Lengths.parse("uniform:60:100")
        ),
        {"max_tokens": (None, 300, 200, 150, 104), "burst_seconds": (0.5, 0.7, 0.9)},
    ),
    "short": Trade(
        partial(short, 200),
        _RPM,
        ProviderSettings.like(_RPM, burst_seconds=1.0, headers=False),
        {"burst_seconds": _BURSTS},
    ),
}


def _figures(_stats: Mapping[str, Any]) -> dict[str, Any]:
    return {}


def _name(setting: Setting) -> str:
    changed = Setting().changes(setting)
    return " ".join(f"{_FLAGS[knob]} {getattr(setting, knob)}" for knob in changed) or "as it is"


def measure(what: str, runs: int, seed: int) -> dict[str, Any]:
    """Return what the scenario *what* comes to."""
    trade = TRADES[what]
    chosen, foretold = trade.recommended(seed)
    progress(f"{what}: tune recommends {_name(chosen)}, {foretold:.2f} s")
    workload, server = trade.workload(seed), tuple(fake_words(trade.provider))
    settings = dict.fromkeys([chosen, *trade.points()])
    points = {
        _name(one): Point(what, number, workload, server, trade.run_flags(one), _figures)
        for number, one in enumerate(settings)
    }

    def run(name: str, number: int) -> float:
        seconds = points[name].measure(seed + number)["makespan_s"]
        progress(f"{what} {number + 1}/{runs} {name}: {seconds:.2f} s")
        return float(seconds)

    found = interleave({name: partial(run, name) for name in points}, runs)
    medians = {name: round(median(seconds), 3) for name, seconds in found.items()}
    best = min((_name(one) for one in trade.points()), key=medians.__getitem__)
    choice = _name(chosen)
    return {
        "scenario": what,
        "choice": choice,
        "foretold_s": round(foretold, 3),
        "choice_s": medians[choice],
        "best": best,
        "best_s": medians[best],
        "as_it_is_s": medians.get("as it is"),
        "loss": round(medians[choice] / medians[best] - 1, 4),
        "medians": medians,
        "runs": found,
    }


def text_of(results: Iterable[Mapping[str, Any]]) -> str:
    """Return the results as a table."""
    rows = [["", "tune recommends", "foretold", "measured", "best of the grid", "", "loss"]]
    rows += [
        [
            one["scenario"],
            one["choice"],
            f"{one['foretold_s']:.2f} s",
            f"{one['choice_s']:.2f} s",
            one["best"],
            f"{one['best_s']:.2f} s",
            f"{one['loss']:+.1%}",
        ]
        for one in results
    ]
    return table(rows)


def main() -> int:
    """Measure the scenario that is asked for, or all."""
    parser = make_parser(__doc__, repeats=3, flag="--runs")
    parser.add_argument("--what", choices=(*TRADES, "all"), default="all")
    arguments = parser.parse_args()
    names = list(TRADES) if arguments.what == "all" else [arguments.what]
    surroundings = environment(arguments.seed)
    results = [measure(name, arguments.repeats, arguments.seed) for name in names]
    result = {"date": surroundings["date"][:10], "scenarios": results}
    text = f"Medians of {arguments.repeats} interleaved runs\n\n{text_of(results)}"
    publish(arguments, surroundings, result, text, caveats=LOOPBACK)
    return 0 if all(one["loss"] <= MOST_LOSS for one in results) else 1


if __name__ == "__main__":
    sys.exit(main())
