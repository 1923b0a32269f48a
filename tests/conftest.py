"""
What holds for all tests.

None reads or writes the memory or the cache of the user who runs them; no example is held to a
deadline; what was collected is left out of all later runs of the garbage collector; and one
certificate is trusted instead of all that the machine has, of which no test needs any, and which
take each new client and program 16 ms to read.
"""

from __future__ import annotations

import gc
import itertools
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.certificate import CERTIFICATE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# the deadline of an example would be one of a machine that does nothing else
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

_numbers = itertools.count(1)


def pytest_collection_finish() -> None:
    """Thousands of tests are a heap of hundreds of megabytes: a collection took half a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _small_heap() -> None:
    """
    Leave what earlier modules have made out of the collections of this one.

    Tests that ask what is left behind collect; late in a run each of their collections took half a
    second. Garbage of earlier modules stays where it is, which is a few megabytes.
    """
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state folder of whatever runs outside a single test, and the parent of theirs."""
    folder = tmp_path_factory.mktemp("state")
    trusted = folder / "trusted.pem"
    trusted.write_text(CERTIFICATE, "ascii")
    homes = {
        "XDG_STATE_HOME": folder,
        "XDG_CACHE_HOME": folder / "cache",
        "SSL_CERT_FILE": trusted,
    }
    before = {name: os.environ.get(name) for name in homes}
    os.environ.update({name: str(path) for name, path in homes.items()})
    yield folder
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


@pytest.fixture(autouse=True)
def own_state(state_home: Path) -> Iterator[Path]:
    """A state folder of the test's own, which is not made: servers of two tests may look alike."""
    number = next(_numbers)
    folder = state_home / str(number)
    os.environ["XDG_STATE_HOME"] = str(folder)
    os.environ["XDG_CACHE_HOME"] = str(state_home / f"cache-{number}")
    os.environ.pop("RATEDISPATCH_RUN_NO_MEMORY", None)  # set by the benchmarks for themselves
    yield folder
    os.environ["XDG_STATE_HOME"] = str(state_home)
    os.environ["XDG_CACHE_HOME"] = str(state_home / "cache")
