"""What the program and its pages tell people to install."""

from __future__ import annotations

import re
import sys

import pytest

from ratedispatch.errors import SharingError
from ratedispatch.sharing.redis_connection import connection_to
from ratedispatch.sharing.redis_script import RedisTuning
from ratedispatch.sharing.redis_url import RedisPlace
from tests.docs.pages import PAGES, ROOT

#: An installer that is told the project's name without a path or an address.
FROM_AN_INDEX = re.compile(
    r"(?:\b(?:re-?install|install|upgrade|pipx run|uv add|uv tool run|uvx)|--with)"
    r"(?:[ =]+-{1,2}[\w=-]+)*[ =]+[\"']?ratedispatch\b(?!/)"
)


def test_nothing_says_to_install_this_project_from_an_index() -> None:
    """Nobody owns the name there yet, so whoever took it would be installed."""
    files = [*PAGES, *(ROOT / name for name in ("noxfile.py", "Containerfile", "pyproject.toml"))]
    files += [*(ROOT / ".github").rglob("*.*"), *(ROOT / "benchmarks").rglob("*.md")]
    for folder in ("ratedispatch", "benchmarks", "docs", "tests"):
        files += [one for one in (ROOT / folder).rglob("*.py") if one.name != "test_hints.py"]
    found = [
        (path.relative_to(ROOT).as_posix(), match[0])
        for path in files
        for match in FROM_AN_INDEX.finditer(path.read_text("utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("pip install 'ratedispatch[redis]'", True),
        ("pip install -q ratedispatch", True),
        ("pip install --upgrade --user ratedispatch", True),
        ("python -m pip install ratedispatch==0.1.0", True),
        ("uvx ratedispatch run", True),
        ("uv run --with ratedispatch python", True),
        ("it is damaged; reinstall ratedispatch", True),
        ("pip uninstall ratedispatch", False),
        ("pip install .", False),
        ("pip install '.[redis]'", False),
        ("pip install dist/ratedispatch-0.1.0-py3-none-any.whl", False),
    ],
)
def test_the_search_finds_such_lines(text: str, is_found: bool) -> None:
    """The check can fail."""
    assert bool(FROM_AN_INDEX.search(text)) is is_found


def test_a_missing_client_of_redis_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the line that installs it."""
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(SharingError, match=r"with: pip install redis$"):
        connection_to(RedisPlace("redis.example"), RedisTuning())
