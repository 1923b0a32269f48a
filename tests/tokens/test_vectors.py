"""Every published count, and those that no rule gives, with their differences."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ratedispatch.request import COMPLETIONS, EMBEDDINGS
from ratedispatch.tokens import Counter, count_tokens
from ratedispatch.tokens.images import count_patches
from ratedispatch.tokens.models import lookup
from ratedispatch.tokens.vocabulary import SHARED

from . import vectors
from .pictures import data_url, png

if TYPE_CHECKING:
    from ratedispatch.tokens.vocabulary import Vocabulary

    from .vectors import Deviation, Image, Vector


@pytest.mark.parametrize("vector", vectors.COOKBOOK + vectors.REPORTED + vectors.FUNCTIONS)
def test_published_prompts_count_as_published(vector: Vector) -> None:
    """Each prompt has the tokens that the API reported for it."""
    assert count_tokens(vector.body, vector.endpoint) == vector.tokens


@pytest.mark.parametrize("deviation", vectors.DEVIATING)
def test_deviating_prompts_deviate_as_documented(deviation: Deviation) -> None:
    """The reports that no rule gives differ by what the reference page says."""
    count = count_tokens(deviation.body, "/v1/responses")
    assert count - deviation.reported == deviation.difference


@pytest.mark.parametrize("deviation", vectors.DEVIATING)
def test_reference_page_lists_the_deviations(deviation: Deviation) -> None:
    """Nobody has to read the tests to learn what is not exact."""
    page = (Path(__file__).parents[2] / "docs/reference/counting.md").read_text(encoding="utf-8")
    ours = deviation.reported + deviation.difference
    row = (
        f"| {deviation.body['model']} | {deviation.reported} | {ours} | {deviation.difference:+d} |"
    )
    assert f'"{deviation.body["input"]}" {row}' in page.replace("−", "-")


def test_all_function_vectors_are_there() -> None:
    """The file of function vectors has not lost a line."""
    assert len(vectors.FUNCTIONS) == 24


@pytest.mark.parametrize(("name", "text", "tokens"), vectors.ENCODINGS)
def test_packaged_encodings_give_published_tokens(name: str, text: str, tokens: list[int]) -> None:
    """The encodings made from the packaged files give the published token ids."""
    encoding = SHARED.encoding(name)
    assert encoding is not None
    assert encoding.encode_ordinary(text) == tokens
    body = {"model": "m", "input": text}
    assert count_tokens(body, EMBEDDINGS, encoding=name) == len(tokens)


def test_lone_surrogate_counts_as_replacement_character() -> None:
    """A lone surrogate is counted as U+FFFD, which is what is sent for it."""
    encoding = SHARED.encoding("cl100k_base")
    assert encoding is not None
    assert encoding.encode_ordinary("\ud83d") == encoding.encode_ordinary("\ufffd")


OLDER = ["r50k_base", "gpt2", "p50k_base", "p50k_edit"]


@pytest.mark.parametrize("name", OLDER)
@pytest.mark.parametrize(("text", "tokens"), vectors.OLDER_ENCODINGS)
def test_older_encodings_give_published_tokens(
    name: str, text: str, tokens: list[int], older: Vocabulary
) -> None:
    """The older encodings, where tiktoken has cached them, give the published token ids."""
    encoding = older.encoding(name)
    assert encoding is not None
    assert encoding.encode_ordinary(text) == tokens
    body = {"model": "m", "prompt": text}
    assert Counter(vocabulary=older).count(body, COMPLETIONS, encoding=name) == len(tokens)


@pytest.mark.parametrize("name", OLDER)
def test_older_encodings_give_the_published_count(name: str, older: Vocabulary) -> None:
    """The count that is published without ids is theirs too."""
    text, tokens = vectors.OLDER_COUNT
    body = {"model": "m", "prompt": text}
    assert Counter(vocabulary=older).count(body, COMPLETIONS, encoding=name) == tokens


@pytest.mark.parametrize(("width", "height", "tokens", "surcharge"), vectors.FAITHFUL)
def test_images_given_to_gpt_image_1(width: int, height: int, tokens: int, surcharge: int) -> None:
    """They have tiles of their own, and high fidelity costs extra; other models know no such."""
    url = data_url(png(width, height))
    content = [{"type": "image_url", "image_url": {"url": url}}]
    plain = {"model": "gpt-image-1", "messages": [{"role": "user", "content": content}]}
    without = count_tokens({**plain, "messages": [{"role": "user", "content": []}]})
    assert count_tokens(plain) - without == tokens
    assert count_tokens({**plain, "input_fidelity": "low"}) - without == tokens
    assert count_tokens({**plain, "input_fidelity": "high"}) - without == tokens + surcharge
    for model in ("gpt-4o", "gpt-4.1-mini"):
        other = {**plain, "model": model}
        assert count_tokens({**other, "input_fidelity": "high"}) == count_tokens(other)


@pytest.mark.parametrize("image", vectors.IMAGES)
def test_published_images_cost_as_published(image: Image) -> None:
    """Each image costs what the guide's worked examples say."""
    family = lookup(image.model)
    assert family is not None
    assert family.images.tokens(image.width, image.height, image.detail) == image.tokens


@pytest.mark.parametrize(("width", "height", "patches"), vectors.PATCHES)
def test_published_patches(width: int, height: int, patches: int) -> None:
    """Patches before the multiplier are those of the guide."""
    assert count_patches(width, height, 1_536) == patches
