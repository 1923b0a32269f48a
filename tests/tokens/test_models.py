"""Which model is counted by which rules."""

from __future__ import annotations

import warnings

import pytest

from ratedispatch.tokens import Counter, UnknownModelWarning
from ratedispatch.tokens.models import DEFAULT, base_name, lookup

CL100K, O200K, HARMONY = "cl100k_base", "o200k_base", "o200k_harmony"
NAMES = [
    ("gpt-6-astra", O200K),
    ("gpt-6.1-2026-10-01", O200K),
    ("gpt-5", O200K),
    ("gpt-5.2-codex", O200K),
    ("gpt-5o", O200K),
    ("gpt-4.1", O200K),
    ("gpt-4.1-nano-2025-04-14", O200K),
    ("ft:gpt-4.1-mini-2025-04-14:acme::AbC", O200K),
    ("ft:gpt-4o-mini-2024-07-18:acme:x/y:1", O200K),
    ("ft:gpt-4:acme::1", CL100K),
    ("ft:gpt-3.5-turbo-1106:acme::1", CL100K),
    ("ft:babbage-002:acme::1", CL100K),
    ("openai/ft:gpt-4.1:acme::1", O200K),
    ("davinci:ft-acme-2023-01-01", "r50k_base"),
    ("gpt-41", O200K),
    ("gpt-4-1", O200K),
    ("gpt-4-1-mini", O200K),
    ("gpt-3-5-turbo", CL100K),
    ("gpt-4-1106-preview", CL100K),
    ("gpt-4-8k", CL100K),
    ("gpt-41-mini", O200K),
    ("gpt-4o-my-deployment", O200K),
    ("gpt4o", O200K),
    ("gpt-35-turbo", CL100K),
    ("gpt-35-turbo-16k", CL100K),
    ("gpt-3.5", CL100K),
    ("gpt-4", CL100K),
    ("gpt-4-turbo-2024-04-09", CL100K),
    ("GPT-4-32K", CL100K),
    ("gpt-4.5-preview", O200K),
    ("gpt-realtime-mini", O200K),
    ("gpt-audio", O200K),
    ("codex-mini-latest", O200K),
    ("computer-use-preview", O200K),
    ("omni-moderation-latest", O200K),
    ("o1", O200K),
    ("o3-deep-research", O200K),
    ("o4-mini", O200K),
    ("gpt-oss-120b", HARMONY),
    ("openai/gpt-oss-20b:free", HARMONY),
    ("gpt-oss:20b", HARMONY),
    ("openai/gpt-4o", O200K),
    ("azure/gpt-4", CL100K),
    ("openrouter/openai/gpt-4o:extended", O200K),
    ("text-embedding-3-large", CL100K),
    ("text-embedding-ada-002", CL100K),
    ("davinci-002", CL100K),
    ("text-davinci-003", "p50k_base"),
    ("code-davinci-edit-001", "p50k_edit"),
    ("text-search-ada-doc-001", "r50k_base"),
    ("gpt2", "gpt2"),
]


@pytest.mark.parametrize(("name", "encoding"), NAMES)
def test_names_find_their_encoding(name: str, encoding: str) -> None:
    """Names, snapshots, fine-tunings, deployments and routes find the model they are made of."""
    family = lookup(name)
    assert family is not None
    assert family.encoding == encoding


@pytest.mark.parametrize(
    "name", ["", "claude-sonnet-5", "llama-3.3-70b", "mistral-large", "o1ympus", "ada-9", "ft:"]
)
def test_other_names_are_unknown(name: str) -> None:
    """A name that only looks similar is not taken for a known one."""
    assert lookup(name) is None


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("gpt-4-1", "gpt-4.1"),
        ("gpt-4-1-mini", "gpt-4.1-mini"),
        ("gpt-4_1-nano", "gpt-4.1-nano"),
        ("gpt-5-2", "gpt-5.2"),
        ("gpt-52-chat", "gpt-5.2"),
        ("gpt-5-4", "gpt-5.4"),
        ("gpt54", "gpt-5.4"),
        ("gpt-35-turbo-0301", "gpt-3.5-turbo-0301"),
        ("gpt-5-2025-08-07", "gpt-5"),
        ("gpt4o-mini-eastus", "gpt-4o-mini"),
    ],
)
def test_deployments_without_dots_are_their_models(name: str, like: str) -> None:
    """Azure's names have no dot; a date is not taken for a version."""
    assert lookup(name) is lookup(like)


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("my-gpt-4o-mini", "gpt-4o-mini"),
        ("prod-gpt-4o", "gpt-4o"),
        ("team_a_gpt-4-1-nano-eu", "gpt-4.1-nano"),
        ("x-o3-mini", "o3-mini"),
        ("gpt-x-gpt-4", "gpt-4"),
        ("our-text-embedding-3-small", "text-embedding-3-small"),
    ],
)
def test_a_name_around_a_known_model_is_counted_like_it(name: str, like: str) -> None:
    """It is a guess, so it is said; the model's own rules hold."""
    assert lookup(name) is None
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    body = {"messages": [{"role": "user", "content": [image]}]}
    counter = Counter()
    known = counter.count({"model": like, **body})
    with pytest.warns(
        UnknownModelWarning, match=f"'{name}' is not known; its tokens are counted as those of "
    ):
        assert counter.count({"model": name, **body}) == known
    assert counter.count({"model": name, **body}) == known


def test_base_name_strips_provider_variant_and_fine_tuning() -> None:
    """What stands around a model's name is not part of it."""
    assert base_name(" OpenAI/FT:GPT-4o:acme/x::id ") == "gpt-4o"
    assert base_name("ft") == "ft"


def _body(model: str) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": "hello"}]}


def test_unknown_model_is_counted_by_o200k_with_one_warning_a_name() -> None:
    """Each unknown name is warned about once, and counted like a current model."""
    counter = Counter()
    known = counter.count(_body("gpt-4o"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        counts = [counter.count(_body(name)) for name in ("claude-x", "llama", "claude-x") * 2]
    assert counts == [known] * 6
    assert [str(warning.message)[:16] for warning in caught] == [
        "model 'claude-x'",
        "model 'llama' is",
    ]
    assert DEFAULT.encoding == O200K


def test_warning_as_error_does_not_stop_the_second_count() -> None:
    """Where warnings are errors the first count raises and the next one counts."""
    counter = Counter()
    with pytest.raises(UnknownModelWarning):
        counter.count(_body("claude-x"))
    assert counter.count(_body("claude-x")) == 8


def test_missing_model_is_counted_silently() -> None:
    """A body without a model, for which the address decides, needs no warning."""
    assert Counter().count({"messages": [{"role": "user", "content": "hello"}]}) == 8


def test_overrides_come_first() -> None:
    """A caller's own name stands for a model, or for an encoding."""
    counter = Counter(
        models={"mine": "gpt-4o-mini", "theirs": "cl100k_base", "gpt-4": "o200k_base"}
    )
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    body = {"model": "mine", "messages": [{"role": "user", "content": [image]}]}
    like = {**body, "model": "gpt-4o-mini"}
    assert counter.count(body) == counter.count(like)
    text = "お誕生日おめでとう"
    # o200k_base has 8 tokens for it, cl100k_base 9: see the published vectors
    for model, tokens in (("theirs", 9), ("gpt-4", 8), ("gpt-4-0613", 9)):
        assert counter.count({"model": model, "input": text}, "/v1/embeddings") == tokens


def test_encoding_argument_wins() -> None:
    """An encoding given with the call is used instead of the model's."""
    body = {"model": "gpt-4o", "input": "お誕生日おめでとう"}
    assert Counter().count(body, "/v1/embeddings", encoding="cl100k_base") == 9


def test_endless_names_are_not_kept() -> None:
    """A job whose rows name a thousand and more models keeps a bounded number of them."""
    counter = Counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for index in range(1_200):
            counter.count(_body(f"model-{index}"))
        counter.count(_body("x" * 100_000))
    assert len(caught) == 1_000
    assert len(counter._scales) == 1_000
