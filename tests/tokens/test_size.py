"""Whether a body is small enough to be counted where the event loop runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.tokens.size import is_longer

MOST = 3_000


def chat(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": list(messages), **more}


def tool(**properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties}
    return {"type": "function", "function": {"name": "f", "parameters": parameters}}


HELLO = {"role": "user", "content": "hello"}
ORDINARY = [
    chat({"role": "system", "content": "Be brief."}, {"role": "user", "content": "x" * 2_700}),
    chat(*[{"role": "user", "content": "what now?"}] * 50, temperature=0.5, stop=None, n=1),
    chat(HELLO, tools=[tool(place={"type": "string", "description": "Where."}, day={})]),
    {"model": "text-embedding-3-small", "input": list(range(200))},
]
LARGE = [
    chat({"role": "user", "content": "x" * 3_001}),
    chat(HELLO, tools=[tool(a={"enum": [10**3_999 + i for i in range(2_900)]})]),
    chat(HELLO, tools=[tool(a={"const": 10**4_000})]),
    chat(HELLO, tools=[tool(**{f"p{i}": {} for i in range(1_000)})]),
    chat(HELLO, tools=[tool(**{"k" * 1_000_000: {}})]),
    chat(HELLO, metadata=dict.fromkeys(range(100_000), 0)),
    chat(*[{"role": "", "content": None}] * 2_900),
    chat(HELLO, logit_bias=MappingProxyType({str(i): 0 for i in range(1_000)})),
    {"model": "m", "input": [[]] * 2_048},
    {"model": "m", "input": (0.5,) * 2_900},
]


@pytest.mark.parametrize("body", ORDINARY)
def test_an_ordinary_row_is_small(body: dict[str, Any]) -> None:
    """What most rows look like is counted at once."""
    assert not is_longer(body, MOST)


@pytest.mark.parametrize("body", LARGE)
def test_whatever_takes_long_to_count_is_large(body: dict[str, Any]) -> None:
    """Keys, entries and digits take time too, not texts alone."""
    assert is_longer(body, MOST)


class Untouched(Mapping[str, int]):
    """An object of a million fields that cannot be looked at."""

    def __len__(self) -> int:
        return 1_000_000

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("it was walked")

    def __getitem__(self, key: str) -> NoReturn:
        raise AssertionError("it was walked")


def test_a_large_container_is_not_walked() -> None:
    """Its length is enough."""
    assert is_longer({"a": Untouched()}, MOST)


def test_a_body_that_contains_itself_is_large() -> None:
    """It comes to an end."""
    loop: dict[str, Any] = {}
    loop["again"] = loop
    ring: list[Any] = []
    ring.append(ring)
    assert is_longer(loop, MOST)
    assert is_longer(ring, MOST)


@pytest.mark.slow
@given(st.recursive(st.none() | st.integers() | st.text(), st.lists), st.integers(0, 500))
def test_more_is_never_shorter(value: Any, most: int) -> None:
    """What is long alone is long with something beside it."""
    if is_longer(value, most):
        assert is_longer([value, "more"], most)
