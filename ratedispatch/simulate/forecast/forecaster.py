"""
Foretells a job: plays it several times, in the way that its size and its scene ask for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ratedispatch.simulate.forecast.engine_play import play_engine
from ratedispatch.simulate.forecast.extrapolation import HEAD, TAIL, play_ends
from ratedispatch.simulate.forecast.forecast import Forecast

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.simulate.forecast.course import Course
    from ratedispatch.simulate.forecast.scene import Scene
    from ratedispatch.simulate.forecast.workload import Workload

#: Rows that the engine plays whole: a quarter of a millisecond each, and several times.
ENGINE_ROWS = 5_000

Method = Literal["auto", "engine", "model"]


def forecast(
    workload: Workload, scene: Scene, *, seeds: int = 3, method: Method = "auto"
) -> Forecast:
    """
    Return what is expected of *workload* in *scene*.

    Args:
        workload: The rows.
        scene: The limits, the provider, and how the job is sent.
        seeds: How often it is played, each time with other chances.
        method: ``engine`` plays every row by the whole engine, ``model`` by a model of its queue,
            and ``auto`` decides.

    Raises:
        ValueError: *seeds* is below 1.
    """
    if seeds < 1:
        raise ValueError(f"seeds is {seeds}, not one or more")
    play, by, text = _way(workload, scene, method)
    courses = tuple(play(workload, scene, seed=seed) for seed in range(1, seeds + 1))
    times = "once" if seeds == 1 else f"{seeds} times"
    sentences = [f"{text}, {times}."]
    if scene.processes > 1:
        sentences.append(
            f"{scene.processes} processes share the limits and so send as one does; what they add "
            f"is processor time, which is not played."
        )
    return Forecast(
        rows=len(workload),
        kinds=tuple(workload.kinds),
        courses=courses,
        method=" ".join(sentences),
        by=by,
    )


def _way(
    workload: Workload, scene: Scene, method: Method
) -> tuple[Callable[..., Course], str, str]:
    """Return what plays the job, its name, and the beginning of a sentence on it."""
    del scene
    rows = len(workload)
    if method == "engine" or rows <= ENGINE_ROWS:
        return play_engine, "engine", "The whole engine played every row in virtual time"
    ends = f"the first {HEAD:,} and the last {TAIL:,} rows"
    between = f"the {rows - HEAD - TAIL:,} between them go on as the first did in their second half"
    text = f"The whole engine played {ends} in virtual time, and {between}"
    return play_ends, "extrapolation", text
