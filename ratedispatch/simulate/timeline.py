"""
Numbers per second since an instant.

Counts only; eight bytes for each number and second.
"""

from __future__ import annotations

from array import array


class Timeline:
    """
    What happened in each second since *start* (loop time in seconds).

    Attributes:
        arrived, admitted, refused: Requests; shape (seconds,), by the second of arrival.
        tokens_charged, tokens_actual: Tokens taken at admission, and really used by what was
            answered; shape (seconds,), both by the second of admission.
    """

    def __init__(self, start: float) -> None:
        self._start = start
        self.arrived = array("q")
        self.admitted = array("q")
        self.refused = array("q")
        self.tokens_charged = array("q")
        self.tokens_actual = array("q")
        self._columns = {
            "arrived": self.arrived,
            "admitted": self.admitted,
            "refused": self.refused,
            "tokens_charged": self.tokens_charged,
            "tokens_actual": self.tokens_actual,
        }

    def __len__(self) -> int:
        """Return the number of seconds seen."""
        return len(self.arrived)

    def second(self, now: float) -> int:
        """Return the index of *now* in all columns, which reach at least that far then."""
        second = int(now - self._start)
        missing = second + 1 - len(self.arrived)
        if missing > 0:
            for column in self._columns.values():
                column.frombytes(bytes(8 * missing))
        return second

    def report(self) -> dict[str, list[int]]:
        """Return all columns by name."""
        return {name: column.tolist() for name, column in self._columns.items()}
