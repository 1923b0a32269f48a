"""What refusals are about, from what became of others."""

from __future__ import annotations

import pytest

from ratedispatch.pacing.evidence import Evidence, Standing

#: The clock of a loop begins anywhere.
BEGIN = 10_000.0


def sent(evidence: Evidence, count: int, at: float) -> None:
    """Let so many leave together."""
    for number in range(count):
        evidence.grants.append((at, number + 1))


def answered(evidence: Evidence, count: int, at: float, sent_at: float) -> None:
    """Answer the first of those that left at *sent_at*."""
    for number in range(count):
        evidence.answers.append((at, sent_at, number + 1))


def test_a_row_is_alone_when_others_were_answered_since() -> None:
    """The first refusal says nothing, the second that nothing else was tried, the third it all."""
    evidence = Evidence()
    assert evidence.refused(7, BEGIN, 1, BEGIN) == Standing(False, False)
    assert evidence.refused(7, BEGIN + 0.2, 1, BEGIN + 0.2) == Standing(False, True)
    answered(evidence, 3, BEGIN + 0.9, BEGIN + 0.5)
    assert evidence.refused(7, BEGIN + 1.2, 1, BEGIN + 1.2) == Standing(True, False)


def test_a_row_is_not_alone_when_others_are_refused_too() -> None:
    """Three answered, and one refused besides."""
    evidence = Evidence()
    evidence.refused(7, BEGIN, 1, BEGIN)
    answered(evidence, 3, BEGIN + 0.9, BEGIN + 0.5)
    evidence.refused(8, BEGIN + 1, 1, BEGIN + 1)
    assert evidence.refused(7, BEGIN + 1.2, 1, BEGIN + 1.2) == Standing(False, False)


def test_a_row_that_is_left_over_and_refused_for_two_minutes_is_alone_as_well() -> None:
    """Others were answered before, and nothing else is sent that could be the test."""
    evidence = Evidence()
    answered(evidence, 3, BEGIN - 1, BEGIN - 2)
    found = [evidence.refused(7, at, 1, at) for at in (BEGIN, BEGIN + 119.9, BEGIN + 120)]
    assert found == [Standing(False, False), Standing(False, True), Standing(True, False, True)]


def test_a_row_is_not_left_over_while_rows_wait_that_were_never_refused() -> None:
    """In an outage the same two rows are tried in turn, and a third was not yet."""
    found = {}
    for waiting in ((8,), (8, 9)):
        evidence = Evidence()
        answered(evidence, 3, BEGIN - 1, BEGIN - 2)
        evidence.refused(8, BEGIN, 1, BEGIN)
        evidence.refused(7, BEGIN + 1, 1, BEGIN + 1)
        evidence.refused(8, BEGIN + 60, 1, BEGIN + 60)
        found[waiting] = evidence.refused(7, BEGIN + 122, 1, BEGIN + 122, waiting)
    assert found == {(8,): Standing(True, False, True), (8, 9): Standing(False, True)}


def test_a_share_is_small_up_to_one_in_ten() -> None:
    """Two of any number are none yet."""
    evidence = Evidence()
    for number in range(3):
        evidence.refused(number, BEGIN, 1, BEGIN)
        assert evidence.is_small_share() == (number < 2)
    answered(evidence, 27, BEGIN + 0.2, BEGIN)
    assert evidence.is_small_share()
    evidence.refused(9, BEGIN + 1, 1, BEGIN + 1)
    assert not evidence.is_small_share()


def test_what_is_refused_above_all_that_is_answered_follows_the_number_in_flight() -> None:
    """Eight of a burst are answered, two are not; what was refused took no place."""
    evidence = Evidence()
    sent(evidence, 10, BEGIN)
    evidence.refused(8, BEGIN, 9, BEGIN + 0.002)
    evidence.refused(9, BEGIN, 10, BEGIN + 0.002)
    answered(evidence, 8, BEGIN + 0.2, BEGIN)
    later = BEGIN + 0.3
    sent(evidence, 9, later)
    evidence.refused(10, later, 9, later + 0.002)
    finding = evidence.load_finding(later, 9)
    assert (finding.follows, finding.refused, finding.bursts, finding.load) == (True, 3, 2, 9)


def test_what_is_refused_where_others_are_answered_follows_something_else() -> None:
    """Two in flight are refused where six were answered."""
    evidence = Evidence()
    sent(evidence, 6, BEGIN)
    answered(evidence, 6, BEGIN + 0.2, BEGIN)
    sent(evidence, 2, BEGIN + 0.3)
    evidence.refused(7, BEGIN + 0.3, 2, BEGIN + 0.3)
    assert evidence.load_finding(BEGIN + 0.3, 2).follows is False


@pytest.mark.parametrize(("refused", "follows"), [(6, None), (7, True)])
def test_few_refused_first_of_a_burst_say_nothing_yet(refused: int, follows: bool | None) -> None:
    """
    Sixty-four more leave at once, and none of them was answered so far.

    Up to one in ten of them may be refused by chance; seven of sixty-four are more.
    """
    evidence = Evidence()
    sent(evidence, 64, BEGIN)
    answered(evidence, 64, BEGIN + 1, BEGIN)
    later = BEGIN + 1.5
    evidence.grants.extend((later, 65 + number) for number in range(64))
    for row in range(refused):
        evidence.refused(row, later, 128, later + 0.8)
    assert evidence.load_finding(later, 128).follows is follows


def test_what_was_admitted_lately_is_a_rate_on_any_clock() -> None:
    """Six of eight in the first two seconds; of the first instant alone, six a second."""
    evidence = Evidence()
    sent(evidence, 8, BEGIN)
    for row in range(2):
        evidence.refused(row, BEGIN, 8, BEGIN)
    assert evidence.goodput(BEGIN) == pytest.approx(6)
    assert evidence.goodput(BEGIN + 2) == pytest.approx(3)
