"""Where a Redis is, as a URL says it."""

from __future__ import annotations

import pytest

from ratedispatch.errors import SharingError
from ratedispatch.sharing.redis_url import PASSWORD_VARIABLE, RedisPlace, place_of


def test_reads_everything_that_a_url_may_say() -> None:
    place = place_of("rediss://me:p%40ss@cache.example:6380/2?name=team&ca=/etc/ca.pem", {})
    assert place == RedisPlace(
        "cache.example",
        6380,
        database=2,
        name="team",
        user="me",
        password="p@ss",
        is_encrypted=True,
        authorities="/etc/ca.pem",
    )


def test_most_of_it_may_be_left_out() -> None:
    assert place_of("redis://localhost", {}) == RedisPlace("localhost", 6379)


def test_a_socket_has_a_path() -> None:
    place = place_of("unix:///run/redis.sock?db=1&name=a", {})
    assert (place.path, place.database, place.address) == ("/run/redis.sock", 1, "/run/redis.sock")


def test_the_password_may_stand_in_the_environment() -> None:
    secret = {PASSWORD_VARIABLE: "hush"}
    assert place_of("redis://me@localhost", secret).password == "hush"
    assert place_of("redis://:own@localhost", secret).password == "own"


def test_no_text_of_it_shows_the_password() -> None:
    place = place_of("redis://me:hush@localhost:1/0", {})
    assert "hush" not in f"{place!r} {place} {place.address} {place.key('x')}"
    assert str(place) == "redis://localhost:1/0?name=default"


def test_all_of_a_key_is_its_hash_tag() -> None:
    assert place_of("redis://h?name=a", {}).key("0f3c") == "{ratedispatch:a:0f3c}"


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://me:hush@h/0",
        "redis://me:hush@h:port/0",
        "redis://me:12/hush@h/0",
        "redis://me:1#hush@h/0",
        "redis://me:hush@h/db",
        "redis://me:hush@h/0?nam=x",
        "redis://me:hush@h/0?name={x}",
        "redis://me:hush@/0",
        "unix://",
    ],
)
def test_a_mistake_is_named_without_the_password(url: str) -> None:
    with pytest.raises(SharingError) as raised:
        place_of(url, {})
    assert "hush" not in str(raised.value)
    assert raised.value.__cause__ is None
