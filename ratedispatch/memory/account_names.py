"""
The names of accounts in a state folder, from which nobody can find out the keys.

A key chosen by a person is short, and its plain hash could be found by trial. So the name is
derived from a random secret of the folder, by a function that is slow and needs memory: somebody
who has a report with a name in it cannot test guesses, and somebody who also has the folder can
test only a few hundred per second.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pathlib import Path

#: The name of the file with the secret, and its bytes.
_SECRET = "secret"  # noqa: S105 - the name of a file
_SECRET_BYTES = 32

#: scrypt with 4 MB and some milliseconds: once for each key of a run, and 64 keys of a pool take
#: half a second.
_COST, _BLOCK = 2**12, 8

#: Bytes of a name: two accounts of one person never get the same.
_NAME_BYTES = 8

_PORTS = {"http": 80, "https": 443}


def place_of(base_url: str | None) -> str:
    """
    Return the name of the server at *base_url*; empty if there is none.

    Spellings of one address are one. A user, a password and a query are left out: they may be
    keys.
    """
    try:
        parts = urlsplit(str(base_url or "").strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if not host:
        return ""
    where = f"[{host}]" if ":" in host else host
    if port is not None and port != _PORTS.get(parts.scheme):
        where = f"{where}:{port}"
    return f"{parts.scheme}://{where}{parts.path.rstrip('/')}"


def seal_of(digest: bytes, secret: bytes) -> bytes:
    """Return what stands for the key with *digest* under *secret*; takes some milliseconds."""
    return hashlib.scrypt(digest, salt=secret, n=_COST, r=_BLOCK, p=1, dklen=32)


def name_of(seal: bytes, place: str, group: str) -> str:
    """Return the name of the account with the key of *seal* at *place*, or of a *group* of it."""
    text = f"{place}\0{group}".encode("utf-8", "backslashreplace")
    return hashlib.blake2b(text, key=seal, digest_size=_NAME_BYTES).hexdigest()


def secret_in(folder: Path) -> bytes:
    """
    Return the secret of *folder*; create it if there is none.

    Raises:
        OSError: It can be neither read nor written.
    """
    path = folder / _SECRET
    for _ in range(2):
        with contextlib.suppress(FileNotFoundError):
            return _read(path)
        # written whole under another name: nobody ever reads a part of it
        new = folder / f".{_SECRET}.{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(new, flags, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(_SECRET_BYTES))
            with contextlib.suppress(FileExistsError):  # another process was quicker
                os.link(new, path)
        finally:
            with contextlib.suppress(OSError):
                new.unlink()
    return _read(path)


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(descriptor, "rb") as file:
        secret = file.read(_SECRET_BYTES + 1)
    if len(secret) != _SECRET_BYTES:
        raise OSError(f"{path} is damaged: it must have {_SECRET_BYTES} bytes; remove it")
    return secret
