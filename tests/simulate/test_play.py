"""Requests that are played in virtual time."""

from __future__ import annotations

from ratedispatch.errors import Stopped
from ratedispatch.events import AttemptSent
from ratedispatch.limits import Limits
from ratedispatch.request import Request
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.play import play
from ratedispatch.simulate.settings import ProviderSettings

STEADY = ProviderSettings(requests_per_minute=60, burst_seconds=1.0, latency_sigma=0.0)


def requests(count: int) -> list[Request]:
    return [
        Request.chat(
            model="gpt-4o", messages=[{"role": "user", "content": "a"}], custom_id=f"{number}"
        )
        for number in range(count)
    ]


def test_a_minute_takes_a_minute_of_virtual_time() -> None:
    """One request goes at once and one each second after it; the last is answered after 0.2 s."""
    played = play(requests(61), Limits(60, burst_seconds=1.0), STEADY, max_in_flight=100)
    assert played.seconds == 60.2
    assert played.refused == 0
    assert len(played.answered) == 61
    assert played.failed == {}
    assert (played.events, played.stop) == ((), None)


def test_the_same_seed_gives_the_same_run() -> None:
    """Another one another; events are kept where they are asked for."""
    settings = ProviderSettings(requests_per_minute=600, latency_sigma=0.3)

    def sent(seed: int) -> list[float]:
        played = play(
            requests(30), Limits(600), settings, seed=seed, keeps_events=True, max_in_flight=2
        )
        return [event.at for event in played.events if isinstance(event, AttemptSent)]

    assert sent(1) == sent(1)
    assert sent(1) != sent(2)


def test_a_stop_keeps_what_came_before_it() -> None:
    """An account that is empty after two requests stops the run."""
    settings = ProviderSettings(quota=2, latency_sigma=0.0)
    played = play(requests(5), Limits(), settings, max_in_flight=1)
    assert isinstance(played.stop, Stopped)
    assert played.answered == ["0", "1"]
    assert played.stats["admitted"] == 2


def test_what_a_run_leaves_is_not_described() -> None:
    """A task describes its result to whoever asks, and what is played is large."""

    class Large:
        def __repr__(self) -> str:
            raise AssertionError("nobody asked for the text of this")

    large = Large()

    async def main() -> Large:
        return large

    assert run_virtual(main()) is large
