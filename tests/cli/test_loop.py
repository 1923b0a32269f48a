"""Which event loop a command runs in, and how its process collects garbage."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import sys
from typing import Any

import pytest

from ratedispatch.cli import loop as loops
from ratedispatch.errors import JobError


async def running() -> str:
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


def kind_of(name: str) -> str:
    with loops.runner(name) as runner:
        return runner.run(running())


def without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def missing(name: str, *more: Any) -> Any:
        return None if name == "uvloop" else find(name, *more)

    monkeypatch.setattr(importlib.util, "find_spec", missing)


def test_asyncio_is_always_there() -> None:
    """The loop of the standard library can be asked for by name."""
    assert kind_of("asyncio") == "asyncio"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no uvloop for Windows")
@pytest.mark.parametrize("name", ["uvloop", "auto"])
def test_uvloop_runs_where_it_is_installed(name: str) -> None:
    """uvloop runs when it is asked for, and when nothing is."""
    assert kind_of(name) == "uvloop"


def test_without_uvloop_auto_is_asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where uvloop is not installed nothing is missed unless it was asked for."""
    without_uvloop(monkeypatch)
    assert kind_of("auto") == "asyncio"


def test_a_missing_uvloop_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for what is not installed is told what to install, and what else there is."""
    without_uvloop(monkeypatch)
    with pytest.raises(JobError, match=r"\(pip install uvloop\), or choose the loop asyncio"):
        loops.runner("uvloop")


def test_an_unknown_loop_is_refused() -> None:
    """A name that is none of the three is an error that lists them."""
    with pytest.raises(ValueError, match="one of auto, asyncio, uvloop, not 'trio'"):
        loops.runner("trio")


def test_collections_are_as_before_afterwards() -> None:
    """The block collects less often, and leaves the process as it found it."""
    before = gc.get_threshold()
    with loops.seldom_collecting():
        assert gc.get_threshold()[0] > before[0]
        assert gc.get_freeze_count() > 0
        assert gc.isenabled()
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
