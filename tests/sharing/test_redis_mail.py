"""What becomes of notes that may not have arrived."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from ratedispatch.pacing.shared.record import Record
from ratedispatch.pacing.shared.store import TAKEN, Note, Pause, Sheet, StoreGone
from ratedispatch.sharing.redis_mail import Mail, Parcel, merged
from tests.pacing.shared.test_record import limit, note
from tests.sharing.test_redis_script import notes


def plain(told: Note) -> Note:
    """Return *told* in whole numbers, which add up the same in any order, and without proofs."""
    limits = [
        one._replace(added=tuple([float(round(a)) for a in one.added]), stand=None)
        for one in told.limits
    ]
    return told._replace(limits=tuple(limits), leaves=False)


@settings(max_examples=30, deadline=None)
@given(notes(), notes())
def test_two_notes_in_one_add_up_to_both(older: Note, newer: Note) -> None:
    """The sums, what was learned and the pause are those of both, one after the other."""
    older, newer = plain(older), plain(newer)
    apart, together = Record(epoch=1.0), Record(epoch=1.0)
    apart.write(older, 1, 0.0)
    apart.write(newer, 1, 0.0)
    together.write(merged(older, newer), 1, 0.0)
    for name, one in apart.limits.items():
        assert together.limits[name].totals == one.totals
        assert together.limits[name].learned == one.learned
        assert together.limits[name].flow == one.flow
    assert together.pause == apart.pause
    assert together.members[1].held == apart.members[1].held


def test_the_newer_pause_stays() -> None:
    assert merged(note(pause=Pause(1.0, 9.0)), note()).pause == Pause(1.0, 9.0)
    assert merged(note(pause=Pause(2.0, 3.0)), note(pause=Pause(1.0, 9.0))).pause == Pause(2.0, 3.0)


def answered(parcel: Parcel, epoch: float = 7.0, **rest: object) -> Sheet:
    """Let the server answer *parcel*."""
    values = {"was_reaped": False, **rest}
    sheet = Sheet(0.0, epoch, (), None, 1, 1, None, 3.0, bool(values["was_reaped"]))
    parcel.answer = sheet
    return sheet


@pytest.fixture
def mail() -> Mail:
    """Return the mail of a member that has had a sheet."""
    mail = Mail("{key}", "me")
    mail.opened(answered(mail.parcel(note(limit()))))
    return mail


class TestPending:
    def test_a_note_in_doubt_goes_again_under_its_number(self, mail: Mail) -> None:
        parcel = mail.parcel(note(limit(5.0)))
        parcel.is_in_doubt = True
        mail.keep(parcel)
        again = mail.pending()
        assert again is parcel
        assert (again.number, again.epoch) == (2, 7.0)

    def test_notes_that_were_not_sent_go_as_one(self, mail: Mail) -> None:
        for taken in (1.0, 2.0, 3.0):
            mail.keep(mail.parcel(note(limit(taken))))
        pending = mail.pending()
        assert pending is not None
        assert pending.note.limits[0].added[TAKEN] == 6.0
        answered(pending)
        assert mail.settle(pending) is None
        assert mail.pending() is None

    def test_one_that_could_not_go_is_put_before_what_came_since(self, mail: Mail) -> None:
        mail.keep(mail.parcel(note(limit(1.0), priority=1)))
        pending = mail.pending()
        assert pending is not None
        mail.keep(mail.parcel(note(limit(2.0), priority=2)))
        pending.answer = StoreGone("refused")
        assert mail.settle(pending) is pending.answer
        both = mail.pending()
        assert both is not None
        assert both.note.limits[0].added[TAKEN] == 3.0
        assert both.note.priority == 2

    def test_what_its_sheet_says_once_comes_with_the_next(self, mail: Mail) -> None:
        parcel = mail.parcel(note(limit(5.0)))
        parcel.is_in_doubt = True
        mail.keep(parcel)
        answered(parcel, was_reaped=True)
        mail.settle(parcel)
        after = mail.opened(answered(mail.parcel(note(limit()))))
        assert after.was_reaped
        assert not mail.opened(answered(mail.parcel(note(limit())))).was_reaped
