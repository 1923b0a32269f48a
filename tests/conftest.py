"""What holds for all tests: none reads or writes the memory of the user who runs them."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_numbers = itertools.count(1)


@pytest.fixture(scope="session", autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state folder of whatever runs outside a single test, and the parent of theirs."""
    folder = tmp_path_factory.mktemp("state")
    before = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = str(folder)
    yield folder
    if before is None:
        del os.environ["XDG_STATE_HOME"]
    else:
        os.environ["XDG_STATE_HOME"] = before


@pytest.fixture(autouse=True)
def own_state(state_home: Path) -> Iterator[Path]:
    """A state folder of the test's own, which is not made: servers of two tests may look alike."""
    folder = state_home / str(next(_numbers))
    os.environ["XDG_STATE_HOME"] = str(folder)
    os.environ.pop("RATEDISPATCH_RUN_NO_MEMORY", None)  # set by the benchmarks for themselves
    yield folder
    os.environ["XDG_STATE_HOME"] = str(state_home)
