"""Where ranks come from, and that nothing ever comes from a network."""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import requests
import tiktoken
import tiktoken_ext.openai_public as published

from ratedispatch.errors import VocabularyError
from ratedispatch.request import COMPLETIONS
from ratedispatch.tokens import Counter, MissingVocabularyWarning, vocabulary
from ratedispatch.tokens.fallback import estimate_text
from ratedispatch.tokens.vocabulary import RECIPES, SHARED, RankFile, Vocabulary

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "Tokens are counted before a request is sent."


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of tiktoken's."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(requests, "get", refuse)
    monkeypatch.setattr(requests.Session, "request", refuse)


def _prompt(model: str) -> dict[str, str]:
    return {"model": model, "prompt": TEXT}


@pytest.mark.slow
@pytest.mark.usefixtures("cache", "no_network")
def test_counting_opens_no_socket() -> None:
    """Every encoding counts without a socket, from an empty cache."""
    counter = Counter(vocabulary=Vocabulary())
    for model in ("gpt-4o", "gpt-4", "gpt-oss-120b"):
        assert counter.count(_prompt(model), COMPLETIONS) > 0
    for model in ("text-davinci-003", "davinci", "gpt2", "text-davinci-edit-001"):
        with pytest.warns(MissingVocabularyWarning, match="estimates, rather too high"):
            assert counter.count(_prompt(model), COMPLETIONS) > 0


def test_importing_the_package_does_not_import_tiktoken() -> None:
    """Importing is cheap: tiktoken is imported by the first count."""
    code = "import sys, ratedispatch.tokens; sys.exit('tiktoken' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recipes_are_those_that_tiktoken_publishes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patterns and special tokens are tiktoken's own."""
    asked: list[tuple[str, str]] = []

    def load(url: str, expected_hash: str) -> dict[bytes, int]:
        asked.append((url, expected_hash))
        return {}

    monkeypatch.setattr(published, "load_tiktoken_bpe", load)
    theirs = published.ENCODING_CONSTRUCTORS[name]()
    ours = RECIPES[name]
    assert (ours.pattern, ours.specials) == (theirs["pat_str"], theirs["special_tokens"])
    assert [(ours.ranks.url, ours.ranks.sha256)] == asked


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(b"IQ== 0\n"),
        b"not gzip at all",
        gzip.compress(b"IQ== 0\n")[:-6],
        gzip.compress(b"IQ== 0\n" * 9)[:12] + b"\xff" * 30,
        None,
    ],
    ids=["other content", "no gzip", "cut off", "bad data", "missing"],
)
def test_damaged_rank_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """A packaged file that is not what it was names itself, both digests and the way out."""
    ranks = RECIPES["cl100k_base"].ranks
    if content is not None:
        (tmp_path / "cl100k_base.ranks.gz").write_bytes(content)
    with pytest.raises(VocabularyError) as caught:
        vocabulary.packaged_ranks(ranks, tmp_path)
    message = str(caught.value)
    assert "cl100k_base.ranks.gz" in message
    assert ranks.packaged_sha256 is not None
    assert ranks.packaged_sha256 in message
    assert "install this package again, from the same clone or wheel" in message
    if content == gzip.compress(b"IQ== 0\n"):
        assert hashlib.sha256(b"IQ== 0\n").hexdigest() in message


@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base"])
def test_packaged_ranks_are_the_published_ones(name: str) -> None:
    """Written in the published form they have its SHA-256, and what reads it reads the same."""
    file = RECIPES[name].ranks
    ranks = vocabulary.packaged_ranks(file)
    published_bytes = vocabulary.published_form(ranks)
    assert hashlib.sha256(published_bytes).hexdigest() == file.sha256
    assert vocabulary.parse(published_bytes) == ranks


def test_several_threads_load_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """When threads ask at once, one makes the encoding and all get it."""
    made: list[str] = []
    entered = threading.Event()
    encoding = tiktoken.Encoding("tiny", pat_str=".", mergeable_ranks={b"a": 0}, special_tokens={})

    def build(name: str) -> tiktoken.Encoding:
        made.append(name)
        entered.wait(0.02)
        return encoding

    monkeypatch.setattr(vocabulary, "build", build)
    shared = Vocabulary()
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(shared.encoding, ["o200k_base", "o200k_harmony"] * 8))
    assert made == ["o200k_base"]
    assert all(one is encoding for one in got)


def test_unknown_encoding_is_a_value_error() -> None:
    """A misspelt encoding says which there are."""
    with pytest.raises(ValueError, match=r"unknown encoding 'o300k'.*cl100k_base"):
        Counter().count({"messages": []}, encoding="o300k")


def _cached(cache: Path, ranks: RankFile, data: bytes) -> Path:
    path = cache / hashlib.sha1(ranks.url.encode()).hexdigest()
    path.write_bytes(data)
    return path


def test_cached_ranks_are_used(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rank file that tiktoken has cached is used for its encoding, without a warning."""
    data = b"".join(b"%s %d\n" % (b, i) for i, b in enumerate([b"YQ==", b"Yg==", b"YWI="]))
    ranks = RankFile("p50k_base.tiktoken", hashlib.sha256(data).hexdigest())
    _cached(cache, ranks, data)
    recipe = vocabulary.Recipe(ranks, ".+", {})
    monkeypatch.setattr(vocabulary, "RECIPES", {**RECIPES, "p50k_base": recipe})
    counter = Counter(vocabulary=Vocabulary())
    body = {"model": "text-davinci-003", "prompt": "abba"}
    assert counter.count(body, COMPLETIONS) == 3


def test_gpt2_is_read_from_its_own_cache_file(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GPT-2's encoder.json, whose characters stand for bytes, gives the same ranks."""
    # U+0120 stands for the blank: openai/gpt-2, encoder.py
    data = json.dumps({"a": 0, "\u0120": 1, "\u0120a": 2, "<|endoftext|>": 50256}).encode()
    other = RankFile("encoder.json", hashlib.sha256(data).hexdigest(), folder="x")
    _cached(cache, other, data)
    recipe = vocabulary.Recipe(RECIPES["r50k_base"].ranks, ".+", {}, alternative=other)
    monkeypatch.setattr(vocabulary, "RECIPES", {**RECIPES, "r50k_base": recipe})
    assert vocabulary.find_ranks(recipe) == {b"a": 0, b" ": 1, b" a": 2}
    assert (
        Counter(vocabulary=Vocabulary()).count({"model": "gpt2", "prompt": "a a"}, COMPLETIONS) == 2
    )


@pytest.mark.usefixtures("no_network")
def test_damaged_cache_file_is_left_alone(cache: Path) -> None:
    """A cached file with another digest is neither used nor deleted nor downloaded again."""
    path = _cached(cache, RECIPES["p50k_base"].ranks, b"IQ== 0\n")
    counter = Counter(vocabulary=Vocabulary())
    with pytest.warns(MissingVocabularyWarning):
        counter.count(_prompt("text-davinci-003"), COMPLETIONS)
    assert path.read_bytes() == b"IQ== 0\n"


@pytest.mark.parametrize("variable", ["TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR", None])
def test_cache_folder_is_the_one_tiktoken_uses(
    variable: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder comes from the same variables, or is the same below the temporary one."""
    data = b"IQ== 0\n"
    ranks = RankFile("r50k_base.tiktoken", hashlib.sha256(data).hexdigest())
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    monkeypatch.delenv("DATA_GYM_CACHE_DIR", raising=False)
    folder = tmp_path / "data-gym-cache"
    folder.mkdir()
    if variable:
        monkeypatch.setenv(variable, str(folder))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    _cached(folder, ranks, data)
    assert vocabulary.cached_bytes(ranks) == data
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    assert vocabulary.cached_bytes(ranks) is None


@pytest.mark.usefixtures("cache")
def test_missing_vocabulary_warns_once() -> None:
    """An encoding that is not at hand is said to be estimated, one time."""
    counter = Counter(vocabulary=Vocabulary())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            counter.count(_prompt("text-davinci-003"), COMPLETIONS)
            counter.count(_prompt("text-davinci-002"), COMPLETIONS)
    assert [warning.category for warning in caught] == [MissingVocabularyWarning]


# tokens by r50k_base of tiktoken 0.14.0
R50K = [
    ("The quick brown fox jumps over the lazy dog. " * 5, 51),
    ("今天天气很好，我们去公园散步吧。人工智能正在改变世界。" * 3, 156),
    ("Сегодня хорошая погода, и мы пошли гулять в парк. Искусственный интеллект меняет мир.", 91),
    ("오늘은 날씨가 아주 좋아서 공원에 산책하러 갑니다.", 62),
    ("a        b\n\n        c\n            return x\n" * 5, 165),
    ("3.14159265358979 1234567890 987654 " * 5, 76),
    ("👍🎉😀🚀🔥" * 5, 65),
]


@pytest.mark.parametrize(("text", "tokens"), R50K)
def test_estimate_without_vocabulary_errs_high(text: str, tokens: int) -> None:
    """The stand-in for a missing vocabulary is at least the true count and at most its bytes."""
    encoding = SHARED.encoding("cl100k_base")
    assert encoding is not None
    estimate = estimate_text(lambda text: len(encoding.encode_ordinary(text)), text)
    assert tokens <= estimate <= min(2 * tokens, len(text.encode()))
    assert estimate_text(len, "") == 0
