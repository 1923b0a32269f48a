"""Lines of results, as a job writes them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_ROW = re.compile(rb'\{"id":"batch_req_(\d{12})(-[0-9a-f]{16})?"')


def row_of(line: bytes) -> int | None:
    """Tell the row of a line, with or without a suffix behind it."""
    match = _ROW.match(line)
    return int(match[1]) if match else None


def result(
    row: int, body: Any = None, *, status: int = 200, error: Any = None, suffix: str = ""
) -> bytes:
    """Make the line of *row*; a failure without a response if there is an *error*."""
    response = {"status_code": status, "request_id": "req_1", "body": body}
    value = {
        "id": f"batch_req_{row:012d}{suffix}",
        "custom_id": f"q-{row}",
        "response": None if error else response,
        "error": error,
    }
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def chat(text: Any, **message: Any) -> dict[str, Any]:
    """Make the body of a chat's answer."""
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}}
    return {"object": "chat.completion", "choices": [choice], "usage": usage}


def put(folder: Path, name: str, *lines: bytes) -> Path:
    """Write *lines* to a file."""
    path = folder / name
    path.write_bytes(b"".join(lines))
    return path
