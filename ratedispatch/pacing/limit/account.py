"""
Adds up what one limit has let through, and what happened to it.

Adds up amounts and tells how much of the limit was used. Of tokens it adds up under every way of
counting them, so that another charge rule can be taken up at any time without looking back.
Decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.request import Cost

#: What a request amounts to under every way of counting: its prompt by tokens, by characters, by
#: the larger of both, nothing, and its output cap.
Counts = tuple[float, float, float, float, float]

BY_TOKENS, BY_CHARACTERS, BY_THE_LARGER, NOTHING, OUTPUT = range(5)

#: Sums at one instant: of what was charged under each way of counting, of that of the requests
#: that were answered, and of what these really used.
Position = tuple[float, ...]

_USED = 10
ORIGIN: Position = (0.0,) * (_USED + 1)


def _nothing(_: float) -> float:
    return 0.0


class SpendMark(NamedTuple):
    """
    The position of a request in the account of one dimension.

    Args:
        sent_at: When the request left, in seconds of the caller's clock.
        number: How many requests had left by then, this one included.
        charged: What had been charged by then, this one included.
        returned: What of that had turned out unused by then.
        amount: What it asked for.
        overtaken: Returns what may have been charged after it though it left shortly before.
        refused: Whether the provider refused it, and so did not charge it.
        position: The same sums under every way of counting, where there are several.
        in_flight: Returns what left at an instant or later and is not answered, this request left
            out.
    """

    sent_at: float
    number: int
    charged: float
    returned: float
    amount: float
    overtaken: Callable[[], float]
    refused: bool = False
    position: Position | None = None
    in_flight: Callable[[float], float] = _nothing


class Account:
    """
    The sums of one dimension, in its own unit.

    charged = spent − refused, and used = (spent − last amount) / what flowed in from the first
    request to the last.

    Attributes:
        spent: What went through since the start, less what was given back.
        refused: What of that was refused, and so not charged.
        given_back: What went through but was not sent.
        returned: What of the charged amounts turned out unused.
    """

    __slots__ = (
        "_flowed",
        "_last_amount",
        "_last_at",
        "given_back",
        "refused",
        "returned",
        "spent",
    )

    def __init__(self) -> None:
        self.spent = 0.0
        self.refused = 0.0
        self.given_back = 0.0
        self.returned = 0.0
        self._flowed = 0.0  # at the rate in force, between the first request and the last
        self._last_at: float | None = None
        self._last_amount = 0.0

    def spend(self, amount: float, now: float, per_second: float) -> tuple[float, float]:
        """
        Add *amount*, which goes through *now* while *per_second* flows in.

        Returns:
            What has been charged, this amount included, and what of it has turned out unused.
        """
        self.spent += amount
        last = self._last_at
        if last is not None and now > last:
            self._flowed += (now - last) * per_second
        self._last_at, self._last_amount = now, amount
        return self.spent - self.refused, self.returned

    def refund(self, amount: float) -> None:
        """Take back *amount*, which went through but was not sent."""
        self.spent -= amount
        self.given_back += amount

    @property
    def last_at(self) -> float | None:
        """When something went through last; None if nothing did."""
        return self._last_at

    @property
    def used(self) -> float | None:
        """
        The share used of what flowed in between the first request and the last, at most 1.

        The last request opens a stretch that is not used up, so it is left out. None before
        the second request.
        """
        if not self._flowed:
            return None
        return min(1.0, max(0.0, self.spent - self._last_amount) / self._flowed)


def counts_of(cost: Cost) -> Counts:
    """Return *cost* under every way of counting; what it does not tell counts as the prompt."""
    prompt = cost.prompt_tokens
    return (
        cost.expected_tokens or prompt,
        cost.character_tokens or prompt,
        prompt,
        0,
        cost.output_tokens or cost.expected_output_tokens,
    )


class Ledger:
    """
    The sums of one limit on tokens, under every way of counting.

    Attributes:
        answered: Requests that were answered, and what each really used; taken in with the next
            look at the sums.
    """

    __slots__ = ("_back", "_sums", "_used", "answered")

    def __init__(self) -> None:
        self.answered: list[tuple[Cost, float]] = []
        self._sums = (0.0, 0.0, 0.0, 0.0, 0.0)
        self._back = (0.0, 0.0, 0.0, 0.0, 0.0)
        self._used = 0.0

    def charge(self, cost: Cost) -> Position:
        """Add *cost*, which goes through now; return the position with it."""
        a, b, c, d, e = self._sums
        f, g, h, i, j = counts_of(cost)
        self._sums = (a + f, b + g, c + h, d + i, e + j)
        return self.position()

    def void(self, cost: Cost) -> None:
        """Take back *cost*, which was not sent, or was refused and so not charged."""
        a, b, c, d, e = self._sums
        f, g, h, i, j = counts_of(cost)
        self._sums = (a - f, b - g, c - h, d - i, e - j)

    def add(self, others: Position) -> None:
        """Add what others have sent on the same account, to each sum."""
        self.position()
        pairs = zip((*self._sums, *self._back, self._used), others, strict=True)
        sums = [own + theirs for own, theirs in pairs]
        self._sums = (sums[0], sums[1], sums[2], sums[3], sums[4])
        self._back = (sums[5], sums[6], sums[7], sums[8], sums[9])
        self._used = sums[_USED]

    def position(self) -> Position:
        """Return everything by now."""
        for cost, used in self.answered:
            a, b, c, d, e = self._back
            f, g, h, i, j = counts_of(cost)
            self._back = (a + f, b + g, c + h, d + i, e + j)
            self._used += used
        self.answered.clear()
        return (*self._sums, *self._back, self._used)


def sums_at(position: Position, prompt: int, *, output: bool) -> tuple[float, float]:
    """
    Return what *position* comes to by one rule: what was charged, and what came back unused.

    Args:
        position: The sums.
        prompt: Which of `Counts` is charged for a prompt.
        output: Whether the output cap is charged as well.
    """
    charged, returned = position[prompt], position[5 + prompt] - position[_USED]
    if output:
        return charged + position[OUTPUT], returned + position[5 + OUTPUT]
    return charged, returned
