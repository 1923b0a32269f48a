"""
The rank files of the older encodings, which the package does not carry.

``data/r50k_base.tiktoken.gz`` is OpenAI's file r50k_base.tiktoken. p50k_base.tiktoken is the same
and 24 runs of blanks, 2 to 25, from rank 50257 on. Whoever reads them checks their SHA-256.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from pathlib import Path

import pytest

from ratedispatch.tokens.vocabulary import RECIPES, Vocabulary

_FILE = Path(__file__).with_name("data") / "r50k_base.tiktoken.gz"


def rank_files() -> dict[str, bytes]:
    """Return the bytes of the rank files of r50k_base and p50k_base."""
    r50k = gzip.decompress(_FILE.read_bytes())
    runs = (
        b"%s %d\n" % (base64.b64encode(b" " * length), 50_257 + index)
        for index, length in enumerate(range(2, 26))
    )
    return {"r50k_base": r50k, "p50k_base": r50k + b"".join(runs)}


@pytest.fixture(scope="session")
def older(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    """Vocabularies as they are where tiktoken has cached the older rank files."""
    cache = tmp_path_factory.mktemp("cache")
    for name, data in rank_files().items():
        url = RECIPES[name].ranks.url
        (cache / hashlib.sha1(url.encode()).hexdigest()).write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(cache))
        vocabulary = Vocabulary()
        for name in ("r50k_base", "p50k_base"):
            assert vocabulary.encoding(name) is not None
    return vocabulary
