"""A proxy that counts by clock minutes, and by answers, in virtual time (as LiteLLM's does)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from benchmarks.sim.clock_minutes import run

if TYPE_CHECKING:
    from typing import Any


def ideal(phase: float, per_second: float = math.inf) -> float:
    """
    Return the seconds that 900 rows take at least.

    At most 600 go in each minute, and no more than *per_second*; and a bucket of the user's own
    600 per minute, a minute deep and full at the start, holds 900 after 30 s.
    """
    end, rows = 60 - phase, 900.0
    rows -= min(600, end * per_second)
    while rows > 600:
        end, rows = end + 60, rows - min(600, 60 * per_second)
    return max(end + rows / per_second, 30.0)


@pytest.mark.parametrize("phase", [0.0, 2.3, 15.5, 30.0, 44.9, 55.2, 58.0])
@pytest.mark.parametrize(
    ("slow", "per_second"), [({}, math.inf), ({"places": 16, "lag": 0.5}, 80.0)]
)
def test_from_any_second_of_a_minute_on(
    phase: float, slow: dict[str, Any], per_second: float
) -> None:
    """None is refused, and all is done within a tenth of the ideal."""
    proxy = run(phase, **slow)
    assert proxy.refused == 0
    assert proxy.last <= 1.1 * ideal(phase, per_second) + 0.2
