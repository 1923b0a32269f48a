"""
The values of ``--share`` and ``share=``: where the shared limits are kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ratedispatch.errors import SharingError
from ratedispatch.pacing.shared.store import StoreGone
from ratedispatch.sharing.file_store import FileStore
from ratedispatch.sharing.folder import runtime_folder
from ratedispatch.sharing.redis_url import SCHEMES, RedisPlace, place_of
from ratedispatch.sharing.scope import file_name, folder_salt, scope_digest

if TYPE_CHECKING:
    from pathlib import Path

    from ratedispatch.pacing.shared.store import Store

_ALLOWED = (
    "local (all processes of this user on this machine), local:NAME (those that give the same "
    "name), or redis://HOST:PORT/DB (several machines; also rediss:// and unix://)"
)
_LABEL = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where a limit is kept.

    Args:
        name: What messages call it, without passwords.
        label: For a file, the name that the user has given; empty for none.
        server: The server; None for a file of this machine.
    """

    name: str
    label: str = ""
    server: RedisPlace | None = field(default=None, repr=False)


def parse_where(where: str) -> Place:
    """
    Return the place that *where* means.

    Raises:
        SharingError: It means none; the message says what is allowed, and repeats no password.
    """
    if not isinstance(where, str):
        raise SharingError(f"share must be {_ALLOWED}, got {type(where).__name__}")
    text = where.strip()
    kind, colon, rest = text.partition(":")
    kind = kind.lower()
    if kind == "local" and not colon:
        return Place("local")
    if kind == "local":
        if _LABEL.fullmatch(rest) is None:
            raise SharingError(
                f"the name of shared limits is {rest!r}; it may have 1 to 64 letters, digits, "
                f"dots, hyphens and underscores"
            )
        return Place(f"local:{rest}", rest)
    if kind in SCHEMES and rest.startswith("//"):
        server = place_of(f"{kind}:{rest}")
        return Place(str(server), server=server)
    # what stands behind a colon may be a password
    shown = f"{kind}:…" if colon else text
    hint = f"; write {kind}://HOST:PORT/DB" if kind in SCHEMES else ""
    raise SharingError(f"share must be {_ALLOWED}, got {shown!r}{hint}")


def try_out(where: str) -> None:
    """
    Find out whether limits can be kept where *where* says, without becoming a member.

    Raises:
        SharingError: It means none, they cannot be kept there, or the server cannot be reached now.
    """
    place = parse_where(where)
    if place.server is None:
        _salted_folder()
        return
    from ratedispatch.sharing.redis_store import RedisStore

    store = RedisStore(place.server, scope_digest(None, None, ""))
    store.check()
    store.close()


def _salted_folder() -> tuple[Path, bytes]:
    """Return the folder for files of limits, and its salt."""
    folder = runtime_folder()
    try:
        return folder, folder_salt(folder)
    except StoreGone as gone:
        raise SharingError(f"limits cannot be shared: {folder}/salt: {gone}") from None


def open_store(place: Place, *, base_url: str | None, key: str | None, group: str) -> Store:
    """
    Become a member of those that share a limit.

    Args:
        place: Where it is kept.
        base_url: Where requests go; None for OpenAI.
        key: The key of the account; only a digest of it is kept.
        group: The group of models whose limits are apart; empty for all.

    Raises:
        SharingError: It cannot be kept there, or the server cannot be had now, for which is waited
            a second or two; the message says what can be done.
    """
    if place.server is None:
        folder, salt = _salted_folder()
        name = file_name(base_url, key, group, label=place.label, salt=salt)
        file = FileStore(folder / name)
        file.name = place.name
        return file
    from ratedispatch.sharing.redis_store import RedisStore

    store = RedisStore(place.server, scope_digest(base_url, key, group))
    store.check()
    return store
