"""What the processes of a job are given."""

from __future__ import annotations

import os
import pickle
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.dispatch.options import DispatcherOptions
from ratedispatch.dispatch.pool import Member, Pool
from ratedispatch.errors import SharingError
from ratedispatch.events import AttemptSent, RequestEnded
from ratedispatch.groups import LimitGroup, LimitGroups
from ratedispatch.jobs.processes.common_limits import CommonLimits
from ratedispatch.jobs.processes.crew import Crew, Hand
from ratedispatch.jobs.processes.setups import Setups
from ratedispatch.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ratedispatch.events import Listener

LIMITS = Limits(600)


def setups_of(
    limits: Any, *, client: Any = None, share: Any = None, listeners: Iterable[Listener] = ()
) -> Setups:
    crew = Crew(0, lambda: Hand(None, None))  # type: ignore[arg-type]
    crew.count, crew.opening = 3, Path  # type: ignore[assignment]
    return Setups(crew, client, limits, DispatcherOptions(share=share), listeners)


def test_they_share_the_limits_in_a_folder_of_their_own() -> None:
    """Each by a store that it opens itself; nothing of it is left."""
    given = setups_of(LIMITS)
    setup = pickle.loads(pickle.dumps(given.of(1)))
    share = setup.options.share
    store = share("")
    folder = Path(share.folder)
    assert list(folder.iterdir())
    assert (setup.part.number, setup.part.of, setup.part.shares) == (1, 3, True)
    store.close()
    given.close()
    assert not folder.exists()


@pytest.mark.parametrize("of_limits", [False, True])
def test_a_place_that_cannot_be_had_is_an_error_before_any_process_ends_by_it(
    of_limits: bool,
) -> None:
    """A Redis at a port where nothing listens."""
    pytest.importorskip("redis")
    where = "redis://127.0.0.1:1/0"
    limits, share = (Limits(600, share=where), None) if of_limits else (LIMITS, where)
    with pytest.raises(SharingError, match="connection refused"):
        setups_of(limits, share=share)


@pytest.mark.parametrize(
    ("limits", "client"),
    [
        (Limits(600, share="local:x"), None),
        (LimitGroups((LimitGroup("g", ("m",), Limits(600, share="local:x")),), LIMITS), None),
        (None, Pool([Member(None, Limits(600, share="local:x"))])),
    ],
)
def test_a_place_that_limits_name_stays_theirs(limits: Any, client: Any) -> None:
    """Nothing takes its place."""
    given = setups_of(limits, client=client)
    setup = given.of(0)
    assert (setup.options.share, setup.part.shares, given.shares) == (None, False, True)
    given.close()


def test_a_place_for_all_is_that_of_each() -> None:
    """The one of --share."""
    given = setups_of(LIMITS, share="local:x")
    assert given.of(2).options.share == "local:x"
    assert given.of(2).part.shares
    given.close()


def test_what_a_job_that_was_killed_has_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not what another one uses, nor what is new."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    used, old, new = (
        CommonLimits(),
        tmp_path / "ratedispatch-job-old",
        tmp_path / "ratedispatch-job-n",
    )
    for folder in (old, new):
        folder.mkdir()
    long_ago = 1_000_000_000
    for folder in (old, Path(used.share.folder)):
        os.utime(folder, (long_ago, long_ago))
    CommonLimits().close()
    assert sorted(tmp_path.iterdir()) == sorted([new, Path(used.share.folder)])
    used.close()
    assert list(tmp_path.iterdir()) == [new]


def test_without_a_place_each_has_its_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full, for example."""

    def full(*_: object, **__: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "mkdtemp", full)
    given = setups_of(LIMITS)
    assert (given.of(0).options.share, given.of(0).part.shares) == (None, False)
    assert not given.shares
    given.close()


def test_answers_come_back_whole_where_somebody_hears_of_outcomes() -> None:
    """Not for the log of attempts."""

    class Counting:
        listens_to: frozenset[type] = frozenset({AttemptSent})

        def __call__(self, event: object) -> None: ...

    class Reading(Counting):
        listens_to = frozenset({RequestEnded})

    for listeners, is_whole in (((), False), ((Counting(),), False), ((Reading(),), True)):
        given = setups_of(LIMITS, listeners=listeners)
        assert given.of(0).is_whole is is_whole
        given.close()
