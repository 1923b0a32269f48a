"""When many requests in a row fail alike the queue is held and probed; no row pays for it."""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.errors import Stopped, TransportError
from ratedispatch.limits import Limits
from ratedispatch.outcome import Completed, Failed, Response
from ratedispatch.simulate.clock import run_virtual
from tests.dispatch.world import chat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ratedispatch.outcome import Outcome
    from ratedispatch.request import Request

LIMITS = Limits(3_000, burst_seconds=0.7)
CHOICE = {"message": {"content": "yes"}}
OK = Response(200, {}, {"choices": [CHOICE], "usage": {"prompt_tokens": 9, "completion_tokens": 2}})

BROKEN = TransportError("the server disconnected")
PAGE = Response(200, {"content-type": "text/html"}, "<html>gateway</html>", is_json=False)


def error(status: int, code: str = "", message: str = "m") -> Response:
    return Response(status, {}, {"error": {"code": code, "message": message}})


class Call(NamedTuple):
    """What a server sees of a request."""

    row: int
    at: float
    number: int


class Server:
    """A transport that answers what a function of row, time and number says, after 0.2 s."""

    base_url = None

    def __init__(self, answer: Callable[[Call], Response | Exception]) -> None:
        self._answer = answer
        self.calls: list[Call] = []

    async def send(self, request: Request, timeout: float) -> Response:
        number, now = len(self.calls), asyncio.get_running_loop().time()
        call = Call(int(request.custom_id or 0), now, number)
        self.calls.append(call)
        await asyncio.sleep(0.2)
        answer = self._answer(call)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Ran(NamedTuple):
    """What came of a map."""

    answered: int
    failed: list[int]
    stop: Stopped | None
    seconds: float
    calls: list[Call]

    def within(self, start: float, end: float) -> int:
        """Return how many requests left from *start* to *end*."""
        return sum(start <= call.at < end for call in self.calls)


def run(
    answer: Callable[[Call], Response | Exception],
    rows: int | Iterable[Request] = 300,
    limits: Limits = LIMITS,
    **options: Any,
) -> Ran:
    server = Server(answer)
    requests = map(chat, range(rows)) if isinstance(rows, int) else rows

    async def main() -> Ran:
        outcomes, stopped = [], None
        dispatcher = Dispatcher(server, limits, rng=random.Random(1), **options)
        async with dispatcher:
            try:
                async for outcome in dispatcher.map(requests):
                    outcomes.append(outcome)  # noqa: PERF401  (a stop leaves what came before)
            except Stopped as stop:
                stopped = stop
            assert dispatcher.snapshot().in_flight == 0
        return Ran(
            sum(isinstance(outcome, Completed) for outcome in outcomes),
            sorted(
                int(outcome.request.custom_id or 0)
                for outcome in outcomes
                if isinstance(outcome, Failed)
            ),
            stopped,
            asyncio.get_running_loop().time(),
            server.calls,
        )

    return run_virtual(main())


MIXED = itertools.cycle([error(502), error(503), error(504), BROKEN, PAGE, error(500)])


@pytest.mark.parametrize(
    "failure",
    [
        lambda call: error(500),
        lambda call: error(502),
        lambda call: BROKEN,
        lambda call: PAGE,
        lambda call: TransportError("refused", reached=False),
        lambda call: next(MIXED),
    ],
    ids=["500", "502", "broken", "page", "refused", "mixed"],
)
def test_a_minute_in_which_everything_fails_costs_no_row(
    failure: Callable[[Call], Response | Exception],
) -> None:
    """Whatever the failures are, and in whatever mixture they come."""
    ran = run(lambda call: failure(call) if 10 <= call.at < 70 else OK, rows=4_000)
    assert (ran.answered, ran.failed, ran.stop) == (4_000, [], None)
    assert ran.within(10, 70) <= 60
    assert ran.seconds <= 1.05 * (4_000 / 50 + 60)


def test_a_minute_of_503_costs_no_row() -> None:
    """It may follow the speed, so pauses come first, and probes when nothing at all is answered."""
    ran = run(lambda call: error(503, message="no upstream") if 10 <= call.at < 70 else OK, 4_000)
    assert (ran.answered, ran.failed, ran.stop) == (4_000, [], None)
    assert ran.within(10, 70) <= 100
    assert ran.seconds <= 1.1 * (4_000 / 50 + 60)


@pytest.mark.parametrize("status", [503, 529])
def test_a_server_that_only_says_that_it_is_at_its_end_is_given_up(status: int) -> None:
    """It has never answered, so it is not waited for for long; no row is written off."""
    ran = run(lambda call: error(status, message="no upstream"))
    assert ran.stop is not None
    assert (ran.stop.code, ran.answered, ran.failed) == ("outage", 0, [])
    assert ran.seconds < 40
    assert len(ran.calls) < 60


@pytest.mark.parametrize("status", [500, 502])
def test_an_outage_at_the_very_start_is_waited_for(status: int) -> None:
    """A server that says that it is not well may be starting."""
    ran = run(lambda call: error(status) if call.at < 20 else OK)
    assert (ran.answered, ran.failed, ran.stop) == (300, [], None)


def test_two_outages_and_one_that_lets_some_through_cost_no_row() -> None:
    """An answer now and then closes it, and the next failures open it again."""

    def answer(call: Call) -> Response:
        is_away = 2 <= call.at < 20 or 25 <= call.at < 60
        return error(502) if is_away and call.number % 10 else OK

    ran = run(answer, rows=1_500)
    assert (ran.answered, ran.failed, ran.stop) == (1_500, [], None)


def test_slow_answers_beside_quick_faults_are_no_outage() -> None:
    """Eight faults come before the first answer, of which hundreds are on their way."""
    slow = {number: number % 50 != 7 for number in range(2_000)}

    class Slow(Server):
        async def send(self, request: Request, timeout: float) -> Response:
            if slow[len(self.calls)]:
                self.calls.append(Call(0, asyncio.get_running_loop().time(), 0))
                await asyncio.sleep(20)
                return OK
            return await super().send(request, timeout)

    async def main() -> float:
        server = Slow(lambda call: error(500))
        async with Dispatcher(server, LIMITS, rng=random.Random(1)) as dispatcher:
            async for outcome in dispatcher.map(map(chat, range(1_000))):
                assert isinstance(outcome, Completed)
        instants = [call.at for call in server.calls if call.at < 19]
        return max(later - at for at, later in itertools.pairwise(instants))

    # a probe would come after 0.5 s; a quarter is how the queue sends without any fault
    assert run_virtual(main()) < 0.3


def test_a_server_that_stays_away_stops_the_job_resumably() -> None:
    """After a quarter of an hour, in the server's own words."""
    ran = run(lambda call: error(502, message="bad gateway") if call.at > 2 else OK)
    assert ran.stop is not None
    assert (ran.stop.code, ran.stop.started, ran.failed) == ("outage", True, [])
    assert "bad gateway" in str(ran.stop)
    assert 900 < ran.seconds < 960
    assert ran.within(3, 1e9) <= 100


@pytest.mark.parametrize("failure", [PAGE, BROKEN])
def test_a_server_that_never_answers_and_says_nothing_is_given_up_soon(
    failure: Response | Exception,
) -> None:
    """Its address is wrong; few requests are needed to see it."""
    ran = run(lambda _: failure)
    assert ran.stop is not None
    assert (ran.stop.code, ran.stop.started, ran.failed) == ("outage", False, [])
    assert ran.seconds < 20
    assert len(ran.calls) <= 60


@pytest.mark.parametrize("rows", [2, 5])
@pytest.mark.parametrize("failure", [PAGE, BROKEN, error(500), error(503)])
def test_a_file_of_few_rows_is_given_up_as_soon(failure: Response | Exception, rows: int) -> None:
    """A trial with a wrong address is over in seconds, not in half an hour."""
    ran = run(lambda _: failure, rows)
    assert ran.stop is not None
    assert (ran.stop.code, ran.failed) == ("outage", [])
    assert ran.seconds < 40


@pytest.mark.parametrize("status", [500, 503])
def test_rows_that_failed_while_others_were_answered_fail_when_they_are_alone(
    status: int,
) -> None:
    """At the end nothing else is left that could be answered; what came before says enough."""
    bad = [7, 47, 87, 110]
    ran = run(lambda call: error(status) if call.row in bad else OK, 120, Limits(1_200))
    assert (ran.answered, ran.failed, ran.stop) == (116, bad, None)
    assert ran.seconds < 20


def test_the_last_rows_of_a_file_fail_in_minutes() -> None:
    """It may be an outage that began there, so they are given several minutes."""
    ran = run(lambda call: error(500) if call.row >= 297 else OK)
    assert (ran.failed, ran.stop) == ([297, 298, 299], None)
    assert 180 < ran.seconds < 500


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_that_works_on_one_request_for_long_is_not_given_up(status: int) -> None:
    """Its only place is taken for 40 s, and all others are refused meanwhile."""

    class OnePlace(Server):
        is_taken = False

        async def send(self, request: Request, timeout: float) -> Response:
            if self.is_taken:
                await asyncio.sleep(0.02)
                return error(status)
            self.is_taken = True
            await asyncio.sleep(40)
            self.is_taken = False
            return OK

    async def main() -> list[Outcome]:
        async with Dispatcher(OnePlace(lambda _: OK), Limits(), rng=random.Random(1)) as dispatcher:
            return [outcome async for outcome in dispatcher.map(map(chat, range(30)))]

    outcomes = run_virtual(main())
    assert [type(outcome) for outcome in outcomes] == [Completed] * 30


def test_a_file_of_bad_rows_stops_with_the_reason() -> None:
    """The parameter is wrong in all of them; none is written off."""
    ran = run(lambda _: error(400, "unsupported_parameter", "use max_completion_tokens"), 1_000)
    assert ran.stop is not None
    assert (ran.stop.code, ran.failed) == ("all_failed", [])
    assert "use max_completion_tokens" in str(ran.stop)
    assert len(ran.calls) <= 100


def test_a_403_in_mid_job_stops_without_failing_a_row() -> None:
    """Somebody has shut the door, and the rows are not at fault."""
    ran = run(lambda call: error(403, message="Forbidden") if call.at > 2 else OK)
    assert ran.stop is not None
    assert (ran.stop.code, ran.failed) == ("all_failed", [])


def test_rows_refused_while_a_door_was_shut_are_asked_once_more() -> None:
    """Two seconds in which everything gets a 403; none of the rows is at fault."""
    ran = run(lambda call: error(403, message="Forbidden") if 2 <= call.at < 4 else OK)
    assert (ran.answered, ran.failed, ran.stop) == (300, [], None)
    assert len(ran.calls) - 300 == ran.within(2, 4)
    assert ran.seconds < 10


def test_bad_rows_among_good_ones_fail_by_themselves() -> None:
    """Also twelve in a row, and those at the end, for which no answer comes any more."""
    bad = {0, *range(100, 112), 297, 298, 299}
    ran = run(lambda call: error(400, message="no") if call.row in bad else OK)
    assert (ran.answered, ran.failed, ran.stop) == (300 - len(bad), sorted(bad), None)
    assert ran.seconds < 8


def test_rows_that_fail_each_for_a_reason_of_its_own_are_not_alike() -> None:
    """The server names something of each row."""
    ran = run(lambda call: error(400, message=f"{call.row + 9_000} tokens are too many"), 30)
    assert (ran.failed, ran.stop) == (list(range(30)), None)


def test_requests_are_named_differently_in_sentences_that_are_alike() -> None:
    """A name of the request in the text makes no reason of its own."""
    ran = run(lambda call: error(400, message=f"no access (request req_{call.number:08x})"), 60)
    assert ran.stop is not None
    assert (ran.stop.code, ran.failed) == ("all_failed", [])


def test_a_file_with_a_single_bad_row_fails_it() -> None:
    """Nothing else is there that could be answered."""
    ran = run(lambda _: error(400), 1)
    assert (ran.failed, ran.stop, ran.seconds) == ([0], None, 0.2)
    ran = run(lambda _: error(500), 1)
    assert (ran.failed, ran.stop) == ([0], None)


def test_a_source_that_waits_for_outcomes_gets_them() -> None:
    """A failed one too, though nothing is answered after it."""

    async def main() -> list[int]:
        turn = asyncio.Event()
        turn.set()
        failed = []

        async def source() -> Any:
            for number in range(5):
                await turn.wait()
                turn.clear()
                yield chat(number)

        async with Dispatcher(Server(lambda _: error(400)), LIMITS) as dispatcher:
            async for outcome in dispatcher.map(source()):
                failed.append(int(outcome.request.custom_id or 0))
                turn.set()
        return failed

    assert run_virtual(main()) == [0, 1, 2, 3, 4]


def test_whoever_wants_to_goes_on_in_spite_of_failures() -> None:
    """Each row is tried by itself."""
    ran = run(lambda _: error(400), 200, tolerate_failures=True)
    assert (ran.failed, ran.stop) == (list(range(200)), None)
    assert ran.seconds < 5


def test_a_key_that_is_refused_once_is_asked_again() -> None:
    """An answer shows that it is good; nothing but the row itself comes again."""
    ran = run(lambda call: error(401, message="no") if call.number == 100 else OK)
    assert (ran.answered, ran.failed, ran.stop) == (300, [], None)
    assert len(ran.calls) == 301


def test_a_row_for_which_the_key_is_never_good_fails_alone() -> None:
    """Its model needs another permission, say."""
    ran = run(lambda call: error(401, message="no") if call.row == 100 else OK)
    assert (ran.answered, ran.failed, ran.stop) == (299, [100], None)


def test_a_key_that_stays_refused_stops_after_one_question() -> None:
    """What was in flight meets it, and one probe."""
    ran = run(lambda call: error(401, message="revoked") if call.at >= 3 else OK)
    assert ran.stop is not None
    assert (ran.stop.code, str(ran.stop), ran.failed) == ("authentication", "revoked", [])
    assert ran.within(3, 99) <= 12


def test_a_submit_does_not_wait_for_others() -> None:
    """It fails as it stands, after its attempts."""

    async def main() -> tuple[Any, float]:
        async with Dispatcher(Server(lambda _: error(400)), LIMITS) as dispatcher:
            outcomes = await asyncio.gather(*(dispatcher.submit(chat(n)) for n in range(30)))
            return outcomes, asyncio.get_running_loop().time()

    outcomes, seconds = run_virtual(main())
    assert all(isinstance(outcome, Failed) for outcome in outcomes)
    assert seconds < 1


@pytest.mark.parametrize("status", [400, 403, 429])
def test_an_account_that_runs_out_of_credit_stops_within_seconds(status: int) -> None:
    """By words that are a hint, and by what the next requests get."""
    ran = run(lambda call: error(status, message="recharge it") if call.at >= 2 else OK)
    assert ran.stop is not None
    assert (ran.stop.code, str(ran.stop), ran.failed) == ("quota", "recharge it", [])
    assert ran.seconds < 8
    assert ran.within(2, 99) <= 16


def test_a_row_whose_error_speaks_of_money_fails_alone() -> None:
    """Its own text is quoted, say; the others are answered."""
    ran = run(lambda call: error(400, message="my balance") if call.row == 9 else OK)
    assert (ran.answered, ran.failed, ran.stop) == (299, [9], None)


def test_an_outage_at_a_low_rate_costs_no_row() -> None:
    """The first row comes again many times before eight others have met it."""
    ran = run(lambda call: error(502) if 10 <= call.at < 130 else OK, 150, Limits(40))
    assert (ran.answered, ran.failed, ran.stop) == (150, [], None)
