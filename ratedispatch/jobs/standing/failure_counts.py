"""Counts the reasons of failed rows in the errors file. Parses no line."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: The error of a row, at the end of its line.
_ERROR_BEGIN = b',"error":{"code":"'

#: Where an answer or an error has its reason. Quotes within a message are escaped, so that none can
#: pose as a code.
_CODE = re.compile(rb'"code":\s?("(?:[^"\\]|\\.){1,80}")')
_TYPE = re.compile(rb'"type":\s?("(?:[^"\\]|\\.){1,80}")')
_STATUS = re.compile(rb'"status_code":(\d{3})')

#: Number of reasons that are distinguished: a provider may put a number into each.
_MOST_REASONS = 100

_OTHERS = "others"


class FailureCounts:
    """
    The reasons of failed rows.

    Attributes:
        rows: How many rows have which reason, the most frequent first.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    @property
    def rows(self) -> Mapping[str, int]:
        """How many rows failed for which reason, the most frequent first."""
        return dict(self._counts.most_common())

    def add(self, lines: Iterable[bytes]) -> None:
        """Count *lines* of an errors file."""
        counts = self._counts
        for line in lines:
            reason = reason_on(line)
            if reason not in counts and len(counts) >= _MOST_REASONS:
                reason = _OTHERS
            counts[reason] += 1


def reason_on(line: bytes) -> str:
    """Return why the row of an error *line* failed: a code, or a status where there is none."""
    at = line.rfind(_ERROR_BEGIN)
    if at >= 0 and (own := _CODE.search(line, at)) is not None:
        return _text(own[1])
    for pattern in (_CODE, _TYPE):
        found = pattern.findall(line)
        if found:
            return _text(found[-1])
    status = _STATUS.search(line)
    return "unknown" if status is None else f"HTTP {status[1].decode()}"


def _text(quoted: bytes) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError:  # no escape that JSON knows, or no UTF-8
        return quoted.decode("utf-8", "replace").strip('"')
