"""What may be said about the place of a shared limit."""

from __future__ import annotations

from typing import Any

import pytest

from ratedispatch.errors import SharingError
from ratedispatch.sharing.where import Place, open_store, parse_where


@pytest.mark.parametrize(
    ("where", "place"),
    [
        ("local", Place("local")),
        (" LOCAL ", Place("local")),
        ("local:Team-1.x_y", Place("local:Team-1.x_y", "Team-1.x_y")),
    ],
)
def test_a_file_of_this_machine(where: str, place: Place) -> None:
    """With a name or without."""
    assert parse_where(where) == place


@pytest.mark.parametrize("where", ["", "locla", "file:x", "redis:h", "http://h:1", "/x", None])
def test_anything_else_is_told_what_is_allowed(where: Any) -> None:
    """All of it in one sentence."""
    with pytest.raises(SharingError, match=r"^share must be local .*local:NAME.*redis://HOST"):
        parse_where(where)


@pytest.mark.parametrize("where", ["local:", "local:a b", "local:../x", "local:" + "x" * 65])
def test_a_name_that_is_none(where: str) -> None:
    """It becomes part of a digest, but is shown as well."""
    with pytest.raises(SharingError, match="it may have 1 to 64 letters, digits"):
        parse_where(where)


def test_a_server() -> None:
    """Its password is in nothing that is shown."""
    place = parse_where("redis://me:hunter2@host:6380/2?name=team")
    assert place.name == "redis://host:6380/2?name=team"
    assert place.server is not None
    assert "hunter2" not in repr(place)
    assert parse_where("unix:///run/redis.sock").name.startswith("unix:///run/redis.sock")


def test_a_server_that_is_not_there_is_said_at_once() -> None:
    """Before anything is sent, with the place and without the password."""
    pytest.importorskip("redis")
    place = parse_where("redis://:hunter2@127.0.0.1:1/0")
    with pytest.raises(SharingError, match=r"redis://127\.0\.0\.1:1/0.*refused") as raised:
        open_store(place, base_url=None, key=None, group="")
    assert "hunter2" not in str(raised.value)


def test_a_password_is_not_repeated() -> None:
    """Not even that of a URL that is none."""
    with pytest.raises(SharingError) as raised:
        parse_where("redis:user:hunter2@host")
    assert "hunter2" not in str(raised.value)
    assert "write redis://HOST:PORT/DB" in str(raised.value)
