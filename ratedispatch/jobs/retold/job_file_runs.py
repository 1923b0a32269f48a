"""
Makes a coarse history of a job from the notes in its job file, if there is no event log.

The notes tell every two seconds how many rows are answered and how many have left. So there are
answers, what was in flight, and how each run ended; nothing of requests, limits and refusals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.jobs.state.files import CHUNK
from ratedispatch.jobs.state.run_notes import Begun, Ended, Mark, notes_in
from ratedispatch.observe.command_text import shell_line
from ratedispatch.observe.history import History, PlayedRun, stop_in
from ratedispatch.observe.time_bins import is_sound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

#: Bytes without the end of a line that are kept: the first line has some thousand for a large job.
_LONGEST = 64 * 2**20

#: Characters of a command that are kept.
_LONGEST_COMMAND = 10_000

#: Flags whose values are texts that are sent, and what stands in their place: a page is passed on,
#: and a job file is not.
_TEXTS = frozenset({"--prompt", "--system", "--param"})
_LEFT_OUT = "[text]"


def read_job_file(path: Path) -> History | None:
    """Return what the notes in the job file *path* tell; None if they tell of no answer."""
    if not path.is_file():
        return None
    reader = _Reader()
    try:
        for text in _blocks(path):
            for note in notes_in(text):
                reader.take_in(note)
    except OSError:
        return None
    return reader.history if any(any(run.bins.answers) for run in reader.history.runs) else None


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield the file in blocks that end with a line."""
    rest = b""
    with path.open("rb", buffering=0) as file:
        while block := file.read(CHUNK):
            text = rest + block
            end = text.rfind(b"\n") + 1
            yield text[:end]
            rest = text[end:]
            if len(rest) > _LONGEST:  # no job file has such a line
                return


class _Reader:
    """
    Takes in notes.

    Attributes:
        history: What they tell so far.
    """

    def __init__(self) -> None:
        self.history = History()
        self.history.is_coarse = True
        self._run: PlayedRun | None = None
        self._last: Mark | None = None

    def take_in(self, note: Begun | Mark | Ended) -> None:
        """Take in *note*; one of a time that cannot be is passed over."""
        run = self._run
        if not is_sound(note.at):
            return
        if isinstance(note, Begun):
            self._run = self.history.begin(note.at)
            words = _without_texts(note.command)
            self._run.command = shell_line(words)[:_LONGEST_COMMAND]
            self._last = None
        elif run is None:
            return
        elif isinstance(note, Mark):
            self._mark(run, note)
        else:
            run.bins.bin_of(note.at)
            if note.code:
                stop_in(run, note.at, note.code, note.message)

    def _mark(self, run: PlayedRun, mark: Mark) -> None:
        before, self._last = self._last, mark
        if before is None or mark.at <= before.at:
            return
        in_flight = (before.open_rows + mark.open_rows) / 2
        run.bins.add_flight(before.at, mark.at, in_flight)
        run.bins.add_answers(before.at, mark.at, max(0, mark.answered - before.answered))


def _without_texts(words: Iterable[str]) -> Iterator[str]:
    """Yield *words* of a command without the texts that are sent."""
    is_text = False
    for word in words:
        flag, sign, _ = word.partition("=")
        if is_text:
            yield _LEFT_OUT
        elif sign and flag in _TEXTS:
            yield f"{flag}={_LEFT_OUT}"
        else:
            yield word
        is_text = not is_text and word in _TEXTS
