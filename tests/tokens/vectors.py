"""
Counts that others published, as data. None of them was computed by the code under test.

Sources stand beside each group. ``functions.jsonl`` holds those of hmarr/openai-chat-tokens (MIT),
for gpt-3.5-turbo, which its authors checked against the API.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

Body = dict[str, Any]


class Vector(NamedTuple):
    """The prompt *tokens* that the API reported, or its makers printed, for *body*."""

    body: Body
    tokens: int
    endpoint: str = "/v1/chat/completions"


def _chat(model: str, *messages: tuple[str, ...], **more: Any) -> Body:
    keys = ("role", "content", "name")
    return {
        "model": model,
        "messages": [dict(zip(keys, message, strict=False)) for message in messages],
        **more,
    }


# OpenAI cookbook, How_to_count_tokens_with_tiktoken.ipynb, compared with the API there
_EXAMPLE = (
    (
        "system",
        (
            "You are a helpful, pattern-following assistant that translates corporate jargon into "
            "plain English."
        ),
    ),
    ("system", "New synergies will help drive top-line growth.", "example_user"),
    ("system", "Things working well together will increase revenue.", "example_assistant"),
    (
        "system",
        (
            "Let's circle back when we have more bandwidth to touch base on opportunities for "
            "increased leverage."
        ),
        "example_user",
    ),
    (
        "system",
        "Let's talk later when we're less busy about how to do better.",
        "example_assistant",
    ),
    (
        "user",
        "This late pivot means we don't have time to boil the ocean for the client deliverable.",
    ),
)
_WEATHER = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "description": "Get the current weather in a given location",
        "parameters": {
            "type": "object",
            "properties": {
                "location": {
                    "type": "string",
                    "description": "The city and state, e.g. San Francisco, CA",
                },
                "unit": {
                    "type": "string",
                    "description": "The unit of temperature to return",
                    "enum": ["celsius", "fahrenheit"],
                },
            },
            "required": ["location"],
        },
    },
}
_WEATHER_MESSAGES = (
    ("system", "You are a helpful assistant that can answer to questions about the weather."),
    ("user", "What's the weather like in San Francisco?"),
)
COOKBOOK = [
    Vector(_chat("gpt-3.5-turbo", *_EXAMPLE), 129),
    Vector(_chat("gpt-4", *_EXAMPLE), 129),
    Vector(_chat("gpt-4-0613", *_EXAMPLE), 129),
    Vector(_chat("gpt-4o", *_EXAMPLE), 124),
    Vector(_chat("gpt-4o-mini", *_EXAMPLE), 124),
    # printed by an older edition of the same notebook
    Vector(_chat("gpt-3.5-turbo-0301", *_EXAMPLE), 127),
    Vector(_chat("gpt-3.5-turbo", *_WEATHER_MESSAGES, tools=[_WEATHER]), 105),
    Vector(_chat("gpt-4", *_WEATHER_MESSAGES, tools=[_WEATHER]), 105),
    Vector(_chat("gpt-4o", *_WEATHER_MESSAGES, tools=[_WEATHER]), 101),
    Vector(_chat("gpt-4o-mini", *_WEATHER_MESSAGES, tools=[_WEATHER]), 101),
]

_HELPFUL = "You are a helpful assistant."
# usage that the API reported, in its reference, its Batch guide and public workshop transcripts
REPORTED = [
    Vector(_chat("gpt-4o-mini", ("user", "Hello, world?")), 11),
    Vector(_chat("gpt-4-0613", ("user", "Who is Joseph Conrad?")), 12),
    Vector(_chat("gpt-4.1", ("user", "Who is Jimi Hendrix?")), 13),
    Vector(_chat("gpt-4.1", ("user", "Who was Joseph Conrad?")), 12),
    Vector(
        _chat(
            "gpt-4o-2024-08-06",
            ("user", "My name is Daniel"),
            ("assistant", "Hello, Daniel! How can I assist you today?"),
            ("user", "What is my name?"),
        ),
        35,
    ),
    Vector(_chat("gpt-3.5-turbo-0125", ("system", _HELPFUL), ("user", "Hello world!")), 20),
    Vector(
        _chat(
            "gpt-3.5-turbo-0125",
            ("system", "You are an unhelpful assistant."),
            ("user", "Hello world!"),
        ),
        22,
    ),
    Vector(_chat("gpt-4o-mini", ("system", _HELPFUL), ("user", "What is 2+2?")), 24),
    # the reference gives these three without fixing a model
    Vector(_chat("gpt-4o", ("system", _HELPFUL), ("user", "Hello!")), 19),
    Vector(_chat("gpt-5.4", ("developer", _HELPFUL), ("user", "Hello!")), 19),
    Vector(_chat("gpt-4o", ("user", "write a haiku about ai")), 13),
    Vector(
        {"model": "gpt-3.5-turbo-instruct", "prompt": "Say this is a test"}, 5, "/v1/completions"
    ),
    Vector(
        {
            "model": "text-embedding-ada-002",
            "input": "The food was delicious and the waiter...",
        },
        8,
        "/v1/embeddings",
    ),
    # the same without its dots, by the tokenizer's own count
    Vector(
        {"model": "text-embedding-ada-002", "input": "The food was delicious and the waiter"},
        7,
        "/v1/embeddings",
    ),
    Vector({"model": "gpt-5", "input": "Tell me a joke."}, 11, "/v1/responses"),
]


class Deviation(NamedTuple):
    """A published count that no known rule gives; *difference* is our count less the report."""

    body: Body
    reported: int
    difference: int


# OpenAI API reference, Responses: one of the first examples
DEVIATING = [
    Deviation(
        {
            "model": "gpt-4.1",
            "input": "Tell me a three sentence bedtime story about a unicorn.",
        },
        36,
        -18,
    ),
]


def _functions() -> list[Vector]:
    path = Path(__file__).with_name("functions.jsonl")
    vectors = []
    for line in path.read_text(encoding="utf-8").splitlines():
        body = json.loads(line)
        tokens = body.pop("tokens")
        vectors.append(Vector({"model": "gpt-3.5-turbo", **body}, tokens))
    return vectors


FUNCTIONS = _functions()

# OpenAI cookbook, same notebook, `compare_encodings`; openai/tiktoken, tests/test_encoding.py
ENCODINGS: list[tuple[str, str, list[int]]] = [
    ("cl100k_base", "antidisestablishmentarianism", [519, 85342, 34500, 479, 8997, 2191]),
    ("cl100k_base", "2 + 2 = 4", [17, 489, 220, 17, 284, 220, 19]),
    (
        "cl100k_base",
        "お誕生日おめでとう",
        [33334, 45918, 243, 21990, 9080, 33334, 62004, 16556, 78699],
    ),
    ("cl100k_base", "tiktoken is great!", [83, 1609, 5963, 374, 2294, 0]),
    ("cl100k_base", "hello world", [15339, 1917]),
    ("cl100k_base", "goodbye world", [19045, 29474, 1917]),
    ("o200k_base", "antidisestablishmentarianism", [493, 129901, 376, 160388, 21203, 2367]),
    ("o200k_base", "2 + 2 = 4", [17, 659, 220, 17, 314, 220, 19]),
    ("o200k_base", "お誕生日おめでとう", [8930, 9697, 243, 128225, 8930, 17693, 4344, 48669]),
    ("o200k_base", "tiktoken is great!", [83, 8251, 2488, 382, 2212, 0]),
    ("o200k_base", "hello world", [24912, 2375]),
    ("o200k_base", "goodbye world", [30744, 43571, 2375]),
    ("cl100k_base", "rer", [38149]),
    ("cl100k_base", "'rer", [2351, 81]),
    ("cl100k_base", "today\n ", [31213, 198, 220]),
    ("cl100k_base", "today\n \n", [31213, 27907]),
    ("cl100k_base", "today\n  \n", [31213, 14211]),
    ("cl100k_base", " \x850", [220, 126, 227, 15]),
    ("cl100k_base", "👍", [9468, 239, 235]),
    ("cl100k_base", "\ud83d\udc4d", [9468, 239, 235]),
]

# the same sources, for r50k_base, p50k_base and gpt2, which agree on all of these
OLDER_ENCODINGS: list[tuple[str, list[int]]] = [
    ("antidisestablishmentarianism", [415, 29207, 44390, 3699, 1042]),
    ("2 + 2 = 4", [17, 1343, 362, 796, 604]),
    ("tiktoken is great!", [83, 1134, 30001, 318, 1049, 0]),
    ("hello world", [31373, 995]),
    ("goodbye world", [11274, 16390, 995]),
    ("0" * 1, [15]),
    ("0" * 2, [405]),
    ("0" * 3, [830]),
    ("0" * 4, [2388]),
    ("0" * 5, [20483]),
    ("0" * 6, [10535]),
    ("0" * 7, [24598]),
    ("0" * 8, [8269]),
    ("0" * 9, [10535, 830]),
    ("0" * 10, [8269, 405]),
    ("0" * 11, [8269, 830]),
    ("0" * 12, [8269, 2388]),
    ("0" * 13, [8269, 20483]),
    ("0" * 14, [8269, 10535]),
    ("0" * 15, [8269, 24598]),
    ("0" * 16, [25645]),
    ("0" * 17, [8269, 10535, 830]),
]
# a count without the ids
OLDER_COUNT = ("お誕生日おめでとう", 14)


class Image(NamedTuple):
    """What an image of *width* × *height* px costs for *model*."""

    model: str
    width: int
    height: int
    detail: str
    tokens: int


# developers.openai.com/api/docs/guides/images-vision; Microsoft Learn for gpt-4o-mini
IMAGES = [
    Image("gpt-4o", 1_024, 1_024, "high", 765),
    Image("gpt-4o", 2_048, 4_096, "high", 1_105),
    Image("gpt-4o", 4_096, 8_192, "low", 85),
    Image("gpt-4.1", 1_024, 1_024, "high", 765),
    Image("gpt-4o-mini", 2_048, 4_096, "high", 36_835),
    Image("gpt-4o-mini", 1_024, 1_024, "high", 25_501),
    Image("gpt-5.4", 640, 480, "high", 360),
    Image("gpt-5.4", 640, 480, "low", 231),
    Image("gpt-5.4", 1_280, 720, "high", 1_104),
    Image("gpt-5.4", 1_280, 720, "low", 173),
]

# the same guide: patches before the multiplier, budget 1,536
PATCHES = [
    (1_024, 1_024, 1_024),
    (1_800, 2_400, 1_452),
    (1_056, 1_408, 1_452),  # what the one above is resized to
]
# the same guide, gpt-image-1: 65 and 129 for each tile, the shortest side 512 px; with high
# fidelity 4,160 more if square, else 6,240
FAITHFUL = [
    (1_024, 1_024, 65 + 129, 4_160),
    (2_048, 1_024, 65 + 2 * 129, 6_240),
]
