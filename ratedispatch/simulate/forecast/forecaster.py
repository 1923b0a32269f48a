"""
Forecasts a job: simulates it several times, with the method that its size and scene require.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from ratedispatch.simulate.forecast.engine_play import play_engine
from ratedispatch.simulate.forecast.extrapolation import TAIL, head_of, play_ends
from ratedispatch.simulate.forecast.forecast import Forecast
from ratedispatch.simulate.forecast.queue_model import ROW_SECONDS, play_model
from ratedispatch.simulate.forecast.unmodelled import knows

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.simulate.forecast.course import Course
    from ratedispatch.simulate.forecast.scene import Scene
    from ratedispatch.simulate.forecast.workload import Workload

#: Rows that the engine plays whole: a quarter of a millisecond each, and several times.
ENGINE_ROWS = 5_000

#: How often a job is played unless a number is requested, and how many rows all that may have
#: together: some 10 µs each.
SEEDS = 3
MOST_PLAYED = 2_000_000

#: The same of what the engine plays because the model does not know the scene: ten seconds.
MOST_BY_ENGINE = 40_000

Method = Literal["auto", "engine", "model"]


class _Way(NamedTuple):
    """
    What plays a job.

    Args:
        play: Plays it once.
        by: Its name.
        text: How it plays, as a sentence without its end.
        seeds: How often it does unless a number is requested.
        more: Further sentences.
    """

    play: Callable[..., Course]
    by: str
    text: str
    seeds: int
    more: str = ""


def forecast(
    workload: Workload, scene: Scene, *, seeds: int | None = None, method: Method = "auto"
) -> Forecast:
    """
    Return what is expected of *workload* in *scene*.

    Args:
        workload: The rows.
        scene: The limits, the provider, and how the job is sent.
        seeds: How often it is played, each time with other chances; by default three times, or
            less often if it has more than some hundred thousand rows.
        method: ``engine`` plays every row by the whole engine, ``model`` by a model of its queue,
            and ``auto`` decides.

    Raises:
        ValueError: *seeds* is below 1, or the model does not know the scene.
    """
    if seeds is not None and seeds < 1:
        raise ValueError(f"seeds is {seeds}, not one or more")
    way = _way(workload, scene, method)
    seeds = seeds or way.seeds
    courses = tuple(
        way.play(workload, scene, seed=seed, row_seconds=ROW_SECONDS)
        for seed in range(1, seeds + 1)
    )
    return Forecast(
        rows=len(workload),
        kinds=tuple(workload.kinds),
        courses=courses,
        method=f"{way.text}, {'once' if seeds == 1 else f'{seeds} times'}.{way.more}",
        by=way.by,
    )


def _way(workload: Workload, scene: Scene, method: Method) -> _Way:
    """Return how *workload* is played."""
    rows, unknown = len(workload), knows(scene)
    if method == "model" and unknown:
        raise ValueError(f"the model does not cover this provider: {unknown}")
    is_short = rows <= (MOST_BY_ENGINE if unknown else ENGINE_ROWS)
    if method == "engine" or (method == "auto" and is_short):
        text = "The engine simulated every row in virtual time"
        return _Way(play_engine, "engine", text, _often(rows, MOST_BY_ENGINE))
    if not unknown:
        text = (
            "A model of the queue and the limits, tested to be within 1 % of the engine, "
            "simulated every row"
        )
        return _Way(play_model, "model", text, _often(rows, MOST_PLAYED))
    head = head_of(workload, scene)
    text = f"The engine simulated the first {head:,} and the last {TAIL:,} rows in virtual time"
    more = (
        f" The {rows - head - TAIL:,} rows between them are extrapolated from the last of the "
        f"first, because the model of the queue does not cover this provider: {unknown}."
    )
    account = scene.provider
    if account.outage or account.changes or account.fault_times or len(account.competitor) > 1:
        more += " What the provider does after the first rows is not simulated."
    return _Way(play_ends, "extrapolation", text, _often(head + TAIL, MOST_BY_ENGINE), more)


def _often(rows: int, most: int) -> int:
    """Return how often so many *rows* are played, if there may be *most* of them in all."""
    return max(1, min(SEEDS, most // max(1, rows)))
