"""Files written whole."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ratedispatch.jobs.state.files import copy_all, replacing, write_all
from ratedispatch.jobs.state.journal import Journal

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Short(io.BytesIO):
    """Takes three bytes at a time, as a disk does that is nearly full."""

    def write(self, data: ReadableBuffer, /) -> int:
        return super().write(bytes(data)[:3])


def test_what_a_call_leaves_is_written_by_the_next() -> None:
    """A call of the system may write less than it was given."""
    target = Short()
    write_all(target, b"ten bytes.")
    assert target.getvalue() == b"ten bytes."
    copy_all(io.BytesIO(b"and more"), target)
    assert target.getvalue() == b"ten bytes.and more"


def test_a_record_is_whole_or_an_error() -> None:
    """Half a record says nothing."""
    journal = Journal(Path("out.jsonl.job"), Short())
    with pytest.raises(OSError, match="No space left"):
        journal.send(123)
    assert 123 not in journal.open_rows
    with pytest.raises(OSError, match="No space left"):
        journal.note_spent(0.1, 0.01)
    assert journal.spent == 0
    journal.send(1)


def test_a_file_takes_the_place_of_another_whole_or_not_at_all(tmp_path: Path) -> None:
    """Through a link too; nothing is left behind by an error."""
    path, link = tmp_path / "real", tmp_path / "link"
    path.write_bytes(b"old")
    link.symlink_to(path)

    def fail() -> None:
        with replacing(link) as file:
            file.write(b"half")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert path.read_bytes() == b"old"
    with replacing(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"
    assert len(list(tmp_path.iterdir())) == 2
