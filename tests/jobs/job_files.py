"""Inputs and results for the tests of jobs."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from ratedispatch.jobs.batchfile import parse_line
from ratedispatch.jobs.inputs.lines import LongLine, numbered_lines
from ratedispatch.jobs.rowformat import BatchRows
from ratedispatch.jobs.state.scan import scan

if TYPE_CHECKING:
    from ratedispatch.jobs.state.scan import Scan

BOM = b"\xef\xbb\xbf"


def row(name: str, **body: Any) -> dict[str, Any]:
    """Return a row in Batch format that caps its output at 16 tokens."""
    content = {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 16,
        **body,
    }
    return {"custom_id": name, "url": "/v1/chat/completions", "body": content}


def text_of(*rows: dict[str, Any]) -> bytes:
    """Return *rows* as lines."""
    return b"".join(json.dumps(value).encode() + b"\n" for value in rows)


def result(number: int, digest: str = "") -> bytes:
    """Return the shortest result line of the row *number*."""
    suffix = f"-{digest}" if digest else ""
    return b'{"id":"batch_req_%012d%s","n":%d}\n' % (number, suffix.encode(), number)


def scan_of(data: bytes) -> Scan:
    """Scan *data* as requests in Batch format."""
    return scan(io.BytesIO(data), BatchRows())


def lines_of(data: bytes, longest: int) -> dict[int, bytes | LongLine]:
    """Return the lines that are not blank, by number, read one after the other."""
    return dict(numbered_lines(io.BytesIO(data), longest=longest))


def name_of(line: bytes | LongLine, number: int) -> str | None:
    """Return the name of a row by parsing it."""
    return None if isinstance(line, LongLine) else parse_line(line, number).custom_id


#: Lines with a name, some of which are alike; with one that they only seem to have; and without.
LINES = [
    b'{"custom_id":"a"}',
    b'{"custom_id": "a", "url": "/v1/chat/completions", "body": {}}',
    b' { "custom_id" : "b" }\t',
    b'{"custom_id":"b"} ',
    b'{"custom_id":"\\u0061"}',
    b'{"custom_id":"a","custom_id":"b"}',
    b'{"body":{"custom_id":"a"},"custom_id":"c"}',
    b'{"custom_id":"c","body":{"custom_id":"a"}}',
    b'{"url":"x","custom_id":"a"}',
    b'{"custom\\u005fid":"b"}',
    b'{"custom_id":""}',
    b'{"custom_id":5}',
    b'{"custom_id":"a"',
    b'{"custom_id":"a"}x',
    b'{"custom_id":"a\xff"}',
    b'{"custom_id":"\xc3\xa9"}',
    b'{"custom_id":"\\u00e9"}',
    b'{"custom_id":"\\ud800"}',
    b'{"custom_id":"\xed\xa0\x80"}',
    b'{"custom_id":"a\tb"}',
    b'{"custom_id":"a\\tb"}',
    b'\x0b{"custom_id":"a"}',
    b'{\x0b"custom_id":"a"}',
    BOM + b'{"custom_id":"a"}',
    b'["custom_id"]',
    b'[{"custom_id":"a"}]',
    b"null",
    b"\xff\xfe",
    b"\x00",
    b"",
    b"",
    b"  \t",
    BOM,
    b"\r",
    b"x" * 70,
]


def texts() -> st.SearchStrategy[bytes]:
    """Files of odd lines: with and without a mark, CRLF, and a last line end."""
    lines = st.lists(
        st.tuples(st.sampled_from(LINES), st.sampled_from([b"\n", b"\r\n"])).map(b"".join),
        max_size=24,
    )
    return st.tuples(st.sampled_from([b"", b"", BOM]), lines, st.booleans()).map(
        lambda parts: parts[0] + _ended(b"".join(parts[1]), has_end=parts[2])
    )


def _ended(data: bytes, *, has_end: bool) -> bytes:
    return data if has_end else data.removesuffix(b"\n")
