"""Writes figures and texts from outside as a person reads them."""

from __future__ import annotations

import re

#: What could act on a terminal or hide there: C0 but tab and line feed, DEL, C1, bidirectional
#: controls, invisible format characters, line separators, halves of surrogate pairs, tags.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def duration_text(seconds: float) -> str:
    """Return a time in two units at most: ``8.3 s``, ``12 min 5 s``, ``3 h 12 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    if seconds < 3599.5:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    minutes = round(seconds / 60)
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days:,} d {hours} h" if hours else f"{days:,} d"


def clock_text(seconds: float | None) -> str:
    """Return a time as a clock shows it, ``2:05`` or ``1:02:05``; ``--:--`` if it is not known."""
    if seconds is None:
        return "--:--"
    hours, rest = divmod(round(seconds), 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes:02}:{seconds:02}"


def usd(amount: float) -> str:
    """Return an amount of USD, to a millionth where cents do not tell it: ``$0.00006``."""
    whole, _, cents = f"{amount:,.6f}".rstrip("0").partition(".")
    return f"${whole}.{cents:0<2}"


def about_usd(amount: float) -> str:
    """Return about how many USD: cents from a dollar on, and else the first two digits."""
    if not 0 < amount < 1:
        return usd(round(amount, 2))
    return usd(float(f"{amount:.1e}"))


def visible(text: str) -> str:
    """Return *text* with what could act on a terminal as an escape, such as ``\\x1b``."""
    return _HIDDEN.sub(_escape, text)


def one_line(text: str) -> str:
    """Return *text* visible and in one line: no message from outside can pose as another line."""
    return visible(text).replace("\n", "\\n").replace("\t", " ")


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
