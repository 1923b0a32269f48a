"""Base64 is found wherever it stands, and never written as text."""

from __future__ import annotations

import base64
import json
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.errors import InvalidRequest
from ratedispatch.tokens import blobs, documents
from ratedispatch.tokens.blobs import LEAST, split

DATA = base64.b64encode(bytes(range(256)) * 6).decode()  # 2,048 characters
URL = f"data:image/png;base64,{DATA}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("hello", []),
        ("hello world. " * 500, []),
        (DATA, [DATA]),
        (DATA[:LEAST], [DATA[:LEAST]]),
        (DATA[: LEAST - 1], []),
        (f"see {DATA}!", [DATA]),
        (f"{'.' * 700}{DATA}{'.' * 700}{DATA}", [DATA, DATA]),
        (f"{'.' * 700}{DATA[: LEAST - 1]}{'.' * 700}", []),
        (URL, [URL]),
        (URL.upper()[:22] + DATA, [URL.upper()[:22] + DATA]),
        (f"look: {URL}", [URL]),
        (f"data:{DATA}", [DATA]),
        (f"no header;base64,{DATA}", [DATA]),
        ("data:image/png;base64,iVBORw0KGgo=", ["data:image/png;base64,iVBORw0KGgo="]),
        ("data:image/png;base64,iVBORw0KGgo= and so on", []),
        (f"{URL} and so on", [URL]),
        ("data:;base64;" * 10_000, []),
        ("data:;base64," * 10_000, []),
        ("é" * 5_000, []),
    ],
)
def test_base64_is_found(text: str, found: list[str]) -> None:
    """Runs that no language writes, and data URLs, with the text around them left whole."""
    pieces = list(split(text))
    assert [piece for piece, is_blob in pieces if is_blob] == found
    assert "".join(piece for piece, _ in pieces) == text


def test_base64_in_lines_is_one_piece() -> None:
    """A data URL may have line breaks in it."""
    url = "data:image/png;base64," + base64.encodebytes(bytes(5_000)).decode()
    assert list(split(url)) == [(url, True)]


@given(
    st.lists(st.sampled_from([DATA, URL, DATA[:500], "data:", ";base64,", " "]) | st.text()),
    st.integers(1, 2_000),
)
def test_pieces_are_the_text(parts: list[str], step: int) -> None:
    """Nothing is lost or added, however far is looked at a time."""
    text = "".join(parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blobs, "_STEP", step)
        pieces = list(split(text))
    assert "".join(piece for piece, _ in pieces) == text
    assert pieces == list(split(text))


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: (
        st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text() | st.integers(), inner)
    ),
)


@pytest.mark.slow
@given(values)
def test_a_large_document_is_written_as_a_small_one(value: Any) -> None:
    """In pieces or in one, the text is the same, and it is JSON's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "_SMALL", -1)
        patch.setattr(documents, "_STEP", 3)
        patch.setattr(documents, "_BLOCK", 2)
        slowly = documents.compact(value, "x")
    assert slowly == json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert documents.compact(value, "x") == slowly


def test_blobs_are_cut_out_of_documents() -> None:
    """What is left is the document without them, wherever they stood."""
    value = {"a": [URL, MappingProxyType({"b": f"x {DATA} y"})], "c": "data:audio/mp3;base64,AAAA"}
    text, found = documents.without_blobs(value, "x")
    assert text == ['{"a":["",{"b":"x  y"}],"c":""}']
    assert found == [URL, DATA, "data:audio/mp3;base64,AAAA"]
    assert documents.without_blobs({"c": "data:;base64,AAAA"}, "x") == (
        ['{"c":""}'],
        ["data:;base64,AAAA"],
    )


def test_a_large_document_comes_in_blocks() -> None:
    """Nobody has to hold all of it at once, or to wait for it."""
    blocks, found = documents.without_blobs(["word " * 100_000, "é" * 300_000], "x")
    assert found == []
    assert len(blocks) >= 3
    assert max(map(len, blocks)) < 400_000
    assert json.loads("".join(blocks)) == ["word " * 100_000, "é" * 300_000]


@pytest.mark.parametrize(
    "odd", [{1, 2}, 10**5_000, {(1,): 2}, b"x"], ids=["set", "digits", "key", "bytes"]
)
def test_what_is_no_json_is_refused_large_or_small(odd: Any) -> None:
    """The message names the field."""
    for value in ([odd], [odd, "x" * 70_000]):
        with pytest.raises(InvalidRequest, match="tools: not representable as JSON"):
            documents.compact(value, "tools")


def test_what_is_too_deep_is_refused_large_or_small() -> None:
    """A document that contains itself is too deep as well."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    ring: list[Any] = ["x" * 70_000]
    ring.append(ring)
    for value in (deep, ring):
        with pytest.raises(InvalidRequest, match="tools: nested too deeply"):
            documents.compact(value, "tools")
    del deep
