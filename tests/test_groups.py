"""Groups of limits: which one a model falls under, and what makes none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.errors import InvalidLimits
from ratedispatch.groups import LimitGroup, LimitGroups
from ratedispatch.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

LIMITS = Limits(60)


def group(name: str, *models: str, limits: Limits = LIMITS, **options: Any) -> LimitGroup:
    return LimitGroup(name, models, limits, **options)


GROUPS = LimitGroups(
    (
        group("all", "gpt-4*"),
        group("four", "gpt-4o*", "o3"),
        group("mini", "gpt-4o-mini*", "gpt-4"),
        group("exact", "gpt-4o-mini-2024-07-18", limits=Limits(7)),
    ),
    Limits(5),
)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4.1", "all"),
        ("gpt-4", "mini"),  # the whole name beats a prefix of the same length
        ("gpt-4o", "four"),
        ("gpt-4o-2024", "four"),
        ("o3", "four"),
        ("o3-mini", ""),  # a name without * is the whole name
        ("gpt-4o-mini", "mini"),
        ("gpt-4o-mini-2024", "mini"),
        ("gpt-4o-mini-2024-07-18", "exact"),
        ("GPT-4o", ""),
        ("o3*", ""),
        ("", ""),
    ],
)
def test_the_closest_group_has_the_model(model: str, name: str) -> None:
    """The whole name goes before any prefix, the longest prefix before the others."""
    assert GROUPS.group_of(model) == name
    reverse = LimitGroups(GROUPS.groups[::-1])
    assert reverse.group_of(model) == name


def test_a_group_matches_whole_names_and_prefixes() -> None:
    """A lone * is a prefix of everything."""
    assert group("a", "gpt-4o", "o*").matches("gpt-4o")
    assert group("a", "gpt-4o", "o*").matches("o3-mini")
    assert not group("a", "gpt-4o", "o*").matches("gpt-4o-mini")
    assert group("a", "*").matches("")
    assert group("a", "o*").matches("o*")  # what no provider calls a model is a prefix like any


def test_limits_by_the_name_of_the_group() -> None:
    """The empty name has those of the others; what has none says so."""
    assert GROUPS.limits_of("exact") == Limits(7)
    assert GROUPS.limits_of("") == Limits(5)
    with pytest.raises(InvalidLimits, match="no limits for the group 'five', only for 'all', 'fo"):
        GROUPS.limits_of("five")
    with pytest.raises(InvalidLimits, match="no limits for models that no group names"):
        LimitGroups((group("a", "b"),)).limits_of("")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: group("", "a"), "has an empty name"),
        (lambda: group("x"), "group 'x' has no models"),
        (lambda: group("x", ""), "group 'x': the name of a model is empty"),
        (lambda: group("x", "a*b"), r"group 'x': 'a\*b' has a \* before its end"),
        (lambda: group("x", "a**"), r"'a\*\*' has a \* before its end"),
        (lambda: LimitGroup("x", "gpt-4o", LIMITS), r"such as \('gpt-4o',\), not a string"),  # type: ignore[arg-type]
        (lambda: group("x", "a", max_in_flight=0), "max_in_flight must be at least 1, not 0"),
        (lambda: LimitGroups(()), "there is no group of limits"),
        (lambda: LimitGroups((group("x", "a"), group("x", "b"))), "two groups .* called 'x'"),
        (
            lambda: LimitGroups((group("x", "a", "b*"), group("y", "c", "b*"))),
            r"the model 'b\*' is in the groups 'x' and 'y'",
        ),
    ],
)
def test_groups_that_mean_nothing_are_refused(make: Callable[[], object], message: str) -> None:
    """In one sentence that names the group or the model; a ValueError."""
    with pytest.raises(InvalidLimits, match=message) as caught:
        make()
    assert isinstance(caught.value, ValueError)


def test_a_model_twice_in_one_group_does_no_harm() -> None:
    """It is the same group either way."""
    assert LimitGroups((group("x", "a", "a"),)).group_of("a") == "x"
