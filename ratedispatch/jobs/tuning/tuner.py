"""
Finds the best settings for a job, on its own account and on others, and what they save.

Decides what simulates: the model of the queue for the search, the engine for the finalists. Sends
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ratedispatch.groups import LimitGroups
from ratedispatch.jobs.plan.price_book import PriceBook
from ratedispatch.jobs.tuning.other_accounts import OWN
from ratedispatch.jobs.tuning.services import ways_of
from ratedispatch.request import CHAT, COMPLETIONS, RESPONSES
from ratedispatch.simulate.forecast.engine_play import play_engine
from ratedispatch.simulate.forecast.extrapolation import play_ends
from ratedispatch.simulate.forecast.lengths import Lengths
from ratedispatch.simulate.forecast.queue_model import play_model
from ratedispatch.simulate.forecast.unmodelled import knows
from ratedispatch.simulate.provider.allowance import is_named
from ratedispatch.simulate.tune.advice import advise, knobs_for
from ratedispatch.simulate.tune.bench import Bench, on_account, sample
from ratedispatch.simulate.tune.safe_cap import SafeCap, safe_cap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ratedispatch.jobs.plan.prices import Price
    from ratedispatch.jobs.tuning.other_accounts import Account
    from ratedispatch.jobs.tuning.services import Way
    from ratedispatch.simulate.forecast.course import Course
    from ratedispatch.simulate.forecast.scene import Scene
    from ratedispatch.simulate.forecast.workload import Workload
    from ratedispatch.simulate.settings import ProviderSettings
    from ratedispatch.simulate.tune.advice import Advice
    from ratedispatch.simulate.tune.bench import Play
    from ratedispatch.simulate.tune.setting import Setting

#: Rows that the engine plays whole when the last settings are compared, twice; of more it plays
#: the first and the last.
ENGINE_ROWS = 5_000

#: Rows that the model plays for each setting of a search.
MODEL_ROWS = 20_000

#: Rows that the engine plays for each setting of a search whose scene the model does not know.
SAMPLE_ROWS = 1_000

_GENERATING = frozenset({CHAT, RESPONSES, COMPLETIONS})


@dataclass(frozen=True, slots=True)
class OnAccount:
    """
    What is advised on an account.

    Args:
        account: The account.
        advice: The advice.
        ways: What the job takes and costs by each service there.
    """

    account: Account
    advice: Advice
    ways: tuple[Way, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """
    What is to be changed about a job.

    Args:
        rows: How many rows it has.
        accounts: What is advised on each account; the first is the one that it has.
        caps: The caps on outputs that were tried.
        notes: Sentences on what the figures rest on.
    """

    rows: int
    accounts: tuple[OnAccount, ...]
    caps: tuple[SafeCap, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def advice(self) -> Advice:
        """What is advised on the account that the job has."""
        return self.accounts[0].advice


def tune(
    workload: Workload,
    scene: Scene,
    default: Setting,
    *,
    accounts: Sequence[Account],
    price: Price | None = None,
    without: frozenset[str] = frozenset(),
    has_services: bool = False,
) -> Tuning:
    """
    Return what to change about a job.

    Args:
        workload: Its rows, of which there is at least one.
        scene: What it is played with.
        default: How it is run as it is.
        accounts: Those that it could run on, at least one; the first is the one that it has.
        price: What tokens of every model cost, instead of the list.
        without: Knobs that are left where they are.
        has_services: Whether the provider has the services that prices are known of.
    """
    caps = () if "max_tokens" in without else safe_caps(workload, scene.provider)
    usd = _usd(PriceBook(price))
    found: list[OnAccount] = []
    notes: list[str] = []
    for account in accounts:
        here = scene if account.name == OWN else on_account(scene, account.limits)
        quick, exact = _benches(workload, here, usd, caps)
        knobs = [
            knob for knob in knobs_for(workload, here, default, caps) if knob.name not in without
        ]
        advice = advise(quick, exact, default, knobs, is_brief=bool(found))
        ways: tuple[Way, ...] = ()
        if has_services:
            best = advice.best
            ways = tuple(ways_of(workload, best.seconds, best.usd, account.tier))
        found.append(OnAccount(account, advice, ways))
        if account is accounts[0] and account.tier and isinstance(account.limits, LimitGroups):
            notes.append(
                f"{account.tier} limits each model separately: put these limits into a file for "
                f"--limits before you run the command."
            )
        notes += [note for note in _notes(workload, quick, exact) if note not in notes]
    return Tuning(rows=len(workload), accounts=tuple(found), caps=caps, notes=tuple(notes))


def safe_caps(workload: Workload, provider: ProviderSettings) -> tuple[SafeCap, ...]:
    """Return the caps that cut almost no output; none where the lengths are not known."""
    caps: dict[int, list[int]] = {}
    for kind, cap in zip(workload.kind, workload.cap, strict=True):
        if workload.kinds[kind].endpoint in _GENERATING:
            caps.setdefault(kind, []).append(cap)
    outputs = []
    for kind, of_rows in caps.items():
        lengths = _lengths(workload.kinds[kind].model, provider)
        if lengths is None:
            return ()
        outputs.append((lengths, of_rows))
    found = safe_cap(outputs)
    return () if found is None else (found,)


def _lengths(model: str, provider: ProviderSettings) -> Lengths | None:
    known = next(
        (one for name, one in provider.output_lengths.items() if is_named(model, name)),
        provider.output_tokens,
    )
    return Lengths((float(known),)) if isinstance(known, int) else known


def _usd(prices: PriceBook) -> Callable[[Workload, Course], float | None]:
    def usd(workload: Workload, course: Course) -> float | None:
        """Return what the tokens of *course* cost; None where a price is not known."""
        total = 0.0
        tokens = zip(workload.kinds, course.prompt_tokens, course.output_tokens, strict=False)
        for kind, prompt, output in tokens:
            price = prices.of(kind.model)
            if price is None:
                return None
            total += price.usd(prompt, output)
        return total

    return usd


def _benches(
    workload: Workload,
    scene: Scene,
    usd: Callable[[Workload, Course], float | None],
    caps: tuple[SafeCap, ...],
) -> tuple[Bench, Bench]:
    """Return what plays the search, and what plays the settings that are compared at last."""
    play: Play = play_engine if len(workload) <= ENGINE_ROWS else play_ends
    seeds = (1, 2) if play is play_engine else (1,)
    exact = Bench(workload, scene, play, usd, caps, seeds, "engine")
    if knows(scene):
        rows = sample(workload, SAMPLE_ROWS)
        return replace(exact, workload=rows, play=play_engine, seeds=(0,), _lowered={}), exact
    rows = sample(workload, MODEL_ROWS)
    return Bench(rows, scene, _by_model, usd, caps), exact


def _by_model(workload: Workload, scene: Scene, *, seed: int) -> Course:
    """Play a job by the model of its queue; by the engine if a setting makes it one unknown."""
    if not knows(scene):
        # the processor is bounded by processes, in the bench
        return play_model(workload, scene, seed=seed, row_seconds=0.0)
    return (play_engine if len(workload) <= ENGINE_ROWS else play_ends)(workload, scene, seed=seed)


def _notes(workload: Workload, quick: Bench, exact: Bench) -> list[str]:
    notes = []
    if len(quick.workload) < len(workload):
        notes.append(
            f"The search simulated {len(quick.workload):,} of the {len(workload):,} rows for each "
            f"setting."
        )
    what = "every row" if exact.play is play_engine else "the first and the last rows"
    notes.append(f"For each setting in the table, the engine simulated {what}.")
    return notes
