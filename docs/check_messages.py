"""
Compare ``docs/reference/messages.md`` with the messages in the source.

An entry of the page is a heading of the third level with messages in a list below it, each in
backticks. A ``…`` in one stands for any text, so that one line can cover several messages.

``python -m docs.check_messages`` says which messages have no entry, and which lines of the page are
no message any more. ``python -m docs.check_messages --write`` corrects the lines of messages that
were edited: each gets the most similar text that has no entry. New messages are left to a person.
"""

from __future__ import annotations

import difflib
import functools
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from docs.collect_messages import GAP, Message, collect

PAGE = Path(__file__).resolve().parent / "reference" / "messages.md"

_LISTED = re.compile(r"^- (`+)(.+)\1$")

#: How much alike an edited message is to what it was.
_ALIKE = 0.5


@dataclass(frozen=True, slots=True)
class Line:
    """A message on the page: its number of line, from 0 on, and its text."""

    number: int
    text: str

    def covers(self, text: str) -> bool:
        """Whether *text* is this message, whatever stands in the gaps of both."""
        return self._pattern().fullmatch(text) is not None

    def is_in(self, text: str) -> bool:
        """Whether this message is *text* or a part of it."""
        return self._pattern().search(text) is not None

    def _pattern(self) -> re.Pattern[str]:
        return _pattern(self.text)


@functools.cache
def _pattern(text: str) -> re.Pattern[str]:
    """Return a pattern for *text*, in which a gap between blanks may be no word at all."""
    escaped = re.escape(text).replace(re.escape(f" {GAP} "), "(?: | .* )")
    return re.compile(escaped.replace(re.escape(GAP), ".*"), re.DOTALL)


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs: messages of the source without an entry, and lines without a message."""

    missing: list[Message]
    stale: list[Line]

    def sentence(self) -> str:
        """Return what to do, a line for each message."""
        words = [f"{one.place}: no entry for {one.text!r}" for one in self.missing]
        words += [
            f"docs/reference/messages.md:{one.number + 1}: no message is {one.text!r}"
            for one in self.stale
        ]
        if words:
            words.append("edited messages are corrected by: python -m docs.check_messages --write")
        return "\n".join(words)


def lines_of(page: str) -> list[Line]:
    """Return the messages on *page*."""
    found = enumerate(_LISTED.match(line) for line in page.splitlines())
    return [Line(number, match[2].strip()) for number, match in found if match]


def compare(page: str, messages: list[Message]) -> Difference:
    """Return how *page* and *messages* differ."""
    lines = lines_of(page)
    return Difference(
        [one for one in messages if not any(line.covers(one.text) for line in lines)],
        [line for line in lines if not any(line.is_in(one.text) for one in messages)],
    )


def corrected(page: str, difference: Difference) -> str:
    """
    Return *page* with the most similar message in the place of each that is no more.

    The pairs that are most alike come first. Messages of the same line of source are made one, with
    gaps where they differ.
    """
    rows = page.splitlines(keepends=True)
    pairs = [
        (difflib.SequenceMatcher(None, line.text, one.text).ratio(), line.number, one)
        for line in difference.stale
        for one in difference.missing
    ]
    done: dict[int, Message] = {}
    for ratio, number, message in sorted(pairs, key=lambda pair: -pair[0]):
        if ratio >= _ALIKE and number not in done and message not in done.values():
            done[number] = message
    for number, message in done.items():
        text = message.text
        for other in difference.missing:
            if other.place == message.place and other not in done.values():
                text = common(text, other.text)
        rows[number] = f"- {in_code(text)}\n"
    return "".join(rows)


def common(one: str, other: str) -> str:
    """Return what two messages have in common, with a gap where they differ."""
    first, second = one.split(" "), other.split(" ")
    words: list[str] = []
    for kind, start, end, _, _ in difflib.SequenceMatcher(None, first, second).get_opcodes():
        if kind == "equal":
            words += first[start:end]
        elif words[-1:] != [GAP]:
            words.append(GAP)
    return " ".join(words)


def in_code(text: str) -> str:
    """Return *text* in backticks, as many as it takes."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


if __name__ == "__main__":
    text = PAGE.read_text("utf-8")
    if "--write" in sys.argv[1:]:
        text = corrected(text, compare(text, collect()))
        PAGE.write_text(text, encoding="utf-8")
    result = compare(text, collect()).sentence()
    sys.exit(result or 0)
