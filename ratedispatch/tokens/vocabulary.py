"""
Rank files and the encodings made of them, without a network.

Decides where the ranks of an encoding come from: the package itself for cl100k_base and
o200k_base, files that tiktoken has already cached for the rest. Builds tiktoken.Encoding itself
and never calls tiktoken's loader, which deletes a cached file that is damaged and downloads
another without a timeout. Knows nothing of models or requests.
Patterns, special tokens, URLs and digests: openai/tiktoken, tiktoken_ext/openai_public.py 0.14.0.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
import threading
import zlib
from binascii import a2b_base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ratedispatch.errors import VocabularyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import tiktoken

_R50K_PATTERN = (
    r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
)
_CL100K_PATTERN = (
    r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"""
    r"""| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
)
_O200K_PATTERN = "|".join(  # noqa: FLY002  # one alternative a line
    (
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""\p{N}{1,3}""",
        r""" ?[^\s\p{L}\p{N}]+[\r\n/]*""",
        r"""\s*[\r\n]+""",
        r"""\s+(?!\S)""",
        r"""\s+""",
    )
)
_BLOB = "https://openaipublic.blob.core.windows.net/encodings/"
_DATA = Path(__file__).parent / "data"

_CL100K_SPECIALS = {
    "<|endoftext|>": 100257,
    "<|fim_prefix|>": 100258,
    "<|fim_middle|>": 100259,
    "<|fim_suffix|>": 100260,
    "<|endofprompt|>": 100276,
}
_O200K_SPECIALS = {"<|endoftext|>": 199999, "<|endofprompt|>": 200018}
_R50K_SPECIALS = {"<|endoftext|>": 50256}


@dataclass(frozen=True, slots=True)
class RankFile:
    """A file of ranks: its *name*, the SHA-256 of its bytes, whether the package carries it."""

    name: str
    sha256: str
    packaged: bool = False


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an encoding is made of."""

    ranks: RankFile
    pattern: str
    specials: Mapping[str, int] = field(repr=False)


_CL100K = RankFile(
    "cl100k_base.tiktoken",
    "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    packaged=True,
)
_O200K = RankFile(
    "o200k_base.tiktoken",
    "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    packaged=True,
)
_P50K = RankFile(
    "p50k_base.tiktoken", "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069"
)
_R50K = RankFile(
    "r50k_base.tiktoken", "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"
)

#: What can be built, by name.
RECIPES: Mapping[str, Recipe] = {
    "cl100k_base": Recipe(_CL100K, _CL100K_PATTERN, _CL100K_SPECIALS),
    "o200k_base": Recipe(_O200K, _O200K_PATTERN, _O200K_SPECIALS),
    "p50k_base": Recipe(_P50K, _R50K_PATTERN, _R50K_SPECIALS),
    "r50k_base": Recipe(_R50K, _R50K_PATTERN, _R50K_SPECIALS),
}
# these differ in special tokens or in the format of the file only, which no count depends on
_SAME_RANKS = {"o200k_harmony": "o200k_base", "p50k_edit": "p50k_base", "gpt2": "r50k_base"}
#: Every encoding that can be named.
ENCODINGS = frozenset(RECIPES) | frozenset(_SAME_RANKS)


def packaged_bytes(ranks: RankFile, folder: Path = _DATA) -> bytes:
    """
    Return the bytes of a rank file that the package carries.

    Raises:
        VocabularyError: The file is missing, unreadable, or does not have its SHA-256.
    """
    path = folder / f"{ranks.name}.gz"
    try:
        data = gzip.decompress(path.read_bytes())
        found = hashlib.sha256(data).hexdigest()
    except (OSError, EOFError, zlib.error) as error:
        data, found = b"", f"none ({error})"
    if found != ranks.sha256:
        raise VocabularyError(
            f"{path} is damaged: its content has SHA-256 {found}, expected {ranks.sha256}; "
            f"reinstall ratedispatch"
        )
    return data


def cached_bytes(ranks: RankFile) -> bytes | None:
    """
    Return the bytes of a rank file that tiktoken has cached; None without a good copy.

    Only reads: a copy with another SHA-256 is left where it is.
    Source of the folder and the file's name: openai/tiktoken, load.py, `read_file_cached`.
    """
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if folder is None:
        folder = str(Path(tempfile.gettempdir()) / "data-gym-cache")
    if not folder:  # an empty string switches tiktoken's cache off
        return None
    name = hashlib.sha1((_BLOB + ranks.name).encode(), usedforsecurity=False).hexdigest()
    try:
        data = (Path(folder) / name).read_bytes()
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() == ranks.sha256 else None


def parse(data: bytes) -> dict[bytes, int]:
    """Return the ranks in *data*, lines of a base64 token and its rank; *data* was checked."""
    fields = data.split()
    return dict(zip(map(a2b_base64, fields[::2]), map(int, fields[1::2]), strict=True))


def build(name: str) -> tiktoken.Encoding | None:
    """Return the encoding *name*, newly made; None if no rank file for it is at hand."""
    recipe = RECIPES[name]
    data = packaged_bytes(recipe.ranks) if recipe.ranks.packaged else cached_bytes(recipe.ranks)
    if data is None:
        return None
    import tiktoken  # here, not above: importing this package must stay cheap

    return tiktoken.Encoding(
        name,
        pat_str=recipe.pattern,
        mergeable_ranks=parse(data),
        special_tokens=dict(recipe.specials),
    )


class Vocabulary:
    """
    The encodings of one process, each made once, when it is first asked for.

    Safe to share between threads: the first to ask makes the encoding, the others wait for it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._made: dict[str, tiktoken.Encoding | None] = {}

    def encoding(self, name: str) -> tiktoken.Encoding | None:
        """
        Return the encoding *name*; None if no rank file for it is at hand.

        Raises:
            ValueError: There is no encoding of that name.
            VocabularyError: The package's own rank file is damaged.
        """
        if name not in ENCODINGS:
            raise ValueError(f"unknown encoding {name!r}; known: {', '.join(sorted(ENCODINGS))}")
        name = _SAME_RANKS.get(name, name)
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            if name not in self._made:
                self._made[name] = build(name)
            return self._made[name]


#: Shared by every Counter: rank tables are large (70 MB) and never change once they are made.
SHARED = Vocabulary()
