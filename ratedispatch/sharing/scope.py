"""
Decides which processes share a limit: those that send to the same base URL with the same key.

The key stands nowhere: the name of a file has a digest of it, keyed by random bytes that only this
user can read, so that a short key cannot be found by trying.
"""

from __future__ import annotations

import os
import re
import secrets
from functools import lru_cache
from hashlib import blake2b, pbkdf2_hmac
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ratedispatch.sharing.file_locks import lock, unlock
from ratedispatch.sharing.folder import cannot_be_shared, open_file

if TYPE_CHECKING:
    from pathlib import Path

#: Where requests go that name no address.
_DEFAULT_ADDRESS = "https://api.openai.com/v1"
_PORTS = {"http": 80, "https": 443}

_SALT_FILE = "salt"
_SALT_BYTES = 32
_DIGEST_BYTES = 16
_LONGEST_HOST = 60

#: Of hashing, where a digest has no salt: a tenth of a second for each key that somebody tries.
_ROUNDS = 150_000


def normal_address(base_url: str | None) -> str:
    """Return *base_url* as all write it: host in small letters, no usual port, no last slash."""
    text = (base_url or _DEFAULT_ADDRESS).strip()
    parts = urlsplit(text if "//" in text else f"https://{text}")
    scheme, host = parts.scheme.lower(), (parts.hostname or "").rstrip(".")
    try:
        port = parts.port
    except ValueError:  # not a number; whoever sends will say so
        return text
    if ":" in host:
        host = f"[{host}]"
    place = host if port in {None, _PORTS.get(scheme)} else f"{host}:{port}"
    return f"{scheme}://{place}{parts.path.rstrip('/')}"


def scope_digest(
    base_url: str | None, key: str | None, group: str, *, label: str = "", salt: bytes = b""
) -> str:
    """
    Return a name for those that share: the same for them, another for all others.

    Args:
        base_url: Where they send to; None for OpenAI.
        key: With which they do; it is not to be found out from what is returned.
        group: The group of models whose limits are apart.
        label: What sets them apart from others of the same account.
        salt: Up to 64 bytes that nobody else knows. Without them trying keys is made slow
            instead, which takes a tenth of a second here.
    """
    secret = (key or "").encode("utf-8", "surrogatepass")
    if not salt:
        secret = _stretched(secret)
    digest = blake2b(key=salt, digest_size=_DIGEST_BYTES)
    texts = [
        part.encode("utf-8", "surrogatepass") for part in (normal_address(base_url), group, label)
    ]
    for part in (secret, *texts):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


@lru_cache(maxsize=64)
def _stretched(secret: bytes) -> bytes:
    return pbkdf2_hmac("sha256", secret, b"ratedispatch", _ROUNDS)


def file_name(base_url: str | None, key: str | None, group: str, *, label: str, salt: bytes) -> str:
    """Return that of the file in which they share, with the host for people who look."""
    host = urlsplit(normal_address(base_url)).hostname or "unknown"
    readable = re.sub(r"[^a-z0-9.-]", "_", host)[:_LONGEST_HOST]
    digest = scope_digest(base_url, key, group, label=label, salt=salt)
    return f"{readable}-{digest}.limits"


def folder_salt(folder: Path) -> bytes:
    """
    Return the random bytes of *folder*; whoever comes first makes them.

    Raises:
        SharingError: They cannot be read or made.
    """
    path = folder / _SALT_FILE
    fd = open_file(folder, _SALT_FILE)
    try:
        salt = os.pread(fd, _SALT_BYTES, 0)
        if len(salt) < _SALT_BYTES:
            lock(fd, is_patient=True)
            try:
                salt = os.pread(fd, _SALT_BYTES, 0)
                if len(salt) < _SALT_BYTES:
                    salt = secrets.token_bytes(_SALT_BYTES)
                    os.pwrite(fd, salt, 0)
            finally:
                unlock(fd)
    except OSError as error:
        raise cannot_be_shared(path, error) from None
    finally:
        os.close(fd)
    return salt
