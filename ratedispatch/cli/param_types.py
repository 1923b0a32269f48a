"""Numbers as people write limits: ``3000``, ``30k``, ``2M``, ``1.5M``, or ``auto``."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Literal

import click

from ratedispatch.limits import AUTO

if TYPE_CHECKING:
    _ParamType = click.ParamType[float, Any]
    _AnyParamType = click.ParamType[Any, Any]
else:  # older releases of click cannot be subscripted
    _ParamType = _AnyParamType = click.ParamType

_AMOUNT = re.compile(r"([0-9][0-9_,]*(?:\.[0-9]+)?|\.[0-9]+)\s*([kKmMgGbB]?)")
#: Digits of a number of tokens; the longest answers have seven.
_DIGITS = 10
_FACTORS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9}


def parse_amount(text: str) -> float:
    """
    Return the number that *text* names; ``k``, ``M`` and ``G`` (or ``B``) are 10³, 10⁶ and 10⁹.

    Raises:
        ValueError: *text* is no such number, or not above zero.
    """
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a number such as 3000, 30k or 1.5M")
    digits, suffix = match.groups()
    amount = float(digits.replace("_", "").replace(",", "")) * _FACTORS[suffix.lower()]
    if not amount > 0 or math.isinf(amount):
        raise ValueError(f"{text!r} is not above zero")
    return amount


class Amount(_ParamType):
    """A click parameter type for a positive number with an optional ``k``, ``M`` or ``G``."""

    name = "amount"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return *value* as a number, or fail as a usage error that names the flag."""
        try:
            return parse_amount(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


AMOUNT = Amount()


class OrWord(_AnyParamType):
    """
    A parameter type that takes the values of another type, or one of some words.

    Args:
        other: The other type.
        words: In lower case.
    """

    def __init__(self, other: _AnyParamType, *words: str) -> None:
        self.name = " or ".join((other.name, *words))
        self._other = other
        self._words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the word or the value of the other type, or fail as a usage error."""
        word = str(value).strip().lower()
        if word in self._words:
            return word
        try:
            return self._other.convert(value, param, ctx)
        except click.BadParameter as error:
            words = "".join(f", nor {word}" for word in self._words)
            self.fail(f"{error.message.rstrip('.')}{words}", param, ctx)


#: The word for no limit.
NONE: Literal["none"] = "none"


class Distribution(_AnyParamType):
    """A parameter type for lengths of outputs: a number of tokens, or a distribution of them."""

    name = "dist"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return *value* as a whole number or a distribution, or fail as a usage error."""
        text = str(value).strip()
        if text.isdecimal() and len(text) < _DIGITS:
            if int(text) < 1:
                self.fail(
                    f"{text} is not a length of an output, which has at least 1 token", param, ctx
                )
            return int(text)
        from ratedispatch.simulate.forecast.lengths import Lengths

        try:
            return Lengths.parse(text)
        except ValueError as error:
            self.fail(str(error), param, ctx)


DISTRIBUTION = Distribution()

#: A limit that may be learned, or be none.
LIMIT = OrWord(AMOUNT, AUTO, NONE)

#: A whole number from 1, or ``auto``.
COUNT_OR_AUTO = OrWord(click.IntRange(min=1), AUTO)


class Where(_AnyParamType):
    """A parameter type for a place where limits are shared; checked, and kept as it is written."""

    name = "where"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | None:
        """Return *value*, or None for ``none``, or fail as a usage error."""
        text = str(value).strip()
        if text.lower() == NONE:
            return None
        from ratedispatch.sharing.where import parse_where

        try:
            parse_where(text)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return text


WHERE = Where()


class FiniteRange(click.FloatRange):
    """A range of finite numbers, without ``nan`` (which no bound excludes) and ``inf``."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return *value* as a finite number in the range, or fail as a usage error."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number
