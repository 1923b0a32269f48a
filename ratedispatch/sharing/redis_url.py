"""
The URL of a Redis.

A password may be in the URL, but is safer in the environment, because others can see a command
line. It is never shown.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ratedispatch.errors import SharingError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The variable with the password, where the URL has none.
PASSWORD_VARIABLE = "RATEDISPATCH_REDIS_PASSWORD"  # noqa: S105  # the name of one is none

#: What a URL may begin with.
SCHEMES = ("redis", "rediss", "unix")

_PORT = 6379
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SHAPES = "redis://HOST:PORT/DB?name=NAME, rediss://… or unix:///PATH?db=DB&name=NAME"


@dataclass(frozen=True, slots=True)
class RedisPlace:
    """
    A database of a Redis, and who it is opened as.

    Args:
        host: Where it is; empty for a socket.
        port: The port.
        path: The socket's file; empty for a host.
        database: The number of the database.
        name: Under which the limits stand in it: processes share them that give the same.
        user: Empty for the default one.
        password: Empty for none.
        is_encrypted: Whether the connection is, by TLS.
        authorities: A file of certificates to trust instead of the system's; empty for those.
    """

    host: str
    port: int = _PORT
    path: str = ""
    database: int = 0
    name: str = "default"
    user: str = ""
    password: str = field(default="", repr=False)
    is_encrypted: bool = False
    authorities: str = ""

    @property
    def address(self) -> str:
        """Return the host and the port, or the file, for a message."""
        if self.path:
            return self.path
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        """Return the URL without user and password."""
        if self.path:
            return f"unix://{self.path}?db={self.database}&name={self.name}"
        scheme = "rediss" if self.is_encrypted else "redis"
        return f"{scheme}://{self.address}/{self.database}?name={self.name}"

    def key(self, scope: str) -> str:
        """Return the one key of *scope*, all of it a hash tag: in a cluster it has one place."""
        return f"{{ratedispatch:{self.name}:{scope}}}"


def place_of(url: str, environment: Mapping[str, str] | None = None) -> RedisPlace:
    """
    Return the place that *url* names.

    Args:
        url: As ``redis://user:password@host:6379/0?name=mine``.
        environment: Where the password may stand; that of the process if not given.

    Raises:
        SharingError: It names none; the message shows neither user nor password.
    """
    environment = os.environ if environment is None else environment
    try:
        split = urlsplit(url)
        port = split.port or _PORT
    except ValueError:
        raise SharingError(f"the URL of the Redis is not a URL; write {_SHAPES}") from None
    if split.scheme not in SCHEMES:
        raise SharingError(f"the URL of the Redis begins with {split.scheme!r}; write {_SHAPES}")
    if "@" in split.path + split.query + split.fragment or split.fragment:
        raise SharingError(
            f"the password in the URL of the Redis has characters with a meaning in URLs; write "
            f"them as %2F, %3F, %23 and %40, or put the password into {PASSWORD_VARIABLE}"
        )
    is_socket = split.scheme == "unix"
    if is_socket and not split.path.strip("/"):
        raise SharingError(f"the URL of the Redis names no socket; write {_SHAPES}")
    if not is_socket and not split.hostname:
        raise SharingError(f"the URL of the Redis names no host; write {_SHAPES}")
    options = _options(split)
    database = options.get("db", "0") if is_socket else split.path.strip("/") or "0"
    if not (database.isascii() and database.isdigit()):
        raise SharingError(
            f"the database of the Redis must be a number, 0 or more; write {_SHAPES}"
        )
    name = options.get("name", "default")
    if not _NAME.fullmatch(name):
        raise SharingError(
            f"the name of shared limits is {name!r}; it may have 1 to 64 letters, digits, dots, "
            "hyphens and underscores"
        )
    return RedisPlace(
        host="" if is_socket else split.hostname or "",
        port=port,
        path=unquote(split.path) if is_socket else "",
        database=int(database),
        name=name,
        user=unquote(split.username or ""),
        password=unquote(split.password or "") or environment.get(PASSWORD_VARIABLE, ""),
        is_encrypted=split.scheme == "rediss",
        authorities=options.get("ca", ""),
    )


def _options(split: SplitResult) -> dict[str, str]:
    """Return the options after the question mark."""
    allowed = {"redis": {"name"}, "rediss": {"name", "ca"}, "unix": {"name", "db"}}[split.scheme]
    options = dict(parse_qsl(split.query, keep_blank_values=True))
    for name in options:
        if name not in allowed:
            raise SharingError(
                f"the URL of the Redis has the option {name!r}; known are "
                f"{', '.join(sorted(allowed))}"
            )
    return options
