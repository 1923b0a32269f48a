"""
The report of a job: counts, time, and the share of each limit that was used.

`Tally` is the listener that counts; `Report` is the value made of it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ratedispatch.events import (
    AttemptEnded,
    AttemptSent,
    RequestEnded,
    RouteResumed,
    RouteStopped,
)
from ratedispatch.observe.human import duration_text
from ratedispatch.observe.route_figures import RouteFigures, RouteTally
from ratedispatch.outcome import REFUSALS, Completed, Decision, Failed
from ratedispatch.pacing.bottleneck import words_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.events import Event

#: Codes that are told apart: they are the provider's own words, and may be as many as the rows.
_MOST_REASONS = 1_000
_OTHER = "other"

#: Weight of the newest attempt in the mean latency, so that about twenty count.
_NEWEST_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Report:
    """
    The report of a run.

    Args:
        answered: Rows answered, in this run and earlier runs.
        failed: Rows that failed, in this run and earlier runs.
        resumed: How many of these rows earlier runs had done.
        unanswered: Rows that were read and that a stop left unanswered.
        attempts: Attempts sent in this run.
        refusals: Refusals in this run (429, or 503 "Slow Down").
        retries: Attempts in this run beyond the first of a row.
        seconds: From the first request sent to the last answer.
        request_share: The used share of the limit on requests, 0 to 1; ``None`` without a limit.
        token_share: The used share of the limit on tokens, 0 to 1; ``None`` without a limit.
        shares: The used share of every limit, by dimension.
        failures: How many rows failed in this run, by the code of the reason.
        binding: The bottleneck for the longest time: the dimension of a limit, ``in_flight``,
            ``pause``, ``unreachable``, ``search``, ``cpu``, or ``nothing_waiting``; ``None`` if
            nothing ran.
        held_seconds: For how many seconds each of these was the bottleneck.
        limits: The limits in force at the end, by dimension; limits of groups as
            ``group.dimension``, daily limits as ``…_per_day``. Limits to be learned that are still
            unknown are omitted.
        prompt_tokens: Prompt tokens that the provider reports, over the rows answered in this run.
        output_tokens: Output tokens that the provider reports, over the same rows.
        expected_tokens: Estimated prompt tokens of the same rows.
        stop_code: Why the job stopped early; ``None`` if it did not.
        stop_message: The same in one sentence.
        started: Whether anything had been answered by then.
        cost_usd: The cost of the rows answered in this run, in USD, as far as the prices of their
            models are known; ``None`` if none is.
        in_doubt: Rows that were sent but have no result, and may have been billed; the next run
            sends them again.
        billed_twice_at_most: Attempts, over all runs of the job, that may have been billed although
            their row was sent again.
        notes: Sentences that a person should read.
        routes: The figures of each member of a pool, by name.
    """

    answered: int = 0
    failed: int = 0
    resumed: int = 0
    unanswered: int = 0
    attempts: int = 0
    refusals: int = 0
    retries: int = 0
    seconds: float = 0.0
    request_share: float | None = None
    token_share: float | None = None
    shares: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)
    binding: str | None = None
    held_seconds: Mapping[str, float] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    prompt_tokens: int = 0
    output_tokens: int = 0
    expected_tokens: int = 0
    stop_code: str | None = None
    stop_message: str | None = None
    started: bool = False
    cost_usd: float | None = None
    in_doubt: int = 0
    billed_twice_at_most: int = 0
    notes: tuple[str, ...] = ()
    routes: Mapping[str, RouteFigures] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name, for JSON; the tokens are None if no answer has told them."""
        fields = asdict(self)
        if self.answered > self.resumed and not (self.prompt_tokens or self.output_tokens):
            fields |= {"prompt_tokens": None, "output_tokens": None}
        return fields

    @property
    def deviation(self) -> str:
        """How far the prompt tokens billed are from the estimate: ``+0.12 %``."""
        off = self.prompt_tokens / max(1, self.expected_tokens) - 1
        return f"{off * 100:+.2f} %".replace("-", "−")

    @property
    def rows(self) -> str:
        """How many rows were answered, failed, or are left."""
        text = f"{self.answered:,} answered, {self.failed:,} failed"
        if self.resumed:
            text += f" ({self.resumed:,} of them by an earlier run)"
        if self.unanswered:
            text += f", {self.unanswered:,} not yet answered"
        return text

    def sentence(self) -> str:
        """Return the report as one sentence for a person."""
        text = f"{self.rows} in {duration_text(self.seconds)}"
        text += f"; {self.attempts:,} sent, {self.refusals:,} refused, {self.retries:,} retried"
        shares = [
            f"{share:.0%} of the {name} limit"
            for name, share in (("request", self.request_share), ("token", self.token_share))
            if share is not None and self.attempts
        ]
        if shares:
            text += f"; used {' and '.join(shares)}"
        if self.binding is not None and self.attempts > 1:
            text += f"; bound by {words_for(self.binding)}"
        if self.prompt_tokens:
            text += (
                f"; prompt tokens estimated {self.expected_tokens:,}, "
                f"billed {self.prompt_tokens:,} ({self.deviation})"
            )
        for name, one in self.routes.items():
            if one.stop_code is not None:
                text += f"; {name} was left alone ({one.stop_code})"
        if self.in_doubt:
            text += f"; {self.in_doubt:,} given up in flight, which may have been billed"
        if self.billed_twice_at_most:
            text += f"; {self.billed_twice_at_most:,} at most billed twice"
        return text + "."


class Tally:
    """
    A listener that counts what a report and a progress display need.

    Attributes:
        latency: The mean of the last attempts in seconds, rising from 0.
        answers: Attempts that were answered.
        answer_seconds: How long these took, in sum.
        answer_squares: The squares of that, in sum.
        lost_seconds: How long the attempts took that were not answered, in sum.
    """

    def __init__(self) -> None:
        self.answered = 0
        self.failed = 0
        self.bad_rows = 0
        self.failures: dict[str, int] = {}
        self.latency = 0.0
        self.answers = 0
        self.answer_seconds = self.answer_squares = 0.0
        self.lost_seconds = 0.0
        self.attempts = 0
        self.refusals = 0
        self.retries = 0
        self.tokens = 0
        self.prompt_tokens = 0
        self.output_tokens = 0
        self.expected_tokens = 0
        self.first_sent: float | None = None
        self.last_ended = 0.0
        self.routes = RouteTally()

    def __call__(self, event: Event) -> None:
        """Count *event*."""
        match event:
            case AttemptSent():
                self.attempts += 1
                if event.route:
                    self.routes.count(event)
                self.retries += event.attempt > 1
                self.tokens += event.cost.tokens
                if self.first_sent is None:
                    self.first_sent = event.at
            case AttemptEnded():
                self.last_ended = event.at
                if event.route:
                    self.routes.count(event)
                self.latency += _NEWEST_SHARE * (event.latency - self.latency)
                if event.decision is Decision.ANSWERED:
                    self.answers += 1
                    self.answer_seconds += event.latency
                    self.answer_squares += event.latency * event.latency
                else:
                    self.lost_seconds += event.latency
                    self.refusals += event.decision in REFUSALS
            case RequestEnded(outcome=Completed() as outcome):
                self.answered += 1
                if outcome.route:
                    self.routes.count(event)
                if outcome.usage is not None:
                    self.prompt_tokens += outcome.usage.prompt_tokens
                    self.output_tokens += outcome.usage.output_tokens
                    self.expected_tokens += outcome.cost.expected_tokens
            case RequestEnded(outcome=Failed() as outcome):
                self._count_failure(outcome.code)
            case RouteStopped() | RouteResumed():
                self.routes.count(event)

    def count_bad_row(self, code: str) -> None:
        """Count a row that failed for *code* before it became a request."""
        self._count_failure(code)
        self.bad_rows += 1

    def _count_failure(self, code: str) -> None:
        self.failed += 1
        if code not in self.failures and len(self.failures) >= _MOST_REASONS:
            code = _OTHER
        self.failures[code] = self.failures.get(code, 0) + 1

    @property
    def sent(self) -> int:
        """Rows that were sent at least once."""
        return self.attempts - self.retries

    @property
    def seconds(self) -> float:
        """From the first request sent to the last answer."""
        return 0.0 if self.first_sent is None else max(0.0, self.last_ended - self.first_sent)
