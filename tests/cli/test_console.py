"""What reaches the standard streams of a command, and what happens when these cannot be written."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ratedispatch.cli.console import SafeStream, fitted, json_text, painter


class Full(io.RawIOBase):
    """A target that can no longer be written."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        raise OSError(28, "No space left on device", len(data))


class Slow(io.RawIOBase):
    """A target that takes three bytes at a time."""

    def __init__(self) -> None:
        self.got = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.got += bytes(data[:3])
        return len(data[:3])


def written(text: str, encoding: str | None = "utf-8", *, is_paint: bool = False) -> bytes:
    """What *text* comes to."""
    target = Slow()
    stream = SafeStream(target, encoding, is_paint=is_paint)
    assert stream.write(text) == len(text)
    return target.got


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünïcode, 漢字 and 👩\u200d👧\n\tindented", None),
        ("\x1b[2Jclear", r"\x1b[2Jclear"),
        ("\x1b]52;c;aGk=\x07", r"\x1b]52;c;aGk=\x07"),
        ("\x9b2J \x7f \r over", r"\x9b2J \x7f \x0d over"),
        ("a\u202etxt.exe\u2066\u200f", r"a\u202etxt.exe\u2066\u200f"),
        ("half \udc80, tag \U000e0041", r"half \udc80, tag \U000e0041"),
    ],
)
def test_what_acts_on_a_terminal_is_escaped(text: str, shown: str | None) -> None:
    assert written(text).decode() == (text if shown is None else shown)


def test_a_display_may_colour_and_move_and_nothing_else() -> None:
    own = "\x1b[?25l\r\x1b[2K\x1b[1A\x1b[38;5;197mbar\x1b[0m\x1b[?25h"
    assert written(own, is_paint=True).decode() == own
    assert written("\x1b[2J\x1b]0;title\x07\x1b[6n", is_paint=True).decode() == (
        r"\x1b[2J\x1b]0;title\x07\x1b[6n"
    )


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("cp1252", "a×b… -1 # \\u6f22".encode("cp1252")),
        ("ascii", b"axb... -1 # \\u6f22"),
        ("gbk", "a×b… -1 █ 漢".encode("gbk")),
        ("utf-16-le", "a×b… −1 █ 漢".encode("utf-16-le")),
        (None, "a×b… −1 █ 漢".encode()),
        ("rot13", b"axb... -1 # \\u6f22"),
        ("no such", b"axb... -1 # \\u6f22"),
    ],
)
def test_a_sign_that_the_encoding_lacks_is_written_otherwise(
    encoding: str | None, shown: bytes
) -> None:
    assert written("a×b… −1 █ 漢", encoding) == shown


def test_utf_16_has_one_mark_at_its_beginning() -> None:
    target = Slow()
    stream = SafeStream(target, "utf-16")
    stream.write("one, ")
    stream.write("two")
    assert target.got.decode("utf-16") == "one, two"


def test_a_stream_that_cannot_be_written_drops_what_it_is_given() -> None:
    full, closed = SafeStream(Full(), "utf-8"), SafeStream(None, None)
    assert [full.write("text"), full.write("more"), closed.write("text")] == [4, 4, 4]
    assert full.failure is not None
    assert full.failure.errno == 28
    assert closed.failure is None
    assert not closed.isatty()


def test_a_message_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A server cannot forge a second one."""
    del capsys
    assert fitted("refused\nall rows answered\t.") == "refused\\nall rows answered ."


def test_a_message_is_broken_between_words_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", stream)
    text = "Error: " + fitted("word " * 30, len("Error: "))
    assert [len(line) for line in text.splitlines()] == [76, 79]
    assert painter() is stream


def test_json_is_left_without_what_a_terminal_acts_on() -> None:
    value = {"a": "\x1b\x7f\x9b\u202e"}
    text = json_text(value)
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text) == value


def command(folder: Path, line: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command line of bash in which *ratedispatch* is the program."""
    program = f"{sys.executable} -m ratedispatch"
    return subprocess.run(
        ["bash", "-c", line.replace("ratedispatch", program)],
        cwd=folder,
        env={**os.environ, **env},
        capture_output=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A folder with a file of one row, which has a name that is not ASCII."""
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
    line = {"custom_id": "ä", "method": "POST", "url": "/v1/chat/completions", "body": body}
    (tmp_path / "in.jsonl").write_text(json.dumps(line))
    return tmp_path


PLAN = "ratedispatch plan in.jsonl --rpm 500 --tpm 2M"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no bash")
@pytest.mark.parametrize(
    ("line", "encoding"),
    [
        (PLAN, "cp1252"),
        (PLAN, "ascii:strict"),
        (PLAN, "utf-16"),
        ("ratedispatch run --help", "latin-1"),
        ("ratedispatch --help", "gbk"),
        (f"{PLAN} >&-", "utf-8"),
        (f"{PLAN} --json | true; exit ${{PIPESTATUS[0]}}", "utf-8"),
        ("ratedispatch run in.jsonl -o out.jsonl --fake", "cp1252"),
        ("ratedispatch run in.jsonl -o out.jsonl --fake", "utf-16"),
        ("ratedispatch run in.jsonl -o out.jsonl --fake >&- 2>&- <&-", "ascii"),
        ("ratedispatch run in.jsonl -o out.jsonl --fake | true; exit ${PIPESTATUS[0]}", "utf-8"),
    ],
)
def test_no_stream_changes_how_a_command_ends(rows: Path, line: str, encoding: str) -> None:
    done = command(rows, line, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    if " -o " in line:
        answer = json.loads((rows / "out.jsonl").read_text())
        assert answer["custom_id"] == "ä"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_report_that_is_lost_is_told(rows: Path) -> None:
    done = command(rows, f"{PLAN} > /dev/full")
    assert done.returncode == 0
    assert done.stderr == b"standard output cannot be written: No space left on device\n"
