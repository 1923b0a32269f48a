"""
Foretells a job: plays it several times, in the way that its size and its scene ask for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from ratedispatch.simulate.forecast.engine_play import play_engine
from ratedispatch.simulate.forecast.extrapolation import HEAD, TAIL, play_ends
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

#: How often a job is played unless a number is asked for, and how many rows all that may have
#: together: some 10 µs each.
SEEDS = 3
MOST_PLAYED = 1_400_000

Method = Literal["auto", "engine", "model"]


class _Way(NamedTuple):
    """What plays a job, its name, and how it does, as a sentence without its end."""

    play: Callable[..., Course]
    by: str
    text: str


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
    way = _way(len(workload), scene, method)
    if seeds is None:
        seeds = max(1, min(SEEDS, MOST_PLAYED // max(1, len(workload))))
    courses = tuple(
        way.play(workload, scene, seed=seed, row_seconds=ROW_SECONDS)
        for seed in range(1, seeds + 1)
    )
    return Forecast(
        rows=len(workload),
        kinds=tuple(workload.kinds),
        courses=courses,
        method=f"{way.text}, {'once' if seeds == 1 else f'{seeds} times'}.",
        by=way.by,
    )


def _way(rows: int, scene: Scene, method: Method) -> _Way:
    """Return how a job of so many *rows* is played."""
    unknown = knows(scene)
    if method == "engine" or (method == "auto" and rows <= ENGINE_ROWS):
        text = "The whole engine played every row in virtual time"
        return _Way(play_engine, "engine", text)
    if not unknown:
        text = (
            "A model of the queue and the limits, which is held within 1 % of the whole engine, "
            "played every row"
        )
        return _Way(play_model, "model", text)
    if method == "model":
        raise ValueError(f"the model does not know this provider: {unknown}")
    ends = f"the first {HEAD:,} and the last {TAIL:,} rows"
    between = f"the {rows - HEAD - TAIL:,} between them go on as the first did in their second half"
    text = f"The whole engine played {ends} in virtual time, and {between} (no model: {unknown})"
    return _Way(play_ends, "extrapolation", text)
