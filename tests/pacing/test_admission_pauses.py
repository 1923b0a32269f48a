"""The queue before all buckets: pauses, the gate, and a day that is used up."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from ratedispatch.dispatch.permits import acquire
from ratedispatch.errors import Stopped
from ratedispatch.limits import Limits, Rate, Reading
from ratedispatch.pacing.bottleneck import PAUSE
from ratedispatch.pacing.feedback import (
    End,
    Feedback,
    Pause,
    Strain,
    Verdict,
)
from ratedispatch.request import Cost
from ratedispatch.simulate.clock import run_virtual
from tests.pacing.queues import FAST, LIMITS, admission, admit, answered, now, refused

if TYPE_CHECKING:
    from ratedispatch.pacing.permit import Permit


class TestPauses:
    """What a refusal does to everybody."""

    def test_the_pause_is_for_everybody_and_once_for_each_episode(self) -> None:
        """Refusals of what was sent before the pause began start no other."""

        async def main() -> None:
            queue = admission(FAST)
            permits = [await acquire(queue, Cost(1), i) for i in range(3)]
            await asyncio.sleep(0.2)
            assert Pause(2.0) in permits[0].report(refused(2.0))
            await asyncio.sleep(0.5)
            assert not permits[1].report(refused(1.0))
            assert queue.snapshot().paused == pytest.approx(1.5)
            assert (await admit(queue, 4))[1] == pytest.approx(2.2)
            assert not permits[2].report(refused(1.0))
            assert (await admit(queue, 5))[1] == pytest.approx(2.21)

        run_virtual(main())

    def test_after_a_pause_the_queue_ramps_up(self) -> None:
        """What piled up during the pause does not burst, and the rate rises to its full."""

        async def main() -> list[float]:
            queue = admission(Limits(6000, None, burst_seconds=1), 1000)
            permit = await acquire(queue, Cost(1), 0)
            await asyncio.sleep(0.1)
            permit.report(refused(2.0))
            return [(await admit(queue, i))[1] for i in range(1, 500)]

        times = run_virtual(main())
        assert times[0] == pytest.approx(2.1)
        assert sum(when < 2.1 + 0.2 for when in times) == 3  # at full rate it were 20
        assert sum(when < 2.1 + 2.0 for when in times) == 110  # (0.1 + 1) / 2
        assert times[-1] - times[-101] == pytest.approx(1.0)

    def test_overloads_of_a_server_with_limits_slow_down(self) -> None:
        """More than a few, while its own readings have room: at most 70 % of the speed after."""

        async def main() -> list[float]:
            queue = admission(Limits(6000, None, burst_seconds=0.1), 1000)
            for rank in range(1000):
                await admit(queue, rank)
            permit = await acquire(queue, Cost(1))
            permit.report(answered(Reading("requests", 5000, 6000)))
            permits = [await acquire(queue, Cost(1), 1000 + rank) for rank in range(3)]
            full = Feedback(End.REFUSED, delay=1.0, strain=Strain.OVERLOADED)
            told = [list(permit.report(full)) for permit in permits]
            assert told == [[], [], [Pause(1.0)]]
            assert [permit.verdict for permit in permits] == [Verdict.ODD] * 2 + [Verdict.LINE]
            start = now()
            return [(await admit(queue, i))[1] - start for i in range(300)]

        times = run_virtual(main())
        assert times[0] == pytest.approx(1.0)
        # from 70 % up by 2 % a second, beginning at the refusal
        assert sum(3 <= when < 4 for when in times) == 77

    def test_the_time_of_a_pause_is_counted_as_one(self) -> None:
        """For the bottleneck: two seconds of pause, and no alarm before its end."""

        async def main() -> None:
            queue = admission(FAST)
            permit = await acquire(queue, Cost(1), 0)
            permit.report(refused(2.0))
            await admit(queue, 1)
            assert queue.snapshot().held == {PAUSE: 2}

        run_virtual(main())


class TestGate:
    """Held, released and closed."""

    def test_hold_and_release(self) -> None:
        """While held nobody goes; a release of one lets one go."""

        async def main() -> None:
            queue = admission(FAST)
            queue.hold()
            tasks = [asyncio.create_task(admit(queue, i)) for i in range(3)]
            await asyncio.sleep(1)
            assert queue.snapshot().waiting == 3
            queue.release(1)
            await asyncio.sleep(1)
            assert [task.done() for task in tasks] == [True, False, False]
            queue.release()
            await asyncio.gather(*tasks)
            assert queue.snapshot().held == {"unreachable": 2}

        run_virtual(main())

    def test_closing_refuses_the_queue_and_all_who_come(self) -> None:
        """Each gets an error of its own."""

        async def main() -> None:
            queue = admission(LIMITS, 1)
            await acquire(queue, Cost(1), 0)
            waiters = [asyncio.create_task(acquire(queue, Cost(1), i)) for i in (1, 2)]
            await asyncio.sleep(0)
            queue.close(lambda: Stopped("drained", "enough", started=True))
            errors = await asyncio.gather(*waiters, return_exceptions=True)
            assert [type(error) for error in errors] == [Stopped, Stopped]
            assert errors[0] is not errors[1]
            with pytest.raises(Stopped):
                await acquire(queue, Cost(1), 3)
            assert queue.snapshot().waiting == 0

        run_virtual(main())

    def test_what_was_sent_before_the_close_is_reported_after_it(self) -> None:
        """A stop takes no permit away."""

        async def main() -> None:
            queue = admission(LIMITS, 1)
            permit = await acquire(queue, Cost(1), 0)
            queue.close(lambda: Stopped("drained", "enough", started=True))
            permit.report(answered())
            assert queue.snapshot().in_flight == 0

        run_virtual(main())


def test_a_day_that_is_used_up_is_told_soon_and_not_at_once() -> None:
    """Whoever is told may close the queue, which is being walked at that moment."""

    async def main() -> list[tuple[str, float]]:
        dry: list[tuple[str, float]] = []
        limits = Limits(requests_per_day=1)

        def tell(rate: Rate, wait: float) -> None:
            dry.append((rate.dimension, wait))
            queue.close(lambda: Stopped("day_limit", "used up", started=True))

        queue = admission(limits, on_dry=tell)
        await admit(queue, 0)
        with pytest.raises(Stopped):
            await acquire(queue, Cost(1), 1)
        return dry

    dimension, wait = run_virtual(main())[0]
    assert dimension == "requests_per_day"
    assert wait == pytest.approx(86_400)


def test_jitter_is_added_to_what_is_asked_for() -> None:
    """The source of chance is an argument."""

    async def main() -> Pause:
        queue = admission(FAST, rng=random.Random(3))
        permit: Permit = await acquire(queue, Cost(1), 0)
        change = permit.report(refused(2.0))[-1]
        assert isinstance(change, Pause)
        return change

    assert run_virtual(main()).seconds == pytest.approx(2 + 0.25 * random.Random(3).random())
