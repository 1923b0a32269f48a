"""The bytes of an input."""

from __future__ import annotations

import gzip
import io
import sys
from typing import TYPE_CHECKING

import pytest

from ratedispatch.errors import JobError
from ratedispatch.jobs.inputs import extras
from ratedispatch.jobs.inputs.streams import STDIN, open_bytes

if TYPE_CHECKING:
    from pathlib import Path

TEXT = b'{"text": "one"}\n' * 40_000


def zstd(data: bytes) -> bytes:
    packed: bytes = pytest.importorskip("zstandard").ZstdCompressor().compress(data)
    return packed


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def read(path: Path) -> bytes:
    with open_bytes(path) as file:
        return file.read()


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst", ".GZ", ".ZST"])
def test_a_file_is_unpacked_by_the_suffix_of_its_name(tmp_path: Path, suffix: str) -> None:
    """What comes out is what went in, and the whole file was taken."""
    packed = {"": TEXT, ".gz": gzip.compress(TEXT), ".zst": zstd(TEXT)}[suffix.lower()]
    path = put(tmp_path, f"in.jsonl{suffix}", packed)
    with open_bytes(path) as file:
        assert file.read() == TEXT
        assert file.bytes_read == path.stat().st_size


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_an_empty_file_has_no_bytes(tmp_path: Path, suffix: str) -> None:
    """Nothing is no damage."""
    if suffix == ".zst":
        pytest.importorskip("zstandard")
    assert read(put(tmp_path, f"in.jsonl{suffix}", b"")) == b""


def test_members_and_frames_that_follow_each_other_are_one_text(tmp_path: Path) -> None:
    """As cat makes them; a frame without data, as some tools write, is passed over."""
    skipped = b"\x50\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"xyz"
    assert read(put(tmp_path, "a.gz", gzip.compress(b"a") + gzip.compress(b"b"))) == b"ab"
    assert read(put(tmp_path, "a.zst", skipped + zstd(b"a") + skipped + zstd(b"b"))) == b"ab"


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_an_archive_that_is_cut_off_is_told_from_one_that_ends(tmp_path: Path, suffix: str) -> None:
    """What came before is given, then the file is named and how far it was read."""
    lines = b"".join(b"%d\n" % (number * 7919) for number in range(100_000))
    whole = gzip.compress(lines) if suffix == ".gz" else zstd(lines)
    path = put(tmp_path, f"in{suffix}", whole[: len(whole) // 2])
    with open_bytes(path) as file:
        assert file.readline() == b"0\n"
        with pytest.raises(JobError, match=rf"in{suffix} is truncated") as caught:
            file.read()
    assert f"{len(whole) // 2:,} bytes" in str(caught.value)


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_every_cut_is_noticed(tmp_path: Path, suffix: str) -> None:
    """No length of the archive but 0 and all of it passes."""
    whole = gzip.compress(b"some text\n") if suffix == ".gz" else zstd(b"some text\n")
    for length in range(1, len(whole)):
        with pytest.raises(JobError, match=r"truncated|damaged"):
            read(put(tmp_path, f"in{suffix}", whole[:length]))


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_damage_is_a_sentence(tmp_path: Path, suffix: str) -> None:
    """Bytes that were changed, or were never packed."""
    whole = bytearray(gzip.compress(TEXT) if suffix == ".gz" else zstd(TEXT))
    whole[len(whole) // 2 : len(whole) // 2 + 8] = b"\xff" * 8
    with pytest.raises(JobError, match=rf"damaged\{suffix} is damaged or not a .* file \("):
        read(put(tmp_path, f"damaged{suffix}", bytes(whole)))
    with pytest.raises(JobError, match=rf"plain\{suffix} is damaged or not a .* file \("):
        read(put(tmp_path, f"plain{suffix}", b"no archive at all\n"))


def test_packed_data_under_another_name_are_not_read_as_lines(tmp_path: Path) -> None:
    """The way out is the suffix."""
    for packed, suffix in ((gzip.compress(TEXT), "gz"), (zstd(TEXT), "zst")):
        with pytest.raises(JobError, match=rf"whose name ends in \.{suffix}"):
            read(put(tmp_path, "in.jsonl", packed))


def test_standard_input_is_read_and_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not ours to close."""
    stdin = io.TextIOWrapper(io.BytesIO(b"a\nb\n"))
    monkeypatch.setattr(sys, "stdin", stdin)
    with open_bytes(STDIN) as file:
        assert list(file) == [b"a\n", b"b\n"]
        assert file.bytes_read == 4
    assert not stdin.closed


def test_no_standard_input_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process without a console."""
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(JobError, match="no standard input"), open_bytes(STDIN):
        pass


def test_a_file_that_cannot_be_opened_is_a_sentence(tmp_path: Path) -> None:
    """Missing, a folder, a file where a folder should be."""
    for path, said in (
        (tmp_path / "none", "none does not exist"),
        (tmp_path, "is a directory"),
        (put(tmp_path, "file", b"") / "in.jsonl", "cannot be read: Not a directory"),
    ):
        with pytest.raises(JobError, match=said), open_bytes(path):
            pass


def test_a_disk_that_fails_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how far it came."""

    class Failing(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                raise OSError(5, "Input/output error")
            return super().read1(3)

    stdin = io.TextIOWrapper(Failing(b"abcdef"))
    monkeypatch.setattr(sys, "stdin", stdin)
    with (
        open_bytes(STDIN) as file,
        pytest.raises(JobError, match="standard input cannot be read beyond byte 3: Input/output"),
    ):
        file.read()


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    """Damage shows when it is reached."""
    with open_bytes(put(tmp_path, "in.gz", b"no archive")) as file:
        assert file.bytes_read == 0


def test_a_small_archive_of_a_large_text_takes_little_memory(tmp_path: Path) -> None:
    """No more than a part of the text is held, though the archive is read at once."""
    tracemalloc = pytest.importorskip("tracemalloc")
    path = put(tmp_path, "in.zst", zstd(bytes(100_000_000)))
    tracemalloc.start()
    try:
        with open_bytes(path) as file:
            assert sum(len(part) for part in iter(lambda: file.read(1 << 20), b"")) == 100_000_000
        assert tracemalloc.get_traced_memory()[1] < 80_000_000
    finally:
        tracemalloc.stop()


def test_a_missing_library_is_one_sentence_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a traceback."""
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(JobError, match=r"needs zstandard, .*pip install zstandard"):
        read(put(tmp_path, "in.zst", b"x"))


def test_a_library_that_is_there_is_loaded() -> None:
    """By its whole name."""
    assert extras.load("json.decoder", "a test").__name__ == "json.decoder"
