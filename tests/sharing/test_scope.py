"""Who shares with whom, and what of a key can be seen."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import pytest

from ratedispatch.sharing.folder import runtime_folder
from ratedispatch.sharing.scope import file_name, folder_salt, normal_address, scope_digest
from ratedispatch.sharing.where import open_store, parse_where
from tests.sharing.notes import note, sheet

if TYPE_CHECKING:
    from pathlib import Path

KEY = "sk-secret"
SALT = b"s" * 32


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        (None, "https://api.openai.com/v1"),
        ("", "https://api.openai.com/v1"),
        ("https://API.OpenAI.com:443/v1/", "https://api.openai.com/v1"),
        ("HTTPS://api.openai.com./v1//", "https://api.openai.com/v1"),
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:8000/V1", "http://localhost:8000/V1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("https://user:pass@host/v1?x=1#y", "https://host/v1"),
        ("host/v1", "https://host/v1"),
        ("http://host:port/v1", "http://host:port/v1"),
    ],
)
def test_an_address_is_the_same_however_it_is_written(address: str | None, wanted: str) -> None:
    """Host in small letters, no usual port, no last slash, no password."""
    assert normal_address(address) == wanted


def test_whoever_differs_in_anything_does_not_share() -> None:
    """Address, key, group, and the name that was given; no two of them run into one another."""
    names = {
        scope_digest(*account, label=label, salt=SALT)
        for account in [
            ("http://a", KEY, ""),
            ("http://b", KEY, ""),
            ("http://a", KEY + "2", ""),
            ("http://a", None, ""),
            ("http://a", KEY, "large"),
            ("http://a", "", KEY),
        ]
        for label in ("", "x")
    }
    assert len(names) == 12


@pytest.mark.parametrize("salt", [SALT, b""])
def test_a_digest_tells_nothing_of_a_key(salt: bytes) -> None:
    """Without the salt a short key cannot be found by trying; where there is none, that is slow."""
    name = file_name("http://Localhost:8000/v1", "1234", "", label="", salt=salt)
    assert name.startswith("localhost-")
    assert name.endswith(".limits")
    assert "1234" not in name
    assert blake2b(b"1234", digest_size=16).hexdigest() not in name
    assert name != file_name("http://localhost:8000/v1", "1234", "", label="", salt=b"t" * 32)


def test_a_host_is_no_path() -> None:
    """Nothing of an address leads out of the folder."""
    name = file_name("http://../../etc/passwd", KEY, "../..", label="", salt=SALT)
    assert "/" not in name


def test_the_salt_is_made_once(tmp_path: Path) -> None:
    """By whoever comes first, for this user alone."""
    salt = folder_salt(tmp_path / "folder")
    assert len(salt) == 32
    assert folder_salt(tmp_path / "folder") == salt != folder_salt(tmp_path / "other")
    assert (tmp_path / "folder" / "salt").stat().st_mode & 0o777 == 0o600


def test_stores_of_one_account_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the key stands nowhere."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    place = parse_where("local")
    first = open_store(place, base_url="https://host/v1", key=KEY, group="")
    second = open_store(place, base_url="https://HOST/v1/", key=KEY, group="")
    other = open_store(parse_where("local:x"), base_url="https://host/v1", key=KEY, group="")
    sheet(first, note(1.0))
    assert sheet(second).living == 2
    assert sheet(other).living == 1
    for store in (first, second, other):
        store.close()
    files = list(runtime_folder().iterdir())
    assert len(files) == 3
    assert not any(KEY.encode() in file.read_bytes() or KEY in file.name for file in files)
