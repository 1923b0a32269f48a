"""
Rank files and the encodings made of them, without a network.

Decides where the ranks of an encoding come from: the package itself for cl100k_base and
o200k_base, files that tiktoken has already cached for the rest. Builds tiktoken.Encoding itself
and never calls tiktoken's loader, which deletes a cached file that is damaged and downloads
another without a timeout.
The package has the ranks in a form that is read twice as fast as the published one, and is half as
long: the tokens in the order of their ranks, from 0, with a mark of two bytes between them.
Patterns, special tokens, URLs and digests: openai/tiktoken, tiktoken_ext/openai_public.py 0.14.0.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tempfile
import threading
import zlib
from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ratedispatch.errors import VocabularyError
from ratedispatch.tokens.models import lookup, lookup_within

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
_MARK = b"\xff\xfe"  # between two tokens of a packaged file: in none of them, nor across two
_BLOCK = 65_536  # bytes of a rank file that are parsed at once: 2 ms
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
    """
    A published file of ranks.

    Args:
        name: Its name.
        sha256: The SHA-256 of its bytes.
        packaged_sha256: That of the form in which the package carries it; None if it does not.
        folder: Where it is published.
    """

    name: str
    sha256: str
    packaged_sha256: str | None = None
    folder: str = "encodings"

    @property
    def url(self) -> str:
        """Where OpenAI publishes it; never opened here, but tiktoken's cache is named by it."""
        return f"https://openaipublic.blob.core.windows.net/{self.folder}/{self.name}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an encoding is made of; *alternative* holds the same ranks in GPT-2's own format."""

    ranks: RankFile
    pattern: str
    specials: Mapping[str, int] = field(repr=False)
    alternative: RankFile | None = None


_CL100K = RankFile(
    "cl100k_base.tiktoken",
    "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "e4c5361b19dec1991b2d6b95fa9816c640341e136e6ef9234a044ff9e0775c17",
)
_O200K = RankFile(
    "o200k_base.tiktoken",
    "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "85a9d446868765311a51b6b07ed92e0efcb7861bc314ba0ff0324d03d3d6c042",
)
_P50K = RankFile(
    "p50k_base.tiktoken", "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069"
)
_R50K = RankFile(
    "r50k_base.tiktoken", "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"
)
_GPT2 = RankFile(
    "encoder.json",
    "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    folder="gpt-2/encodings/main",
)

#: What can be built, by name.
RECIPES: Mapping[str, Recipe] = {
    "cl100k_base": Recipe(_CL100K, _CL100K_PATTERN, _CL100K_SPECIALS),
    "o200k_base": Recipe(_O200K, _O200K_PATTERN, _O200K_SPECIALS),
    "p50k_base": Recipe(_P50K, _R50K_PATTERN, _R50K_SPECIALS),
    "r50k_base": Recipe(_R50K, _R50K_PATTERN, _R50K_SPECIALS, alternative=_GPT2),
}
# these differ in special tokens or in the format of the file only, which no count depends on
_SAME_RANKS = {"o200k_harmony": "o200k_base", "p50k_edit": "p50k_base", "gpt2": "r50k_base"}
#: Every encoding that can be named.
ENCODINGS = frozenset(RECIPES) | frozenset(_SAME_RANKS)


def packaged_ranks(ranks: RankFile, folder: Path = _DATA) -> dict[bytes, int]:
    """
    Return the ranks that the package carries.

    Raises:
        VocabularyError: The file is missing, unreadable, or does not have its SHA-256.
    """
    path = folder / f"{ranks.name.removesuffix('.tiktoken')}.ranks.gz"
    try:
        data = gzip.decompress(path.read_bytes())
        found = hashlib.sha256(data).hexdigest()
    except (OSError, EOFError, zlib.error) as error:
        data, found = b"", f"none ({error})"
    if found != ranks.packaged_sha256:
        raise VocabularyError(
            f"{path} is damaged: its content has SHA-256 {found}, expected "
            f"{ranks.packaged_sha256}; install this package again, from the same clone or wheel"
        )
    tokens = data.split(_MARK)
    return dict(zip(tokens, range(len(tokens)), strict=True))


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
    name = hashlib.sha1(ranks.url.encode(), usedforsecurity=False).hexdigest()
    try:
        data = (Path(folder) / name).read_bytes()
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() == ranks.sha256 else None


def parse(data: bytes) -> dict[bytes, int]:
    """
    Return the ranks in *data*, a published file: lines of a base64 token and its rank.

    In blocks, between which other threads get their turn: as a whole it takes 0.1 s.
    """
    ranks: dict[bytes, int] = {}
    start = 0
    while start < len(data):
        end = data.find(b"\n", start + _BLOCK) + 1 or len(data)
        fields = data[start:end].split()
        first, last = int(fields[1]), int(fields[-1])
        numbers: Iterable[int] = range(first, last + 1)
        if len(fields) != 2 * (last + 1 - first):  # a gap, as p50k_base has
            numbers = map(int, fields[1::2])
        ranks.update(zip(map(a2b_base64, fields[::2]), numbers, strict=True))
        start = end
    return ranks


def published_form(ranks: Mapping[bytes, int]) -> bytes:
    """Return *ranks* as OpenAI publishes them: what `parse` reads."""
    return b"".join(b"%b %d\n" % (b2a_base64(token)[:-1], rank) for token, rank in ranks.items())


def parse_gpt2(data: bytes) -> dict[bytes, int]:
    """
    Return the ranks in GPT-2's ``encoder.json``; *data* was checked.

    Its tokens are written with one printable character a byte: the byte's own where it is
    printable, those from U+0100 in order for the others. Source: openai/gpt-2, encoder.py.
    """
    plain = [byte for byte in range(256) if chr(byte).isprintable() and chr(byte) != " "]
    others = [byte for byte in range(256) if byte not in plain]
    byte_of = {chr(byte): byte for byte in plain}
    byte_of |= {chr(256 + index): byte for index, byte in enumerate(others)}
    encoder: dict[str, int] = json.loads(data)
    return {
        bytes(byte_of[character] for character in token): rank
        for token, rank in encoder.items()
        if token not in _R50K_SPECIALS
    }


def find_ranks(recipe: Recipe) -> dict[bytes, int] | None:
    """Return the ranks for *recipe* from the package or from tiktoken's cache; else None."""
    if recipe.ranks.packaged_sha256 is not None:
        return packaged_ranks(recipe.ranks)
    data = cached_bytes(recipe.ranks)
    if data is not None:
        return parse(data)
    data = cached_bytes(recipe.alternative) if recipe.alternative else None
    return parse_gpt2(data) if data is not None else None


def build(name: str) -> tiktoken.Encoding | None:
    """Return the encoding *name*, newly made; None if no rank file for it is available."""
    recipe = RECIPES[name]
    ranks = find_ranks(recipe)
    if ranks is None:
        return None
    import tiktoken  # here, not above: importing this package must stay cheap

    return tiktoken.Encoding(
        name,
        pat_str=recipe.pattern,
        mergeable_ranks=ranks,
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

    def renew(self) -> None:
        """Take new locks, in a process that was forked; what was made stays."""
        self._lock = threading.Lock()
        self._locks = {}

    def encoding(self, name: str) -> tiktoken.Encoding | None:
        """
        Return the encoding *name*; None if no rank file for it is available.

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


def is_known(name: str) -> bool:
    """Whether *name* is that of an encoding, or of a model whose encoding is known."""
    return name in ENCODINGS or lookup(name) is not None or lookup_within(name) is not None
