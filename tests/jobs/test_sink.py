"""Lines appended to a file."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.errors import JobError
from ratedispatch.jobs.sink import LineSink

if TYPE_CHECKING:
    from pathlib import Path


class Full:
    """A file that takes *room* bytes more, a few at a time, and then none."""

    def __init__(self, file: Any, room: int) -> None:
        self._file = file
        self.room = room

    def write(self, data: bytearray) -> int:
        size = min(len(data), self.room, 5)
        if not size:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= size
        written: int = self._file.write(data[:size])
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@pytest.mark.parametrize("torn", [b"", b"to", b"torn" * 40_000])
def test_a_torn_line_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    """Whatever its length, and whatever comes after is whole."""
    path = tmp_path / "out"
    path.write_bytes(b"one\ntwo\n" + torn)
    sink = LineSink(path)
    sink.append(b"three\n")
    sink.close()
    assert path.read_bytes() == b"one\ntwo\nthree\n"


def test_only_a_torn_line(tmp_path: Path) -> None:
    """Nothing whole is left."""
    path = tmp_path / "out"
    path.write_bytes(b"torn")
    LineSink(path).close()
    assert path.read_bytes() == b""


def test_lines_wait_for_the_flush(tmp_path: Path) -> None:
    """One write for many lines; a large backlog does not wait."""
    sink = LineSink(tmp_path / "out")
    sink.append(b"one\n")
    assert (sink.path.read_bytes(), sink.written, sink.lines_waiting) == (b"", 0, 1)
    sink.flush()
    assert (sink.path.read_bytes(), sink.written, sink.lines_waiting) == (b"one\n", 1, 0)
    sink.append(b"x" * 300_000 + b"\n")
    assert sink.written == 2
    sink.close()


def test_only_what_was_written_before_the_sync_is_synced(tmp_path: Path) -> None:
    """What is written while the disk works is not."""
    sink = LineSink(tmp_path / "out")
    sink.append(b"one\n")
    sink.flush()
    assert (sink.synced, sink.is_dirty) == (0, True)

    def write_more(_: int) -> None:
        sink.append(b"two\n")
        sink.flush()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", write_more)
        sink.sync()
    assert (sink.written, sink.synced, sink.is_dirty) == (2, 1, True)
    sink.sync()
    assert (sink.synced, sink.is_dirty) == (2, False)
    sink.close()


def test_a_full_disk_takes_whole_lines_and_the_rest_waits(tmp_path: Path) -> None:
    """What is counted is what is there as a whole; with room again, nothing is missing."""
    sink = LineSink(tmp_path / "out")
    sink._file = full = Full(sink._file, 12)  # type: ignore[assignment]
    for word in (b"first\n", b"second\n", b"third\n"):
        sink.append(word)
    with pytest.raises(OSError, match="No space left"):
        sink.flush()
    assert sink.path.read_bytes() == b"first\nsecond"
    assert (sink.written, sink.lines_waiting) == (1, 2)
    full.room = 100
    sink.close()
    assert sink.path.read_bytes() == b"first\nsecond\nthird\n"
    assert sink.written == 3


def test_a_sink_that_ends_on_a_full_disk_leaves_whole_lines_to_the_next(tmp_path: Path) -> None:
    """The line that did not fit is absent."""
    sink = LineSink(tmp_path / "out")
    sink._file = Full(sink._file, 8)  # type: ignore[assignment]
    sink.append(b"first\nsecond\n")
    with pytest.raises(OSError, match="No space left"):
        sink.close()
    again = LineSink(tmp_path / "out")
    again.append(b"third\n")
    again.close()
    assert sink.path.read_bytes() == b"first\nthird\n"


def test_a_file_that_is_removed_is_noticed_and_put_back(tmp_path: Path) -> None:
    """With all its lines, those of earlier runs too."""
    path = tmp_path / "out"
    path.write_bytes(b"old\n")
    sink = LineSink(path)
    sink.check()
    sink.append(b"one\n")
    sink.flush()
    path.unlink()
    with pytest.raises(OSError, match="was removed"):
        sink.check()
    sink.append(b"two\n")
    sink.close()
    assert path.read_bytes() == b"old\none\ntwo\n"
    assert sink.saved == f"{path} was removed or replaced; its lines were saved to {path}"


def test_another_file_in_its_place_is_left_alone(tmp_path: Path) -> None:
    """Nor is what was saved before overwritten."""
    path = tmp_path / "out"
    sink = LineSink(path)
    sink.append(b"one\n")
    sink.flush()
    path.unlink()
    path.write_bytes(b"precious\n")
    (tmp_path / "out.saved-1").write_bytes(b"earlier\n")
    with pytest.raises(OSError, match="was replaced by another file"):
        sink.check()
    sink.close()
    assert path.read_bytes() == b"precious\n"
    assert (tmp_path / "out.saved-1").read_bytes() == b"earlier\n"
    assert (tmp_path / "out.saved-2").read_bytes() == b"one\n"
    assert sink.saved.endswith("out.saved-2")


def test_a_file_that_was_cut_by_another_program_is_noticed(tmp_path: Path) -> None:
    """What it held is gone: the job has to stop, not to say that all is there."""
    sink = LineSink(tmp_path / "out")
    sink.append(b"one\n")
    sink.flush()
    sink.check()
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(OSError, match="was truncated by another program"):
        sink.check()
    sink.close()


@pytest.mark.parametrize("left", [0, 2, 4, 6])
def test_nothing_is_glued_to_what_is_left_of_a_cut_line(tmp_path: Path, left: int) -> None:
    """What arrives after the cut is whole, and the cut is told until the end."""
    path = tmp_path / "out"
    sink = LineSink(path)
    sink.append(b"one\ntwo\n")
    sink.flush()
    with path.open("r+b") as other:
        other.truncate(left)
    sink.append(b"three\n")
    sink.flush()
    assert path.read_bytes() == b"one\n" * (left >= 4) + b"three\n"
    with pytest.raises(OSError, match="was truncated by another program"):
        sink.check()
    sink.close()


def test_what_another_program_appends_is_ended_before_the_next_line(tmp_path: Path) -> None:
    """It is theirs, and stays; a line that was written in part is written once more."""
    path = tmp_path / "out"
    sink = LineSink(path)
    sink.append(b"one\n")
    sink.flush()
    with path.open("ab") as other:
        other.write(b"theirs")
    file, sink._file = sink._file, Full(sink._file, 2)  # type: ignore[assignment]
    sink.append(b"two\n")
    with pytest.raises(OSError, match="No space left"):
        sink.flush()
    sink._file = file
    with path.open("ab") as other:
        other.write(b"more\n")
    sink.append(b"three\n")
    sink.close()
    assert path.read_bytes() == b"one\ntheirs\ntmore\ntwo\nthree\n"
    assert sink.saved == f"another program wrote to {path} while the job ran"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """What it points to stays as it is."""
    other = tmp_path / "other"
    other.write_bytes(b"mine")
    (tmp_path / "out").symlink_to(other)
    with pytest.raises(OSError, match="it is a link, and links are not followed"):
        LineSink(tmp_path / "out")
    assert other.read_bytes() == b"mine"


def test_two_jobs_do_not_write_to_one_file(tmp_path: Path) -> None:
    """An errors file that both were given, say."""
    first = LineSink(tmp_path / "bad")
    with pytest.raises(JobError, match="another process is working on"):
        LineSink(tmp_path / "bad")
    first.close()
    LineSink(tmp_path / "bad").close()
