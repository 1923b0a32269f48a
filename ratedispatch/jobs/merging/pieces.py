"""
Finds the files of the shards that are to be put together, and checks that they fit.

An errors file is found through the job file of its output, so it may be among the files that are
named, as a pattern of the shell has it, or not. Changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ratedispatch.errors import JobError
from ratedispatch.jobs.shard import Shard
from ratedispatch.jobs.state.journal import read_journal
from ratedispatch.jobs.state.paths import default_errors_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from ratedispatch.jobs.state.journal import Journal
    from ratedispatch.jobs.state.manifest import Manifest
    from ratedispatch.jobs.state.paths import JobFiles

#: How files of a job end that hold no results which count, but are caught by a pattern.
_BESIDE = (".job", ".retry", ".stale", ".damaged", ".tmp", ".new")

#: The lines of a job whose output is a table.
_LINES = ".answers.jsonl"


@dataclass(frozen=True, slots=True)
class Piece:
    """
    The results of one shard.

    Args:
        asked: The file as it was named.
        output: The lines of the answers.
        errors: The lines of the rows that failed.
        journal: The journal of the job that wrote them, closed; None if it is not there.
    """

    asked: Path
    output: Path
    errors: Path
    journal: Journal | None

    @property
    def manifest(self) -> Manifest | None:
        """What it was made from, if that is known."""
        return None if self.journal is None else self.journal.manifest

    @property
    def shard(self) -> Shard | None:
        """Which of the rows it has; None for all, or if that is not known."""
        manifest = self.manifest
        return None if manifest is None or not manifest.shard else Shard.parse(manifest.shard)

    @property
    def name(self) -> str:
        """How messages name it."""
        return f"shard {self.shard} ({self.asked})" if self.shard is not None else str(self.asked)


def pieces_of(paths: Iterable[Path], target: JobFiles) -> list[Piece]:
    """
    Return what *paths* hold, in the order of the shards.

    Args:
        paths: Outputs; errors files and others of the same jobs may be among them.
        target: Where the result goes.

    Raises:
        JobError: One of them is missing, is in use, is to be written, or is not an output of a job.
    """
    outputs: list[Piece] = []
    loose: list[Path] = []
    seen: set[Path] = set()
    for path in paths:
        real = path.resolve()
        if real in seen or path.name.endswith(_BESIDE):
            continue
        seen.add(real)
        if not path.is_file():
            raise JobError(
                f"{path} does not exist or is not a file; give the outputs of the shards"
            )
        if real in {one.resolve() for one in (target.output, target.table or target.output)}:
            raise JobError(
                f"{path} is among the files to merge and is also the output; leave it out"
            )
        piece = _with_journal(path)
        if piece is None:
            loose.append(path)
        elif piece.output.resolve() not in {one.output.resolve() for one in outputs}:
            outputs.append(piece)
    known = {one.resolve() for piece in outputs for one in (piece.output, piece.errors)}
    known.add(target.errors.resolve())  # of an earlier result, caught by the pattern
    rest = [path for path in loose if path.resolve() not in known]
    errors = {default_errors_path(path).resolve() for path in rest}
    outputs += [
        Piece(path, path, default_errors_path(path), None)
        for path in rest
        if path.resolve() not in errors
    ]
    if not outputs:
        raise JobError("none of the files is the output of a shard; give the outputs of the shards")
    return sorted(outputs, key=lambda piece: piece.shard.index if piece.shard is not None else -1)


def _with_journal(path: Path) -> Piece | None:
    """Return the piece whose output is *path*; None if no job file says so."""
    table = path.with_name(path.name.removesuffix(_LINES))
    for asked in dict.fromkeys((path, table)):
        job = asked.with_name(asked.name + ".job")
        if not job.is_file():
            continue
        journal = read_journal(job)
        manifest = journal.manifest
        if manifest is None:
            raise JobError(f"{job} is empty: its job has not begun; run that job again")
        if manifest.is_rewriting:
            raise JobError(
                f"{asked} was interrupted while it was adapted to a changed input; run its command "
                f"again before you merge it"
            )
        is_lines = manifest.output_format == "jsonl"
        output = asked if is_lines else asked.with_name(asked.name + _LINES)
        errors = job.parent / manifest.errors if manifest.errors else default_errors_path(asked)
        return Piece(asked, output, errors, journal)
    return None


def check_alike(pieces: Sequence[Piece], *, allow_other_server: bool) -> None:
    """
    Check that *pieces* are different parts of the same work.

    Args:
        pieces: Those that are to be put together.
        allow_other_server: Whether answers of several servers may be.

    Raises:
        JobError: They are not; the message names two that do not fit.
    """
    known = [(piece, piece.manifest) for piece in pieces]
    jobs = [(piece, manifest) for piece, manifest in known if manifest is not None]
    shards: dict[int, Piece] = {}
    for piece, manifest in jobs:
        first, other = jobs[0]
        if not other.has_input_of(manifest):
            raise JobError(
                f"{first.asked} and {piece.asked} were made from different inputs: "
                f"{other.input} of {other.size:,} bytes and {manifest.input} of "
                f"{manifest.size:,} bytes, or with other content; give the shards of one input"
            )
        if other.template != manifest.template:
            raise JobError(
                f"{first.asked} and {piece.asked} were made with different templates: "
                f"{'; '.join(other.differences(manifest))}; give the shards of one command"
            )
        if other.origin != manifest.origin and not allow_other_server:
            raise JobError(
                f"{first.asked} has answers from {other.origin or 'an unknown server'}, but "
                f"{piece.asked} from {manifest.origin or 'an unknown server'}; leave one out, "
                f"or merge them with --allow-other-server"
            )
        shard = piece.shard
        here, there = (one.shard.count if one.shard else 1 for one in (piece, first))
        if here != there:
            raise JobError(
                f"{first.name} is one of {there:,}, but {piece.name} is one of {here:,}; give the "
                f"shards of one split"
            )
        if shard is not None and shard.index in shards:
            raise JobError(
                f"{shards[shard.index].asked} and {piece.asked} are both shard {shard}; give it "
                f"once"
            )
        shards[-1 if shard is None else shard.index] = piece
