"""
Where the peers' environments are, and what each child is given to run in.

Decides paths and variables. Knows nothing of workloads or figures.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.peers.table import OURS
from ratedispatch.tokens.vocabulary import RECIPES, packaged_ranks, published_form

if TYPE_CHECKING:
    from benchmarks.peers.table import Peer

DEFAULT_FOLDER = Path("~/.cache/ratedispatch-peers")

#: The script that runs a peer's module with the peer's interpreter.
DRIVER = Path(__file__).parent / "runners" / "drive.py"

# names of tiktoken's own cache: SHA-1 of the URL that each vocabulary is published at
_VOCABULARIES = {
    "cl100k_base": "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
    "o200k_base": "fb374d419588a4632f3f557e76b4b70aebbca790",
}
_P50K = "ec7223a39ce59f226a68acc30dc1af2788490e15"


def interpreter(folder: Path, peer: Peer) -> Path:
    """Return the interpreter of *peer*, which may not be there."""
    if peer.name == OURS:
        return Path(sys.executable)
    environment = folder / peer.name
    if os.name == "nt":
        return environment / "Scripts" / "python.exe"
    return environment / "bin" / "python"


def vocabularies(folder: Path) -> Path:
    """
    Return a folder that tiktoken takes for its cache, so that no peer downloads a vocabulary.

    Two come from this package; p50k_base, which only openlimit loads, from the one that litellm
    carries, if litellm is installed.
    """
    cache = folder / "vocabularies"
    cache.mkdir(parents=True, exist_ok=True)
    for name, file in _VOCABULARIES.items():
        if not (cache / file).exists():
            ranks = packaged_ranks(RECIPES[name].ranks)
            (cache / file).write_bytes(published_form(ranks))
    if not (cache / _P50K).exists():
        for found in folder.glob(f"litellm_router/**/tokenizers/{_P50K}"):
            shutil.copy(found, cache / _P50K)
    return cache


def variables(peer: Peer, folder: Path, home: Path) -> dict[str, str]:
    """Return the whole environment of a child of *peer*, whose home is the empty folder *home*."""
    kept = {
        name: value
        for name, value in os.environ.items()
        # proxies are not for the loopback, and a peer must not see this program's modules
        if not name.lower().endswith("_proxy") and not name.startswith("PYTHON")
    }
    return kept | {
        "HOME": str(home),
        "TIKTOKEN_CACHE_DIR": str(vocabularies(folder)),
        "OPENAI_API_KEY": "key-of-the-benchmark",
        **peer.environment,
    }
