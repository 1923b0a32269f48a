"""
What one exchange with a file of shared limits costs.

Microseconds of processor time for one note with two limits, one request of 200 tokens, and the
sheet that comes back. `record` is the arithmetic alone, for one of four members, in memory; it is
the base of the ratios. `alone` is a member whose record nobody else has touched; `of 4` and `of 8`
are as many members that take turns, so that each reads what another has written: the worst case.
They are stores of one process, so that none waits for the lock. `news` is the look without the
lock, and `redeemed` the mark. What the folder is on matters: give `--folder`.
Run: python -m benchmarks.micro.shared_file [--folder DIR] [--repeats N] [--exchanges N] [--json]
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.frame.command import SHARED_MACHINE, make_parser, positive, publish
from benchmarks.frame.environment import environment
from benchmarks.frame.rounds import costs
from benchmarks.frame.tables import compared
from ratedispatch.pacing.shared.record import Record
from ratedispatch.pacing.shared.store import LEARNED, TOTALS, LimitNote, Note, StoreGone
from ratedispatch.sharing.file_store import FileStore
from ratedispatch.sharing.folder import runtime_folder
from ratedispatch.sharing.surroundings import file_system

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.pacing.shared.store import Sheet

#: What a request takes, of limits so high that nothing is ever in debt.
_AMOUNTS = {"requests": 1.0, "tokens": 200.0}
_PER_SECOND, _BURST = 1e9, 1e8


def _note(learned: tuple[float, ...] | None = None) -> Note:
    limits = [
        LimitNote(
            name,
            (amount,) + (0.0,) * (TOTALS - 1),
            _PER_SECOND,
            _BURST,
            0.0,
            _BURST,
            None,
            learned,
            amount,
            60 * _PER_SECOND,
        )
        for name, amount in _AMOUNTS.items()
    ]
    return Note(0.0, tuple(limits))


def _must_be_there(answer: Sheet | StoreGone) -> None:
    if isinstance(answer, StoreGone):
        raise answer


def _exchange(stores: list[FileStore], times: range) -> None:
    note = _note()
    for store, _ in zip(itertools.cycle(stores), times, strict=False):
        store.exchange(note, _must_be_there)


def _write(record: Record, times: range) -> None:
    note, now = _note(), time.monotonic()  # noqa: TID251
    for _ in times:
        record.write(note, 0, now)


def _call(what: Callable[[], object], times: range) -> None:
    for _ in times:
        what()


def variants(folder: Path, exchanges: int) -> dict[str, Callable[[], object]]:
    """Return what is measured, each doing *exchanges* in one call."""
    times, record = range(exchanges), Record(1.0)
    numbers = (0.0,) * LEARNED
    for member in range(4):
        record.write(_note(numbers), member, time.monotonic())  # noqa: TID251
    found: dict[str, Callable[[], object]] = {"record": lambda: _write(record, times)}
    groups = {
        name: [FileStore(folder / f"{count}.limits") for _ in range(count)]
        for name, count in (("alone", 1), ("of 4", 4), ("of 8", 8))
    }
    for name, stores in groups.items():
        for store in stores:
            store.exchange(_note(numbers), _must_be_there)
        found[name] = lambda stores=stores: _exchange(stores, times)  # type: ignore[misc]
    (alone,) = groups["alone"]
    found["news"] = lambda: _call(alone.news, times)
    found["redeemed"] = lambda: _call(alone.redeemed, times)
    return found


def main() -> int:
    """Run everything and print the result."""
    parser = make_parser(__doc__, repeats=7, seed=None)
    parser.add_argument("--exchanges", type=positive, default=5_000, metavar="N", help="of each")
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="where (default: beside the runtime folder)"
    )
    arguments = parser.parse_args()
    surroundings = environment(None)
    parent = runtime_folder().parent if arguments.folder is None else arguments.folder
    with tempfile.TemporaryDirectory(dir=parent) as made:
        measured = costs(
            variants(Path(made), arguments.exchanges), arguments.exchanges, arguments.repeats
        )
    figures, text = compared(measured, "record", "µs an exchange", digits=1)
    kind = file_system(parent.stat().st_dev)
    result = {"exchanges": arguments.exchanges, "file_system": kind, **figures}
    text += f"\n\nFile system: {kind}"
    publish(arguments, surroundings, result, text, caveats=[SHARED_MACHINE])
    return 0


if __name__ == "__main__":
    sys.exit(main())
