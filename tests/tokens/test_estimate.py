"""What is reserved: policies, output, and the reasons."""

from __future__ import annotations

from typing import Any, cast

import pytest

from ratedispatch.tokens import (
    ANTHROPIC,
    AZURE,
    CAUTIOUS,
    GEMINI,
    MISTRAL,
    OPENAI,
    TOKENS,
    ChargePolicy,
    Counter,
    count_tokens,
    estimate,
    policy_for,
)

CHAT = "/v1/chat/completions"


def body(content: str = "hello", **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": content}], **more}


@pytest.mark.parametrize(
    ("more", "output"),
    [
        ({}, 100),
        ({"n": 3}, 300),
        ({"max_tokens": 7}, 7),
        ({"max_completion_tokens": 9, "n": 2}, 18),
        ({"max_tokens": 7, "max_completion_tokens": 9}, 9),
        ({"max_tokens": 11, "max_completion_tokens": 9}, 11),
        ({"max_tokens": 0}, 0),
    ],
)
def test_chat_reserves_its_cap_for_each_choice(more: dict[str, Any], output: int) -> None:
    """The larger cap counts, times n; without one the default."""
    assert estimate(body(**more), default_output_tokens=100).output_tokens == output


@pytest.mark.parametrize(
    ("endpoint", "request_body", "output"),
    [
        ("/v1/responses", {"input": "hello"}, 100),
        ("/v1/responses", {"input": "hello", "max_output_tokens": 50}, 50),
        ("/v1/embeddings", {"input": "hello"}, 0),
        ("/v1/completions", {"prompt": "hello"}, 16),
        ("/v1/completions", {"prompt": "hello", "n": 2, "best_of": 3}, 48),
        ("/v1/completions", {"prompt": ["a", "b"], "max_tokens": 10, "n": 2}, 40),
        ("/v1/completions", {"prompt": [1, 2, 3], "max_tokens": 10}, 10),
        ("/v1/completions", {"prompt": "hello", "max_tokens": 0}, 0),
    ],
)
def test_other_endpoints_reserve_theirs(
    endpoint: str, request_body: dict[str, Any], output: int
) -> None:
    """Every prompt of a completion gives outputs; embeddings give none."""
    cost = estimate({"model": "gpt-4o", **request_body}, endpoint, default_output_tokens=100)
    assert cost.output_tokens == output


@pytest.mark.parametrize(
    ("content", "tokens"),
    [
        # charges seen in the headers of the API, less the output: never reserved below them
        ("Hello, world?", 6),
        ("Who is Joseph Conrad?", 7),
        ("Who is Jimi Hendrix?", 7),
        ("Who was Joseph Conrad?", 8),
    ],
)
def test_openai_policy_covers_observed_charges(content: str, tokens: int) -> None:
    """What is reserved is at least what the API was seen to charge, and at least the tokens."""
    cost = estimate(body(content))
    assert cost.prompt_tokens >= tokens
    assert cost.prompt_tokens >= count_tokens(body(content))


def test_characters_count_where_they_are_more() -> None:
    """A text of few tokens and many characters is charged by its characters."""
    blanks = body(" " * 8_000)
    assert count_tokens(blanks) < 500
    assert estimate(blanks, policy=OPENAI).prompt_tokens == 2_002
    assert estimate(blanks, policy=AZURE).prompt_tokens == 2_002
    assert estimate(blanks, policy=TOKENS).prompt_tokens == count_tokens(blanks)
    blanks["messages"] *= 3
    assert estimate(blanks, policy=OPENAI).prompt_tokens == 6_006


def test_images_come_on_top_of_characters() -> None:
    """Characters stand for the text only: what an image costs is added to them."""
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    text = {"type": "text", "text": " " * 8_000}
    request = {"model": "gpt-4o", "messages": [{"role": "user", "content": [text, image]}]}
    # gpt-4o: 85 + 8 × 170 for an image of unknown size
    assert estimate(request).prompt_tokens == 2_002 + 1_445


@pytest.mark.parametrize("policy", [ANTHROPIC, GEMINI])
def test_output_is_not_reserved_where_it_is_not_charged(policy: ChargePolicy) -> None:
    """A provider whose token limit does not take the output cap has none reserved."""
    assert estimate(body(max_tokens=500), policy=policy).output_tokens == 0


@pytest.mark.parametrize(
    ("base_url", "policy"),
    [
        (None, OPENAI),
        ("https://api.openai.com/v1", OPENAI),
        ("https://eu.api.openai.com/v1/", OPENAI),
        ("https://API.OPENAI.COM:443/v1", OPENAI),
        ("https://mine.openai.azure.com/openai", AZURE),
        ("https://mine.cognitiveservices.azure.com/", AZURE),
        ("https://api.anthropic.com/v1/", ANTHROPIC),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", GEMINI),
        ("api.mistral.ai/v1", MISTRAL),
        ("http://localhost:8000/v1", CAUTIOUS),
        ("https://notapi.openai.com.example.org/v1", CAUTIOUS),
        ("https://fakeapi.openai.com", CAUTIOUS),
        ("http://[::1", CAUTIOUS),
        ("", CAUTIOUS),
    ],
)
def test_policy_is_chosen_by_host(base_url: str | None, policy: ChargePolicy) -> None:
    """The host decides; what is not known charges tokens."""
    assert policy_for(base_url) is policy


def test_policies_are_checked() -> None:
    """A policy that means nothing is refused."""
    with pytest.raises(ValueError, match="characters_per_token"):
        ChargePolicy("mine", characters_per_token=0)
    with pytest.raises(ValueError, match="tokens_per_message"):
        ChargePolicy("mine", tokens_per_message=-1)


@pytest.mark.parametrize(
    ("default", "got"),
    [
        (-1, "a negative one"),
        (10**400, "a larger one"),
        ("x", "str"),
        (None, "NoneType"),
        (2.5, "float"),
        (True, "bool"),
    ],
    ids=str,
)
def test_a_default_that_is_no_amount_is_refused(default: Any, got: str) -> None:
    """A default for the output that means nothing is a mistake of the caller."""
    with pytest.raises(ValueError, match=f"default_output_tokens must be an integer .* got {got}"):
        estimate(body(), default_output_tokens=default)


def test_a_base_url_that_is_no_text_is_refused() -> None:
    """The message names it."""
    with pytest.raises(ValueError, match="base_url must be a string or None, got bytes"):
        policy_for(cast("Any", b"https://api.openai.com"))


RICH = body(
    "x" * 4_000,
    tools=[{"type": "function", "function": {"name": "f"}}],
    tool_choice="none",
    response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
    max_tokens=20,
    n=2,
)
RICH["messages"].append(
    {
        "role": "user",
        "name": "ann",
        "content": [
            {"type": "text", "text": "see"},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            {"type": "input_audio", "input_audio": {"data": "AAAA" * 10_000, "format": "mp3"}},
            {"type": "file", "file": {"file_id": "file-1"}},
        ],
    }
)


def test_reasons_add_up() -> None:
    """With the reasons asked for, each is there and their sum is the whole."""
    cost = estimate(RICH, explain=True)
    assert {part.name for part in cost.parts} == {
        "messages",
        "names",
        "reply priming",
        "tools",
        "tool_choice",
        "response_format",
        "images",
        "audio",
        "files",
        "characters",
        "output",
    }
    assert sum(part.tokens for part in cost.parts) == cost.tokens
    assert all(part.tokens > 0 for part in cost.parts)
    notes = {part.name: part.note for part in cost.parts}
    assert notes["output"] == "max_tokens, × 2"
    assert "openai" in notes["characters"]


@pytest.mark.parametrize("policy", [OPENAI, TOKENS, ANTHROPIC])
def test_reasons_change_nothing(policy: ChargePolicy) -> None:
    """Asking for reasons gives the same cost."""
    plain, explained = (estimate(RICH, explain=on, policy=policy) for on in (False, True))
    assert plain.parts == ()
    assert (plain.prompt_tokens, plain.output_tokens) == (
        explained.prompt_tokens,
        explained.output_tokens,
    )
    assert estimate(body(), explain=True).parts[-1].note == "no cap given, × 1"


def test_messages_are_additive() -> None:
    """A request of two messages costs what both cost, less one priming of the reply."""
    counter = Counter()
    first, second = body("Who is Jimi Hendrix?"), body("Hello, world?")
    both = {**first, "messages": first["messages"] + second["messages"]}
    assert counter.count(both) == counter.count(first) + counter.count(second) - 3
