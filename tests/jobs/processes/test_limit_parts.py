"""What of an account each of several processes may spend."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.dispatch.options import DispatcherOptions
from ratedispatch.dispatch.pool import Member, Pool
from ratedispatch.groups import LimitGroup, LimitGroups
from ratedispatch.jobs.processes.limit_parts import Part
from ratedispatch.limits import AUTO, Limits

LIMITS = Limits(600, 9_000, requests_per_day=60, custom={"images": 30.0})
A_THIRD = Limits(200, 3_000, requests_per_day=20, custom={"images": 10.0})


@given(most=st.integers(1, 10_000), of=st.integers(1, 64))
def test_parts_add_up(most: int, of: int) -> None:
    """Where there is one for each at least; otherwise each has one."""
    parts = [Part(number, of).count(most) for number in range(of)]
    assert sum(parts) == max(most, of)
    assert max(parts) - min(parts) <= 1


def test_limits_are_divided() -> None:
    """Those of an account, of groups and of the members of a pool; not what is to be learned."""
    part = Part(2, 3)
    assert part.limits(LIMITS) == A_THIRD
    assert part.limits(Limits(AUTO, None)) == Limits(AUTO, None)
    assert part.limits(None) is None
    groups = LimitGroups((LimitGroup("small", ("m*",), LIMITS, 7),), LIMITS)
    assert part.limits(groups) == LimitGroups((LimitGroup("small", ("m*",), A_THIRD, 2),), A_THIRD)
    pool = part.client(Pool([Member(None, LIMITS, "east", max_in_flight=5)]))
    assert [(one.name, one.limits, one.max_in_flight) for one in pool] == [("east", A_THIRD, 1)]
    client = object()
    assert part.client(client) is client


def test_limits_that_are_shared_are_not_divided() -> None:
    """By a place for all of them, or by one that they name; the number in flight is."""
    assert Part(0, 3, shares=True).limits(LIMITS) is LIMITS
    named = Limits(600, share="local")
    assert Part(0, 3).limits(named) is named
    options = Part(0, 3, shares=True).options(DispatcherOptions(max_in_flight=16))
    assert options.max_in_flight == 6


def test_a_number_in_flight_is_divided() -> None:
    """And one that is searched for is not."""
    options = [Part(number, 3).options(DispatcherOptions(max_in_flight=16)) for number in range(3)]
    assert [(one.max_in_flight, one.connections) for one in options] == [(6, 6), (5, 5), (5, 5)]
    for free in (DispatcherOptions(), DispatcherOptions(max_in_flight="auto")):
        assert Part(0, 3).options(free) is free
