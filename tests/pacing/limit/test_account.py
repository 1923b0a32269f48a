"""The sums of one limit, each computed by hand."""

from __future__ import annotations

import pytest

from ratedispatch.pacing.limit.account import Account


def test_a_mark_tells_what_was_charged_and_what_came_back() -> None:
    """(now, amount, refused before, returned before, expected mark) at one unit a second."""
    rows: list[tuple[float, float, float, float, tuple[float, float]]] = [
        (10, 5, 0, 0, (5, 0)),
        (11, 3, 0, 2, (8, 2)),
        (12, 4, 3, 0, (9, 2)),  # what was refused is not charged
        (12, 1, 0, 1, (10, 3)),
    ]
    account = Account()
    for now, amount, refused, returned, expected in rows:
        account.refused += refused
        account.returned += returned
        assert account.spend(amount, now, 1.0) == expected
    assert account.spent == 13


def test_what_was_not_sent_was_not_spent() -> None:
    account = Account()
    account.spend(5, 0, 1.0)
    account.refund(5)
    assert (account.spent, account.given_back) == (0, 5)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # (now, amount, rate): the last amount opens a stretch that is not used up
        ([], None),
        ([(3, 10, 2)], None),
        ([(3, 10, 2), (3, 10, 2)], None),
        ([(0, 5, 2), (5, 7, 2)], 0.5),
        ([(0, 5, 2), (5, 7, 2), (10, 1, 2)], 0.6),
        ([(0, 5, 2), (5, 7, 4), (10, 1, 1)], 12 / 25),  # at the rate in force
        ([(0, 50, 2), (5, 7, 2)], 1.0),
        ([(5, 1, 2), (4, 9, 2), (14, 9, 2)], 0.5),  # a clock that goes back adds nothing
    ],
)
def test_the_share_used(rows: list[tuple[float, float, float]], expected: float | None) -> None:
    """(spent − last amount) / what flowed in between the first request and the last."""
    account = Account()
    for now, amount, per_second in rows:
        account.spend(amount, now, per_second)
    assert account.used == expected
