"""How lengths of outputs are taken to depend on requests: what was put in comes out."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratedispatch.simulate.fit.output_fit import OutputFit, fit_outputs
from ratedispatch.simulate.fit.output_shapes import Sample, miss_of

N = 300


def requests(seed: int = 1, n: int = N) -> list[tuple[int, int]]:
    """Return prompts and caps that vary."""
    rng = random.Random(seed)
    return [(rng.randint(50, 900), rng.choice([50, 100, 200, 400])) for _ in range(n)]


def lengths(median: float, sigma: float, seed: int = 2, n: int = N) -> list[int]:
    rng = random.Random(seed)
    return [max(1, round(rng.lognormvariate(math.log(median), sigma))) for _ in range(n)]


def fitted(samples: list[Sample]) -> OutputFit:
    found = fit_outputs(samples)
    assert found is not None
    return found


def names(found: OutputFit) -> dict[tuple[str, bool | None], str]:
    return {key: shape.name for key, shape in found.shapes.items()}


def test_a_share_of_the_cap_is_exact() -> None:
    """Each length is foretold, and nothing is missed."""
    found = fitted([Sample("m", p, c, c // 2, False) for p, c in requests()])
    assert names(found) == {("", None): "share"}
    assert found.miss == 0
    assert found.of("another", 1_000).expected(10, 1_000) == 500


def test_a_fixed_length_that_caps_cut_is_exact() -> None:
    """Answers at their cap say that they are at least so long, not how long they are."""
    found = fitted([Sample("m", p, c, min(120, c), c <= 120) for p, c in requests()])
    assert names(found) == {("", None): "tokens"}
    shape = found.of("m", 50)
    assert (shape.expected(1, 50), shape.expected(1, 400), shape.cut) == (50, 120, 153)


def test_lengths_that_follow_nothing_are_cut_by_caps() -> None:
    """The mean under each cap comes out within 4 %, where most answers were cut, too."""
    pairs = requests(n=3_000)
    drawn = lengths(150, 0.5, n=3_000)
    found = fitted(
        [
            Sample("m", prompt, cap, min(length, cap), length >= cap)
            for (prompt, cap), length in zip(pairs, drawn, strict=True)
        ]
    )
    assert names(found) == {("", None): "tokens"}
    for cap in (50, 100, 200, 400):
        true = sum(min(length, cap) for length in drawn) / len(drawn)
        assert found.of("m", cap).expected(1, cap) == pytest.approx(true, rel=0.04)


@pytest.mark.parametrize("base", [0, 100])
def test_lengths_that_follow_the_prompt(base: int) -> None:
    """A multiple of it, or a number and so much for each token of it."""
    rng = random.Random(3)
    found = fitted(
        [
            Sample("m", p, 0, round((base + 0.4 * p) * rng.lognormvariate(0, 0.2)), False)
            for p, _ in requests(n=600)
        ]
    )
    assert names(found) == {("", None): "line" if base else "ratio"}
    for prompt in (100, 400, 800):
        true = (base + 0.4 * prompt) * math.exp(0.02)
        assert found.of("m", 0).expected(prompt, 0) == pytest.approx(true, rel=0.06)


def test_models_and_caps_are_told_apart_only_where_that_tells_more() -> None:
    """Two models alike are one; two that differ are two; so are rows with caps and without."""
    drawn = lengths(150, 0.5)
    pairs = requests()
    alike = [
        Sample("ab"[place % 2], p, 0, length, False)
        for place, ((p, _), length) in enumerate(zip(pairs, drawn, strict=True))
    ]
    assert names(fitted(alike)) == {("", None): "tokens"}
    other = [one._replace(output=one.output * (3 if one.model == "a" else 1)) for one in alike]
    found = fitted(other)
    assert set(found.shapes) == {("a", None), ("b", None), ("", None)}
    assert found.of("a", 0).expected(1, 0) > 2 * found.of("b", 0).expected(1, 0)
    mixed = [
        one._replace(cap=cap, output=cap // 2) if place % 2 else one
        for place, (one, (_, cap)) in enumerate(zip(alike, pairs, strict=True))
    ]
    assert names(fitted(mixed)) == {
        ("", True): "share",
        ("", False): "tokens",
        ("", None): "tokens",
    }


def test_what_is_billed_beside_the_cap_is_not_cut_by_it() -> None:
    """A model that reasons is billed more than its cap."""
    found = fitted([Sample("o", 100, c, 900, False) for _, c in requests()])
    assert found.of("o", 50).expected(100, 50) == 900


def test_few_answers_are_taken_as_they_are() -> None:
    """One answer is all that is known."""
    assert fit_outputs([]) is None
    found = fitted([Sample("m", 7, 0, 30, False)])
    assert found.of("x", 0).expected(100, 0) == 30
    assert found.of("x", 20).expected(100, 20) == 20


samples = st.lists(
    st.builds(
        Sample,
        st.sampled_from(["a", "b", ""]),
        st.integers(0, 10**9),
        st.integers(0, 10**9),
        st.integers(0, 10**9),
        st.booleans(),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=30, deadline=None)
@given(samples)
def test_whatever_was_seen_gives_numbers(seen: list[Sample]) -> None:
    """Finite, not below zero, and under a cap that binds no longer than it."""
    found = fitted(seen)
    for one in seen:
        shape = found.of(one.model, one.cap)
        expected = shape.expected(one.prompt, one.cap)
        assert 0 <= expected < math.inf
        if one.cap and shape.binds:
            assert expected <= one.cap * (1 + 1e-9)


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=20), st.integers(0, 10**6))
def test_the_score_is_never_below_zero(points: list[int], seen: int) -> None:
    """And zero only for those that are all right."""
    miss = miss_of(sorted(map(float, points)), seen)
    assert miss >= -1e-9
    assert (miss < 1e-9) == (set(points) == {seen})
