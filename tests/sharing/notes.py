"""Notes for the tests of stores, and how an answer is had."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ratedispatch.pacing.shared.store import TOTALS, LimitNote, Note, Sheet, StoreGone

if TYPE_CHECKING:
    from ratedispatch.pacing.shared.store import Pause, Store

NAME = "requests"


def limit(
    taken: float = 0.0,
    *,
    name: str = NAME,
    held: float = 0.0,
    flow: float = 8.0,
    burst: float = 10.0,
    first: float = 10.0,
    learned: tuple[float, ...] | None = None,
) -> LimitNote:
    """One limit, of which *taken* was taken."""
    added = (taken, *[0.0] * (TOTALS - 1))
    return LimitNote(name, added, flow, burst, 0.0, first, None, learned, held, math.inf)


def note(
    taken: float = 0.0, *, held: float = 0.0, pause: Pause | None = None, leaves: bool = False
) -> Note:
    """A note with one limit."""
    return Note(0.0, (limit(taken, held=held),), pause, leaves=leaves)


def tell(store: Store, told: Note) -> Sheet | StoreGone:
    """The answer of a store that answers at once."""
    answers: list[Sheet | StoreGone] = []
    store.exchange(told, answers.append)
    (answer,) = answers
    return answer


def sheet(store: Store, told: Note | None = None) -> Sheet:
    """The answer of a store that is there."""
    answer = tell(store, note() if told is None else told)
    assert isinstance(answer, Sheet), answer
    return answer


def gone(store: Store, told: Note | None = None) -> str:
    """Why a store is gone."""
    answer = tell(store, note() if told is None else told)
    assert isinstance(answer, StoreGone), answer
    return answer.reason
