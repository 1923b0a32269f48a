"""Any text at all has a count: long, odd, or too much for the tokenizer."""

from __future__ import annotations

import random
import threading
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratedispatch.tokens import Counter, text
from ratedispatch.tokens.memory import Memory
from ratedispatch.tokens.text import SLICE, TextCounter, count_text
from ratedispatch.tokens.vocabulary import SHARED

EMBEDDINGS = "/v1/embeddings"


def exact(content: str, name: str) -> int:
    encoding = SHARED.encoding(name)
    assert encoding is not None
    return len(encoding.encode_ordinary(content))


def ours(content: str, name: str) -> int:
    return Counter().count({"input": content}, EMBEDDINGS, encoding=name)


SENTENCES = [
    "The quick brown fox, it's said, jumps over 12 lazy dogs.\n\n  Then: nothing! ",
    "今天天气很好，我们去公园散步吧。人工智能、正在改变世界！\n",
    "def f(x):\n    return {'a': x ** 2}  # don't\n",
    "Сегодня хорошая погода, и мы пошли; гулять в парк.\r\n",
    "http://example.com/a_b?c=1&d=%20 ½ ² e\u0301te\u0301 👍🏽 ",
]


@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base"])
def test_cuts_at_seams_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text with words and lines has exactly the tokens it has in one piece, however it is cut."""
    monkeypatch.setattr(text, "SLICE", 90)
    monkeypatch.setattr(text, "_REACH", 80)
    monkeypatch.setattr(text, "_HARD_CUT", 10_000)  # a cut that is no seam would show
    rng = random.Random(1)
    for _ in range(60):
        content = "".join(rng.choice(SENTENCES[:4]) for _ in range(12))[rng.randrange(40) :]
        assert ours(content, name) == exact(content, name)


@settings(max_examples=150, deadline=None)
@given(
    pieces=st.lists(
        st.sampled_from([*SENTENCES, "x" * 30, " " * 30, "a1" * 9, "\n\t \n", "!?'s", "\ud800"])
        | st.text(max_size=8),
        max_size=12,
    ),
    size=st.integers(8, 40),
    name=st.sampled_from(["cl100k_base", "o200k_base"]),
)
def test_slices_never_count_less(pieces: list[str], size: int, name: str) -> None:
    """Cut anywhere, a text has at least the tokens that it has in one piece."""
    content = "".join(pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "SLICE", size)
        patch.setattr(text, "_REACH", size - 2)
        assert ours(content, name) >= exact(content, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base"])
@pytest.mark.parametrize(
    "content",
    [
        " " * 1_000_000,
        "\t" * 1_000_000,
        "x" * 1_000_000,
        "<|endoftext|>" * 50_000,
        "\ud800" * 100_000,
        "\n " * 300_000,
        "今天" * 100_000,
        "a" * (SLICE + 1),
    ],
    ids=["blanks", "tabs", "x", "special", "surrogates", "lines", "chinese", "just over"],
)
def test_pathological_runs_have_a_count(name: str, content: str) -> None:
    """Runs that the tokenizer alone would panic at, or take as special, are counted as text."""
    count = ours(content, name)
    assert 0 < count <= 3 * len(content) + 2 * (len(content) // SLICE)


@pytest.mark.slow
def test_long_prose_is_counted_exactly() -> None:
    """Ordinary text is cut at seams only, so that its length costs no accuracy."""
    content = SENTENCES[0] * 3_000
    assert len(content) > 6 * SLICE
    for name in ("cl100k_base", "o200k_base"):
        assert ours(content, name) == exact(content, name)


class PanicException(BaseException):
    """Named and derived like the one of pyo3, which Python code cannot import."""


@pytest.mark.parametrize("error", [PanicException, ValueError])
def test_tokenizer_that_gives_up_counts_bytes(error: type[BaseException]) -> None:
    """When the tokenizer panics, the UTF-8 bytes stand in: the most that a text can have."""

    def encode(text: str) -> NoReturn:
        raise error("stack")

    assert count_text(encode, "héllo") == 6
    assert count_text(encode, "\ud800") == 3


def test_interrupt_passes_through() -> None:
    """Ctrl-C during a count is not swallowed."""

    def encode(text: str) -> NoReturn:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        count_text(encode, "hello")


def test_memory_stays_within_its_bytes() -> None:
    """However many texts are counted, what is remembered stays below the bound."""
    memory = Memory(100_000)
    for index in range(5_000):
        memory.put(f"text number {index} " * 5, index)
        assert memory.held <= 100_000
    assert memory.get("text number 4999 " * 5) == 4_999
    assert memory.get("text number 1 " * 5) is None


def test_memory_keeps_what_is_used() -> None:
    """A text that is asked for again and again outlives thousands that are not."""
    memory = Memory(100_000)
    memory.put("shared", 7)
    for index in range(5_000):
        memory.put(f"text number {index} " * 5, index)
        assert memory.get("shared") == 7
    memory.put("shared", 7)
    memory.put("x" * 50_000, 1)
    assert memory.get("x" * 50_000) is None


def test_counts_survive_a_change_of_generation() -> None:
    """A shared text is counted once although thousands of others are counted in between."""
    counted: list[str] = []

    def count(content: str) -> int:
        counted.append(content)
        return len(content)

    texts = TextCounter(count, 4_000)
    for index in range(500):
        assert texts.count(f"text {index}") == len(f"text {index}")
        assert texts.count("shared") == 6
    assert counted.count("shared") == 1


def test_a_long_text_is_remembered_when_it_is_met_again() -> None:
    """A million prompts that are met once are not kept; the one they share is."""
    counted: list[str] = []

    def count(text: str) -> int:
        counted.append(text)
        return len(text)

    texts = TextCounter(count, 1_000_000)
    shared = "You are a helpful assistant. " * 9
    for index in range(100):
        assert texts.count(shared) == len(shared)
        assert texts.count(f"{index} " + "question " * 9) > 80
    assert counted.count(shared) == 2
    assert len(counted) == 102


def test_what_was_met_once_is_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of texts met once a bounded number is kept in mind."""
    monkeypatch.setattr(text, "_MOST_ONCE", 10)
    texts = TextCounter(len, 1_000_000)
    for index in range(95):
        assert texts.count(f"{index} " + "question " * 9) > 80
    assert len(texts._once) == 5


def test_a_text_larger_than_the_memory_is_counted_once() -> None:
    """Of a very long shared prompt only its digest is kept; another prompt is not taken for it."""
    counted: list[str] = []

    def count(text: str) -> int:
        counted.append(text)
        return len(text)

    texts = TextCounter(count, 8_000)
    shared = "word \ud800" * 20_000
    for index in range(30):
        assert texts.count(shared) == len(shared)
        assert texts.count(f"{shared}{index}") == len(shared) + len(str(index))
    assert counted.count(shared) == 1
    assert len(counted) == 31


def test_a_schema_larger_than_the_memory_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tools and schemas too are known by their digest."""
    seen: list[str] = []

    def count(encode: object, content: str) -> int:
        seen.append(content)
        return 1

    monkeypatch.setattr("ratedispatch.tokens.counter.count_text", count)
    counter = Counter(memory=8_000)
    function = {"name": "f", "description": "word " * 10_000}
    body = {
        "model": "gpt-4o",
        "messages": [],
        "tools": [{"type": "function", "function": function}],
    }
    for _ in range(3):
        counter.count(body)
    assert len(seen) == 1


def test_memory_changes_no_count() -> None:
    """With much memory, little or none the counts are the same, and so they are repeated."""
    tool = {"type": "function", "function": {"name": "f", "description": "Do it."}}
    bodies = [
        {
            "model": "gpt-4o",
            "messages": [{"role": "user", "content": f"{sentence} {index % 3}"}],
            "tools": [tool] * (index % 3),
            "response_format": {"type": "json_schema", "schema": {"a": index % 2}},
        }
        for index, sentence in enumerate(SENTENCES * 4)
    ]
    counts = [[Counter(memory=size).count(body) for body in bodies] for size in (0, 2_000)]
    shared = Counter()
    assert counts[0] == counts[1] == [shared.count(body) for body in bodies]
    assert counts[0] == [shared.count(body) for body in bodies]


def test_repeated_parts_are_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system prompt and tools that many rows share are tokenized for the first row only."""
    seen: list[str] = []

    def count(encode: object, content: str) -> int:
        seen.append(content)
        return 1

    monkeypatch.setattr("ratedispatch.tokens.counter.count_text", count)
    counter = Counter()
    function = {"type": "function", "function": {"name": "look", "parameters": {}}}
    for index in range(50):
        messages = [
            {"role": "system", "content": "Shared."},
            {"role": "user", "content": str(index)},
        ]
        counter.count({"model": "gpt-4o", "messages": messages, "tools": [dict(function)]})
    assert len(seen) == 50 + len({"system", "user", "Shared.", "look:"})


def test_changed_tools_are_counted_anew() -> None:
    """A list of tools that is changed in place is not taken for what it was."""
    tools = [{"type": "function", "function": {"name": "f"}}]
    body = {"model": "gpt-4o", "messages": [], "tools": tools}
    counter = Counter()
    before = counter.count(body)
    tools.append({"type": "function", "function": {"name": "g"}})
    assert counter.count(body) > before


def test_threads_share_a_counter() -> None:
    """Threads that count at the same time through a small memory get what one alone gets."""
    bodies = [{"model": "gpt-4o", "input": f"{s} {i}"} for i in range(40) for s in SENTENCES]
    alone = [Counter().count(body, EMBEDDINGS) for body in bodies[:5]]
    counter = Counter(memory=4_000)
    results: list[list[int]] = []

    def run() -> None:
        results.append([counter.count(body, EMBEDDINGS) for body in bodies])

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(result == results[0] for result in results)
    assert results[0][:5] == alone
