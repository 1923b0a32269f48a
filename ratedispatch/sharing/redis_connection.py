"""
Opens connections to a Redis, and words the messages if that fails.

The one module that makes connections. No message holds a password: none is taken from the client's
library, and what a server answers to a wrong one does not repeat it.
"""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, Any, Protocol

from ratedispatch.errors import SharingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.sharing.redis_script import RedisTuning
    from ratedispatch.sharing.redis_url import RedisPlace


class Line(Protocol):
    """What is used of a connection of the client's library."""

    def connect(self) -> None:
        """Open it, and say who we are."""

    def disconnect(self) -> None:
        """Close it."""

    def pack_command(self, *parts: str | bytes | int) -> list[bytes]:
        """Return a command as it is sent."""

    def send_packed_command(self, command: Sequence[bytes], check_health: bool = True) -> None:
        """Send what was packed."""

    def send_command(self, *parts: str | bytes | int) -> None:
        """Send a command."""

    def read_response(self) -> object:
        """Wait for a reply; raises what the server answers with an error."""


#: A host and a port.
Address = tuple[str, int]

#: What is shown of what a server says.
_LONGEST_ANSWER = 200

#: What a server says about the place in a script.
_WHERE = re.compile(r" script: [0-9a-f]{40}.*", re.DOTALL)


def connection_to(place: RedisPlace, tuning: RedisTuning, home: Address | None = None) -> Line:
    """
    Return a connection that is not open yet.

    Args:
        place: Where it leads.
        tuning: How long anything may take.
        home: Another server of the same cluster.

    Raises:
        SharingError: The client's library is not installed.
    """
    try:
        from redis import connection
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:
        raise SharingError(
            f"sharing by {place} needs the redis package, which is not installed; "
            f"install it with: pip install redis"
        ) from None
    kinds: Any = connection
    settings: dict[str, Any] = {
        "db": place.database,
        "username": place.user or None,
        "password": place.password or None,
        "socket_timeout": tuning.reply_seconds,
        "socket_connect_timeout": tuning.connect_seconds,
        "retry": Retry(NoBackoff(), 0),  # what may be sent again is decided by who sends it
        "protocol": 2,  # the third asks for rights that nothing here needs
    }
    line: Line
    if place.path and home is None:
        line = kinds.UnixDomainSocketConnection(path=place.path, **settings)
        return line
    host, port = home or (place.host, place.port)
    settings |= {"host": host or place.host, "port": port}
    if place.is_encrypted:
        line = kinds.SSLConnection(ssl_ca_certs=place.authorities or None, **settings)
    else:
        line = kinds.Connection(**settings)
    return line


def check(place: RedisPlace, tuning: RedisTuning, key: str, script: str) -> None:
    """
    Ask the server once whether it lets everything through that is needed; waits for it.

    Raises:
        SharingError: It does not, or cannot be reached.
    """
    from redis.exceptions import RedisError

    line = connection_to(place, tuning)
    try:
        line.connect()
        line.send_command("EVAL", script, 1, f"{key}:check", "check")
        line.read_response()
    except (RedisError, OSError) as error:
        if moved_to(error) is not None:
            return  # one of a cluster, and another one than the key's
        reason = reason_of(error, place, tuning, is_first=True)
        raise SharingError(f"limits cannot be shared through {place}: {reason}") from None
    finally:
        line.disconnect()


def moved_to(error: Exception) -> Address | None:
    """Return which server of a cluster *error* sends to; None if it is about something else."""
    from redis import exceptions

    words = str(error).removeprefix("MOVED ").split()
    is_moved = str(error).startswith("MOVED ") or isinstance(error, exceptions.MovedError)
    if not is_moved or len(words) != 2 or not words[0].isdigit():
        return None
    host, _, port = words[1].rpartition(":")
    return (host, int(port)) if port.isdigit() else None


def reason_of(
    error: Exception, place: RedisPlace, tuning: RedisTuning, *, is_first: bool = False
) -> str:
    """Return why *place* cannot be reached, as a sentence's end; *is_first* before any answer."""
    from redis import exceptions

    text = str(error)
    if isinstance(error, exceptions.ResponseError | exceptions.AuthenticationError):
        return _refusal(error, text, place)
    if isinstance(error, exceptions.BusyLoadingError):
        return "the server is still loading its data"
    if isinstance(error, exceptions.TimeoutError | TimeoutError):
        seconds = max(tuning.connect_seconds, tuning.reply_seconds)
        greeting = " to a greeting in TLS" if place.is_encrypted and is_first else ""
        return f"no reply within {seconds:g} s{greeting}"
    for found in (error, error.__cause__, error.__context__):
        if isinstance(found, ssl.SSLError):
            said = getattr(found, "verify_message", "") or found.reason or "TLS"
            return f"an encrypted connection was not possible ({said})"
        if isinstance(found, OSError) and found.strerror:
            return found.strerror.lower()
    is_lost = isinstance(error, exceptions.RedisError | OSError)
    return "the connection was closed" if is_lost else f"a {type(error).__name__} in its client"


def _refusal(error: Exception, text: str, place: RedisPlace) -> str:
    """Return what a server means that has answered with an error."""
    from redis import exceptions

    user = place.user or "default"
    if (
        "NOPERM" in text
        or "executing the script can't" in text
        or "ACL failure" in text
        or isinstance(error, exceptions.NoPermissionError)
    ):
        return f"the user {user!r} lacks a right ({_answer(text)})"
    if isinstance(error, exceptions.AuthenticationError) or "NOAUTH" in text:
        verb = "rejects the password" if place.password else "requires a password"
        return f"the server {verb} of the user {user!r}"
    if isinstance(error, exceptions.ReadOnlyError):
        return "the server is a read-only replica; name the primary"
    if "DB index" in text:
        return f"the server has no database {place.database}"
    if "after non deterministic commands" in text:
        return "the server is older than Redis 5, the first version that works"
    return f"the server answers {_answer(text)!r}"


def _answer(text: str) -> str:
    """Return the beginning of what a server has said."""
    first = _WHERE.sub("", text).strip().partition("\n")[0]
    return first[:_LONGEST_ANSWER]
