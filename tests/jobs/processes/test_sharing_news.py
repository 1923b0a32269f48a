"""What several processes of one job tell of the limits that they share."""

from __future__ import annotations

import pytest

from ratedispatch.dispatch.listeners import Listeners
from ratedispatch.events import Event, SharingChanged
from ratedispatch.jobs.processes.sharing_news import SharingNews


@pytest.mark.parametrize(
    ("is_private", "told"),
    [(False, ["alone", "gone", "back", "gone"]), (True, ["gone", "back", "gone"])],
)
def test_each_is_told_once(is_private: bool, told: list[str]) -> None:
    """The second would count the first among others, and both lose the store."""
    heard: list[Event] = []
    news = SharingNews(Listeners([heard.append]), is_private=is_private)
    for others, text in enumerate(["alone", "with one"]):
        news.tell(SharingChanged(text, "", 0.0, others))
    for text in ("gone", "gone", "back", "back", "gone"):
        news.tell(SharingChanged(text, "", 0.0))
    assert [one.message for one in heard if isinstance(one, SharingChanged)] == told
