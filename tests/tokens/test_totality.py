"""No JSON document makes counting raise anything but InvalidRequest."""

from __future__ import annotations

import contextlib
import warnings
from typing import Any, NoReturn, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ratedispatch.errors import InvalidRequest
from ratedispatch.request import CHAT, ENDPOINTS
from ratedispatch.tokens import Counter, counter

COUNTER = Counter()
MODELS = ["gpt-4o", "gpt-4", "gpt-3.5-turbo-0301", "gpt-5-mini", "gpt-6", "davinci-002"]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**100)
    | st.floats()
    | st.text(st.characters(codec=None), max_size=12)
    | st.sampled_from(["<|endoftext|>", "\ud800", "data:image/png;base64,iVBORw0KGgo", "text"])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)


def mostly(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return what *strategy* gives, and one time in twenty anything at all."""
    return st.integers(0, 19).flatmap(lambda roll: strategy if roll else values)


def record(
    needed: dict[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]
) -> st.SearchStrategy[Any]:
    """Return an object with all *needed* fields and some *optional* ones."""
    return st.fixed_dictionaries(needed, optional=optional)


def kind(name: str, /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return an object of the type *name* with *fields*."""
    return record({"type": st.just(name), **fields})


texts = st.text(max_size=20)
urls = st.sampled_from(["https://x", "data:image/jpeg;base64,/9j/4AAQ", "data:,", ""])
details = st.sampled_from(["low", "high", "auto", "original", "x"])
content_parts = st.one_of(
    kind("text", text=mostly(texts)),
    kind("input_text", text=mostly(texts)),
    kind("refusal", refusal=mostly(texts)),
    kind("image_url", image_url=record({"url": mostly(urls)}, detail=mostly(details))),
    kind("input_image", image_url=mostly(urls), detail=mostly(details)),
    kind("input_audio", input_audio=record({"data": mostly(texts)}, format=texts)),
    kind("file", file=record({}, file_data=mostly(urls), file_id=texts)),
    kind("other", other=values),
)
contents = texts | st.none() | st.lists(mostly(content_parts), max_size=3)
leaves = record(
    {"type": mostly(st.sampled_from(["string", "number", "integer", "boolean", "null"]))},
    description=mostly(texts),
    enum=mostly(st.lists(scalars, max_size=3)),
)
schemas: st.SearchStrategy[Any] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        kind("object", properties=mostly(st.dictionaries(texts, inner, max_size=3))),
        kind("array", items=mostly(inner), required=values),
        record({"anyOf": mostly(st.lists(inner, max_size=3))}, description=mostly(texts)),
        record({"type": st.lists(texts, max_size=2)}, properties=values, const=values),
    ),
    max_leaves=6,
)
functions = record(
    {"name": mostly(texts)}, description=mostly(texts), parameters=mostly(st.none() | schemas)
)
calls = record({"name": mostly(texts), "arguments": mostly(texts)})
messages = record(
    {
        "role": mostly(st.sampled_from(["system", "user", "assistant", "function", "tool"])),
        "content": mostly(contents),
    },
    name=mostly(texts),
    tool_calls=mostly(st.lists(kind("function", function=mostly(calls)), max_size=2)),
    function_call=mostly(calls),
)
entries = st.one_of(
    messages,
    kind("function_call", name=mostly(texts), arguments=mostly(texts)),
    kind("function_call_output", output=mostly(contents)),
    kind("reasoning", summary=mostly(st.lists(kind("summary_text", text=texts), max_size=2))),
    kind("item_reference", id=values),
)
flat_tools = kind("function", name=mostly(texts), parameters=mostly(schemas))
tools = kind("function", function=mostly(functions)) | flat_tools | kind("web_search")
counts = mostly(st.integers(1, 4))
formats = mostly(kind("json_schema", json_schema=values))
choices = mostly(st.sampled_from(["auto", "none"]) | kind("function", function=mostly(calls)))
bodies = record(
    {
        "model": mostly(st.sampled_from(MODELS)),
        "messages": mostly(st.lists(mostly(messages), max_size=3)),
        "input": mostly(texts | st.lists(mostly(entries), max_size=3) | st.lists(st.integers())),
        "prompt": mostly(texts | st.lists(mostly(texts), max_size=3)),
    },
    tools=mostly(st.lists(mostly(tools), max_size=2)),
    functions=mostly(st.lists(mostly(functions), max_size=2)),
    tool_choice=choices,
    function_call=choices,
    response_format=formats,
    instructions=mostly(texts),
    text=mostly(record({}, format=formats)),
    suffix=mostly(texts),
    **dict.fromkeys(
        ("n", "best_of", "max_tokens", "max_completion_tokens", "max_output_tokens"), counts
    ),
)


def check(body: Any, endpoint: str) -> None:
    """Count *body*; a count is a number, and all counts of it agree."""
    with warnings.catch_warnings(), contextlib.suppress(InvalidRequest):
        warnings.simplefilter("ignore")
        count = COUNTER.count(body, endpoint)
        cost = COUNTER.estimate(body, endpoint, explain=True)
        assert isinstance(count, int)
        assert count >= 0
        assert cost.prompt_tokens >= count
        assert sum(part.tokens for part in cost.parts) == cost.tokens


relaxed = settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.slow
@relaxed
@given(body=values, endpoint=st.sampled_from(sorted(ENDPOINTS)))
def test_any_json_is_counted_or_refused(body: Any, endpoint: str) -> None:
    """Arbitrary JSON gives a count or an InvalidRequest."""
    check(body, endpoint)


@pytest.mark.slow
@relaxed
@given(body=bodies, endpoint=st.sampled_from(sorted(ENDPOINTS)))
def test_almost_valid_bodies_are_counted_or_refused(body: Any, endpoint: str) -> None:
    """Bodies that are nearly right, with anything in the wrong places, do too."""
    check(body, endpoint)


def nested(levels: int, key: str) -> Any:
    value: Any = {"type": "string"}
    for _ in range(levels):
        value = {key: [value]} if key in {"anyOf", "enum"} else {"type": "array", key: value}
    return value


@pytest.mark.parametrize("levels", [100, 900, 10_000])
@pytest.mark.parametrize("key", ["items", "anyOf", "enum", "const"])
@pytest.mark.parametrize("model", ["gpt-4", "gpt-4o"])
def test_depth_is_counted_or_refused(levels: int, key: str, model: str) -> None:
    """Schemas nested beyond any use end in a count or a refusal, by either method."""
    function = {"name": "f", "parameters": {"properties": {"x": nested(levels, key)}}}
    for more in (
        {"functions": [function]},
        {"tools": [{"type": "function", "function": function}]},
    ):
        check({"model": model, "messages": [], **more}, "/v1/chat/completions")


def test_too_deep_for_the_interpreter_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A document that exhausts the stack while it is weighed is refused, not a RecursionError."""

    def weigh(*_: Any) -> NoReturn:
        raise RecursionError

    monkeypatch.setitem(cast("dict[str, Any]", counter._WEIGH), CHAT, weigh)
    with pytest.raises(InvalidRequest, match="nested too deeply"):
        COUNTER.count({"model": "gpt-4o", "messages": []})


@pytest.mark.slow
def test_wide_schemas_are_counted_in_time() -> None:
    """Many properties, all required, and many repeated types cost no more than their size."""
    names = [f"property_{index}" for index in range(10_000)]
    properties = {name: {"type": ["object", "null"] * 50} for name in names}
    function = {"name": "f", "parameters": {"properties": properties, "required": names}}
    body = {"model": "gpt-4", "messages": [], "functions": [function]}
    assert COUNTER.count(body) > 10_000
