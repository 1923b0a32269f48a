"""
Make one virtual environment for each peer.

Run it with ``python -m benchmarks.peers.install [NAME ...] [--folder FOLDER]``. An environment
whose packages are there already is left alone; the exit code is 1 if one could not be made.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.peers.places import DEFAULT_FOLDER, interpreter, vocabularies
from benchmarks.peers.table import NAMES, OURS, PEERS, Peer

_DONE = "installed.txt"


def install(peer: Peer, folder: Path) -> str | None:
    """Return ``None`` once *peer* is installed below *folder*, or pip's last words."""
    place = folder / peer.name
    mark, wanted = place / _DONE, "\n".join(peer.packages)
    if mark.exists() and mark.read_text(encoding="utf-8") == wanted:
        return None
    venv.create(place, clear=True, with_pip=True)
    command = [str(interpreter(folder, peer)), "-m", "pip", "install", "--quiet", *peer.packages]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        lines = [line for line in ended.stderr.splitlines() if line.startswith("ERROR")]
        return lines[-1] if lines else f"pip ended with exit code {ended.returncode}"
    mark.write_text(wanted, encoding="utf-8")
    return None


def main() -> int:
    """Install the peers that are named, or all; return the exit code."""
    parser = argparse.ArgumentParser(description="make the peers' environments")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER)
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(NAMES)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    folder = arguments.folder.expanduser()
    failed = False
    for peer in PEERS:
        if peer.name == OURS or (arguments.names and peer.name not in arguments.names):
            continue
        reason = install(peer, folder)
        failed = failed or reason is not None
        print(f"{peer.name}: {reason or 'installed'}", file=sys.stderr, flush=True)
    vocabularies(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
