"""What one run may send and spend, against a provider in virtual time."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import math
import random
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.dispatch.options import DispatcherOptions
from ratedispatch.dispatch.retry import RetryPolicy
from ratedispatch.events import AttemptEnded, AttemptSent, RequestEnded
from ratedispatch.groups import LimitGroup, LimitGroups
from ratedispatch.jobs.job import Job
from ratedispatch.jobs.job_options import JobOptions
from ratedispatch.jobs.plan import price_book
from ratedispatch.jobs.plan.prices import Price
from ratedispatch.jobs.plan.spending import Caps, Spending
from ratedispatch.jobs.state.paths import JobFiles
from ratedispatch.limits import Limits
from ratedispatch.observe.human import usd
from ratedispatch.outcome import Completed, Decision, Failed
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProviderTransport
from ratedispatch.tokens import TOKENS, Counter, Estimator
from tests.dispatch.world import chat

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ratedispatch.events import Event
    from ratedispatch.observe.report import Report
    from ratedispatch.outcome import Response
    from ratedispatch.request import Cost, Request

FAST = Limits(requests_per_minute=60_000, tokens_per_minute=10_000_000)
#: A dollar for a token that comes back, nothing for one that is sent.
DOLLARS = Price("all models", 0.0, 1_000_000.0)


def row(name: str, **body: Any) -> dict[str, Any]:
    """Return a row that caps its output at 16 tokens."""
    content = {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 16,
        **body,
    }
    content = {key: value for key, value in content.items() if value is not ...}
    return {"custom_id": name, "url": "/v1/chat/completions", "body": content}


def play(
    folder: Path,
    caps: Caps | None,
    *,
    rows: list[dict[str, Any]] | None = None,
    provider: ProviderSettings | None = None,
    limits: Limits | LimitGroups = FAST,
    listen: Callable[[Job, Event], None] | None = None,
    edit: Callable[[Response], Response] | None = None,
    **options: Any,
) -> Report:
    """Run the job in *folder* under *caps*; four tokens come back for each row unless told."""
    if rows is not None:
        text = "".join(json.dumps(value) + "\n" for value in rows)
        (folder / "in.jsonl").write_text(text)
    files = JobFiles(folder / "in.jsonl", folder / "out.jsonl", folder / "bad.jsonl")
    job = Job(files, limits, JobOptions(caps=caps))

    class Edited(ProviderTransport):
        async def send(self, request: Request, timeout: float) -> Response:
            response = await super().send(request, timeout)
            return response if edit is None else edit(response)

    async def main() -> Report:
        settings = provider or ProviderSettings(output_tokens=4)
        transport = Edited(settings, random.Random(1))
        heard = [] if listen is None else [lambda event: listen(job, event)]
        values = {"rng": random.Random(1), "cpu_clock": float, **options}
        return await job.run(
            transport, listeners=heard, dispatcher_options=DispatcherOptions(**values)
        )

    return run_virtual(main())


def without_usage(response: Response) -> Response:
    body = {name: value for name, value in response.body.items() if name != "usage"}
    return dataclasses.replace(response, body=body)


def test_a_run_sends_so_many_rows_and_the_next_goes_on(tmp_path: Path) -> None:
    """Four of ten, four more, and the last two without a stop."""
    rows = [row(str(number)) for number in range(10)]
    first = play(tmp_path, Caps(max_rows=4), rows=rows)
    assert (first.answered, first.attempts, first.unanswered) == (4, 4, 6)
    assert first.stop_code == "max_rows"
    assert first.stop_message == "4 rows were sent in this run, and the cap is 4"
    assert play(tmp_path, Caps(max_rows=4)).answered == 8
    last = play(tmp_path, Caps(max_rows=4))
    assert (last.answered, last.attempts, last.stop_code) == (10, 2, None)


def test_a_cap_of_as_many_rows_as_there_are_stops_nothing(tmp_path: Path) -> None:
    """There is nothing left that could not be sent."""
    report = play(tmp_path, Caps(max_rows=2), rows=[row("a"), row("b")])
    assert (report.answered, report.stop_code) == (2, None)


def test_a_row_that_is_never_sent_does_not_count(tmp_path: Path) -> None:
    """A row that can never fit into a limit fails before its first attempt."""
    rows = [row("a"), row("large", max_tokens=20_000), row("b"), row("c")]
    limits = Limits(requests_per_minute=60_000, tokens_per_minute=10_000)
    caps = Caps(max_rows=2, max_cost=100_000, price=DOLLARS)
    report = play(tmp_path, caps, rows=rows, limits=limits)
    assert (report.answered, report.failed, report.attempts) == (2, 1, 2)
    assert report.stop_code == "max_rows"


def test_rows_that_meet_errors_are_tried_again_before_the_stop(tmp_path: Path) -> None:
    """The rows of a cap have their outcomes, and no other is sent in their place."""
    rows = [row(str(number)) for number in range(40)]
    report = play(
        tmp_path,
        Caps(max_rows=20),
        rows=rows,
        provider=ProviderSettings(faults={"500": 0.5}),
        retry=RetryPolicy(max_attempts=30),
    )
    assert (report.answered, report.unanswered, report.stop_code) == (20, 20, "max_rows")
    assert report.retries > 0


def test_a_cap_on_rows_holds_over_groups_of_models(tmp_path: Path) -> None:
    """Several lines draw from one cap."""
    groups = LimitGroups((LimitGroup("o", ("gpt-4o",), FAST), LimitGroup("m", ("gpt-4.1",), FAST)))
    rows = [row(str(n), model=("gpt-4o", "gpt-4.1")[n % 2]) for n in range(10)]
    report = play(tmp_path, Caps(max_rows=5), rows=rows, limits=groups)
    assert (report.answered, report.attempts, report.stop_code) == (5, 5, "max_rows")


def test_what_is_spent_and_in_flight_stays_within_the_cap(tmp_path: Path) -> None:
    """Each row costs $4 and might cost $16: seven fit into $40, for after $28 one more may not."""
    open_rows: set[int | None] = set()
    totals: list[int] = []
    answered = 0

    def listen(_: Job, event: Event) -> None:
        nonlocal answered
        if isinstance(event, AttemptSent):
            open_rows.add(event.request.row)
        elif isinstance(event, RequestEnded):
            open_rows.discard(event.outcome.request.row)
            answered += 1
        totals.append(4 * answered + 16 * len(open_rows))

    caps = Caps(max_cost=40, price=DOLLARS)
    rows = [row(str(number)) for number in range(20)]
    report = play(tmp_path, caps, rows=rows, listen=listen)
    assert max(totals) <= 40
    assert (report.answered, report.cost_usd, report.stop_code) == (7, 28.0, "max_cost")
    assert report.stop_message == (
        "$28.00 spent by this job, $0.00 in flight and up to $16.00 for request '7' are more than "
        "the cap of $40.00"
    )


def test_a_row_that_is_dearer_than_the_cap_is_not_sent(tmp_path: Path) -> None:
    """Not even the first; nothing is spent."""
    report = play(tmp_path, Caps(max_cost=15, price=DOLLARS), rows=[row("a")])
    assert (report.attempts, report.cost_usd, report.stop_code) == (0, None, "max_cost")


def test_input_is_counted_before_it_is_sent(tmp_path: Path) -> None:
    """A thousand words at a dollar a token do not fit into $1,000; a short row does."""
    price = Price("all models", 1_000_000.0, 0.0)
    long = row("long", messages=[{"role": "user", "content": "word " * 1_000}])
    caps = Caps(max_cost=1_000, price=price)
    report = play(tmp_path, caps, rows=[row("short"), long], counter=Counter())
    assert (report.answered, report.stop_code) == (1, "max_cost")
    assert report.cost_usd == report.prompt_tokens


def billed(output_tokens: int) -> Callable[[Response], Response]:
    """Return what puts another number of output tokens on the bill of each answer."""

    def edit(response: Response) -> Response:
        usage = {**response.body["usage"], "completion_tokens": output_tokens}
        usage["total_tokens"] = usage["prompt_tokens"] + output_tokens
        body = {**response.body, "usage": usage}
        return dataclasses.replace(response, body=body, text=None)

    return edit


def test_a_cap_on_the_cost_holds_over_all_runs(tmp_path: Path) -> None:
    """Three rows of $4 in each run of at most $25, until the $40 of the job are nearly spent."""
    rows = [row(str(number)) for number in range(20)]
    caps = Caps(max_cost=40, max_cost_run=25, price=DOLLARS)
    first = play(tmp_path, caps, rows=rows)
    assert (first.answered, first.cost_usd, first.stop_code) == (3, 12.0, "max_cost_run")
    second = play(tmp_path, caps)
    assert (second.answered, second.cost_usd, second.stop_code) == (6, 12.0, "max_cost_run")
    third = play(tmp_path, caps)
    assert (third.answered, third.cost_usd, third.stop_code) == (7, 4.0, "max_cost")
    assert third.stop_message == (
        "$28.00 spent by this job, $0.00 in flight and up to $16.00 for request '7' are more than "
        "the cap of $40.00"
    )
    again = play(tmp_path, Caps(max_cost=40, price=DOLLARS))
    assert (again.attempts, again.stop_code) == (0, "max_cost")


def test_what_was_spent_without_a_cap_counts_as_well(tmp_path: Path) -> None:
    """A cap that is set later finds most of it spent."""
    rows = [row(str(number)) for number in range(10)]
    assert play(tmp_path, Caps(max_rows=8, price=DOLLARS), rows=rows).cost_usd == 32.0
    report = play(tmp_path, Caps(max_cost=40, price=DOLLARS))
    assert (report.attempts, report.stop_code) == (0, "max_cost")
    assert play(tmp_path, Caps(max_cost=60, price=DOLLARS)).answered == 10


@pytest.mark.parametrize("caps", [16, ...])
@pytest.mark.parametrize("in_flight", [10, 1_000])
def test_a_provider_that_bills_far_more_than_expected_is_noticed(
    tmp_path: Path, caps: Any, in_flight: int
) -> None:
    """$1,000 a row, where $16 were expected: of $25,000 no row is sent that may exceed them."""
    rows = [row(str(number), max_tokens=caps) for number in range(300)]
    report = play(
        tmp_path,
        Caps(max_cost=25_000, price=DOLLARS),
        rows=rows,
        edit=billed(1_000),
        max_in_flight=in_flight,
    )
    assert (report.answered, report.cost_usd, report.stop_code) == (25, 25_000.0, "max_cost")
    again = play(
        tmp_path, Caps(max_cost=25_500, price=DOLLARS), edit=billed(1_000), max_in_flight=in_flight
    )
    assert (again.attempts, again.stop_code) == (0, "max_cost")  # what the last run saw is known


def test_rows_in_flight_when_a_run_was_killed_may_have_been_billed(tmp_path: Path) -> None:
    """Two rows were sent and have no answer: each is taken to have cost its $16 already."""
    rows = [row(str(number)) for number in range(10)]
    assert play(tmp_path, Caps(max_rows=2, price=DOLLARS), rows=rows).cost_usd == 8.0
    with (tmp_path / "out.jsonl.job").open("ab") as journal:
        journal.write(b"s3\ns4\n")
    report = play(tmp_path, Caps(max_cost=60, price=DOLLARS))
    # 8 + 2 × 16 in doubt + 4 are 44, after which 16 more may still be spent, and after 48 may not
    assert (report.answered, report.cost_usd, report.stop_code) == (4, 8.0, "max_cost")


def test_an_attempt_that_may_have_been_billed_counts(tmp_path: Path) -> None:
    """A broken connection says nothing of the bill: $16 for each, beside $4 for the answer."""
    rows = [row(str(number)) for number in range(30)]
    caps = Caps(max_cost=200, price=DOLLARS)
    broken = 0

    def listen(_: Job, event: Event) -> None:
        nonlocal broken
        broken += isinstance(event, AttemptEnded) and event.decision is Decision.TRANSIENT

    provider = ProviderSettings(output_tokens=4, faults={"reset": 0.5})
    report = play(tmp_path, caps, rows=rows, provider=provider, listen=listen, max_in_flight=1)
    assert report.stop_code == "max_cost"
    assert report.cost_usd is not None
    assert broken > 0
    assert 200 - 16 < report.cost_usd + 16 * broken <= 200 + 16  # one more was in flight


class Watched(Counter):
    """Notes what it is asked to count."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def estimate(self, body: Mapping[str, Any], *args: Any, **options: Any) -> Cost:
        """Count as any other."""
        self.asked.append(body["messages"][0]["content"])
        return super().estimate(body, *args, **options)


@pytest.mark.parametrize("caps", [None, Caps(max_rows=50), Caps(max_cost=1e6, price=DOLLARS)])
def test_a_row_is_counted_once(tmp_path: Path, caps: Caps | None) -> None:
    """With a cap on the cost too, in the loop and in a thread; neither do retries count again."""
    texts = [f"{number} " + "word " * (1_000 * (number % 2)) for number in range(20)]
    rows = [row(text[:2], messages=[{"role": "user", "content": text}]) for text in texts]
    counter = Watched()
    provider = ProviderSettings(output_tokens=4, faults={"500": 0.3})
    retry = RetryPolicy(max_attempts=30)
    report = play(tmp_path, caps, rows=rows, counter=counter, provider=provider, retry=retry)
    assert (report.answered, report.stop_code) == (20, None)
    assert report.retries > 0
    assert sorted(counter.asked) == sorted(texts)


def test_the_cap_of_rows_without_an_output_cap_is_learned(tmp_path: Path) -> None:
    """After 32 answers of four tokens, a 36th is not begun with two dollars left."""
    rows = [row(str(number), max_tokens=...) for number in range(60)]
    report = play(
        tmp_path,
        Caps(max_cost=142, price=DOLLARS),
        rows=rows,
        max_in_flight=1,
        default_output_tokens=1,
    )
    assert (report.answered, report.cost_usd, report.stop_code) == (35, 140.0, "max_cost")


def test_an_answer_without_usage_costs_what_was_expected(tmp_path: Path) -> None:
    """16 tokens, since nobody says that it were fewer."""
    rows = [row(str(number)) for number in range(4)]
    report = play(tmp_path, Caps(max_cost=40, price=DOLLARS), rows=rows, edit=without_usage)
    assert (report.answered, report.cost_usd, report.stop_code) == (2, 32.0, "max_cost")


def test_a_model_without_a_price_stops_before_it_is_sent(tmp_path: Path) -> None:
    """The message names the row, the model and the cap."""
    report = play(tmp_path, Caps(max_cost=1), rows=[row("a", model="mystery")])
    assert (report.attempts, report.stop_code, report.started) == (0, "no_price", False)
    assert report.stop_message == (
        "request 'a' is for the model 'mystery', whose price is not known, so the cap of "
        "$1.00 cannot be kept"
    )


def test_a_model_without_a_price_is_no_mistake_of_the_first_row(tmp_path: Path) -> None:
    """What came before it is answered."""
    rows = [row("a"), row("b", model="mystery")]

    def listen(job: Job, event: Event) -> None:
        assert not isinstance(event, AttemptSent) or event.request.model == "gpt-4o"

    report = play(tmp_path, Caps(max_cost=1), rows=rows, listen=listen)
    assert (report.answered, report.stop_code, report.started) == (1, "no_price", True)


def test_the_cost_is_told_without_caps_where_prices_are_known(tmp_path: Path) -> None:
    """By the table: $2.50 and $10.00 for a million tokens in and out; another model is left out."""
    usages: list[tuple[int, int]] = []

    def listen(_: Job, event: Event) -> None:
        if isinstance(event, RequestEnded) and isinstance(event.outcome, Completed):
            usage = event.outcome.usage
            assert usage is not None
            if event.outcome.request.model == "gpt-4o":
                usages.append((usage.prompt_tokens, usage.output_tokens))

    rows = [row("a"), row("b"), row("c", model="gpt-4")]
    report = play(tmp_path, None, rows=rows, listen=listen)
    ((ingoing, outgoing),) = set(usages)
    assert report.answered == 3
    assert report.cost_usd == pytest.approx(2 * (ingoing * 2.5e-6 + outgoing * 10e-6))


def test_without_a_price_there_is_no_cost(tmp_path: Path) -> None:
    """``None``, not zero."""
    report = play(tmp_path, None, rows=[row("a", model="gpt-4")])
    assert (report.answered, report.cost_usd) == (1, None)


def test_an_interruption_ends_the_wait_for_open_rows(tmp_path: Path) -> None:
    """The reason is the interruption, and what is in flight is waited for."""

    def listen(job: Job, event: Event) -> None:
        if isinstance(event, AttemptSent):
            asyncio.get_running_loop().call_later(0.01, job.drain)

    report = play(tmp_path, Caps(max_rows=1), rows=[row("a"), row("b")], listen=listen)
    assert (report.answered, report.stop_code) == (1, "drained")


def test_a_stop_that_cancels_nobody_ends_the_source() -> None:
    """Whoever reads it without a dispatcher is told the reason and gets no more."""
    stops: list[tuple[str, str]] = []
    requests = [chat(number) for number in range(3)]

    async def main() -> list[Request]:
        spending = Spending(Caps(max_rows=1), lambda *stop: stops.append(stop))
        read = []
        async for request in spending.admit(
            requests, Estimator(TOKENS, in_thread=asyncio.to_thread)
        ):
            read.append(request)
            spending(RequestEnded(Failed(request, "bad", "bad", attempts=1), 0.0))
        return read

    assert run_virtual(main()) == requests[:1]
    assert stops == [("max_rows", "1 row was sent in this run, and the cap is 1")]


def test_more_models_than_are_remembered_are_counted_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that names a thousand models and more is only slower."""
    monkeypatch.setattr(price_book, "_MODELS", 1)
    rows = [row(name, model=f"gpt-4{name}") for name in ("o", ".1", "o-mini", "o")]
    rows = [{**value, "custom_id": str(number)} for number, value in enumerate(rows)]
    report = play(tmp_path, Caps(max_cost=1), rows=rows)
    assert (report.answered, report.stop_code) == (4, None)


@pytest.mark.parametrize(
    "values",
    [
        {"max_rows": 0},
        {"max_cost": 0.0},
        {"max_cost": math.nan},
        {"max_cost": math.inf},
        {"max_cost_run": -1.0},
    ],
)
def test_a_cap_that_means_nothing_is_refused(values: dict[str, Any]) -> None:
    """The message names it, its unit and its value."""
    (name,) = values
    with pytest.raises(ValueError, match=rf"^{name} must be .*(row|USD)"):
        Caps(**values)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0.0, "$0.00"),
        (40.0, "$40.00"),
        (1234.5, "$1,234.50"),
        (0.4981, "$0.4981"),
        (2e-6, "$0.000002"),
        (1e-9, "$0.00"),
    ],
)
def test_dollars_as_a_person_reads_them(amount: float, text: str) -> None:
    """Cents, and more digits only where they say something."""
    assert usd(amount) == text
