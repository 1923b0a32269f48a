"""
The flags of ``fake-server`` about answers and faults.

Decides their names, how their values are written, and which settings of the fake provider they set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ratedispatch.cli.command import collect, option
from ratedispatch.cli.param_types import DISTRIBUTION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.simulate.forecast.lengths import Lengths


@dataclass(frozen=True, slots=True)
class AnswerFlags:
    """How long answers are, and how long they take."""

    latency: float
    latency_sigma: float
    token_time: float
    engine_slots: int | None
    queue: int | None
    engine_batching: float
    output_share: float
    output_tokens: int | Lengths | None

    def settings(self) -> dict[str, Any]:
        """Return the settings of the provider that the flags set."""
        return {
            "latency": self.latency,
            "latency_sigma": self.latency_sigma,
            "token_time": self.token_time,
            "engine_slots": self.engine_slots,
            "queue": self.queue,
            "engine_batching": self.engine_batching,
            "output_share": self.output_share,
            "output_tokens": self.output_tokens,
        }


_ANSWER_OPTIONS = (
    option(
        "--latency",
        group="Answers",
        default=0.2,
        show_default=True,
        help="Median latency of an answer, in seconds.",
    ),
    option(
        "--latency-sigma",
        group="Answers",
        default=0.3,
        show_default=True,
        help="Sigma of the log-normal spread of the latency; 0 for none.",
    ),
    option(
        "--token-time",
        group="Answers",
        default=0.0,
        show_default=True,
        help="Additional seconds for each output token.",
    ),
    option(
        "--engine-slots",
        group="Answers",
        type=click.IntRange(min=1),
        help="Requests that the engine works on at the same time; the others queue.",
    ),
    option(
        "--queue",
        group="Answers",
        type=click.IntRange(min=0),
        help="Maximum number of requests that may queue for a slot; further requests get a 503.",
    ),
    option(
        "--engine-batching",
        group="Answers",
        default=0.0,
        show_default=True,
        help="Growth of the latency as slots fill; 1 doubles it when all are in use.",
    ),
    option(
        "--output-share",
        group="Answers",
        default=0.5,
        show_default=True,
        help="Length of an output, as a share of its cap.",
    ),
    option(
        "--output-tokens",
        group="Answers",
        type=DISTRIBUTION,
        metavar="DIST",
        help="Length of an output in tokens, never above its cap: N, uniform:LOW:HIGH, "
        "normal:MEAN:SIGMA, lognormal:MEDIAN:SIGMA or exponential:MEAN; overrides --output-share.",
    ),
)

answer_options = collect(AnswerFlags, "answers", _ANSWER_OPTIONS)


@dataclass(frozen=True, slots=True)
class FaultFlags:
    """What goes wrong, and what refusals and headers say."""

    faults: tuple[str, ...]
    fault_times: tuple[str, ...]
    outage: str | None
    no_headers: bool
    header_factor: float
    no_numbers: bool
    retry_after: str

    def settings(self) -> dict[str, Any]:
        """
        Return the settings of the provider that the flags come to.

        Raises:
            ValueError: A value does not have the form that its flag requires.
        """
        period, model = parse_outage(self.outage)
        return {
            "faults": parse_faults(self.faults),
            "fault_times": tuple(_parse_fault_time(text) for text in self.fault_times),
            "outage": period,
            "outage_model": model,
            "headers": not self.no_headers,
            "header_factor": self.header_factor,
            "numbers": not self.no_numbers,
            "retry_after": self.retry_after,
        }


_FAULT_OPTIONS = (
    option(
        "--fault",
        "faults",
        group="Faults",
        multiple=True,
        metavar="NAME=RATE",
        help="Share of the admitted requests that meet this fault; repeatable. Names: 500, "
        "503, slow_down, 429, html, html200, reset, disconnect, hang, truncate; for streams only: "
        "stream_cut, stream_error, stream_stall.",
    ),
    option(
        "--fault-time",
        "fault_times",
        group="Faults",
        multiple=True,
        metavar="NAME=START:SECONDS",
        help="A fault that all admitted requests meet for SECONDS, from START seconds on; "
        "repeatable; faults at the same time alternate.",
    ),
    option(
        "--outage",
        group="Faults",
        metavar="START:SECONDS[:MODEL]",
        help="Refuse every request, or every request for MODEL, for SECONDS from START seconds on.",
    ),
    option(
        "--no-headers",
        group="Headers and refusals",
        is_flag=True,
        help="Send answers without x-ratelimit headers.",
    ),
    option(
        "--header-factor",
        group="Headers and refusals",
        default=1.0,
        show_default=True,
        help="Multiply the limits and remaining amounts in the x-ratelimit headers by this.",
    ),
    option(
        "--no-numbers",
        group="Headers and refusals",
        is_flag=True,
        help="Leave amounts and waiting times out of the messages of refusals.",
    ),
    option(
        "--retry-after",
        group="Headers and refusals",
        type=click.Choice(["ms", "seconds", "none"]),
        default="ms",
        show_default=True,
        help="How a refusal states the waiting time: in seconds and in milliseconds, in whole "
        "seconds only, or not at all.",
    ),
)

fault_options = collect(FaultFlags, "trouble", _FAULT_OPTIONS)


def parse_faults(texts: tuple[str, ...]) -> Mapping[str, float]:
    """Return the rates of faults by their names."""
    faults: dict[str, float] = {}
    for text in texts:
        name, _, rate = text.partition("=")
        try:
            faults[name] = float(rate)
        except ValueError:
            raise ValueError(f"--fault {text!r} is not NAME=RATE, such as 500=0.01") from None
    return faults


def _parse_fault_time(text: str) -> tuple[float, float, str]:
    """Return the start, the length and the name of a fault of all requests."""
    name, _, times = text.partition("=")
    start, _, length = times.partition(":")
    try:
        return float(start), float(length), name
    except ValueError:
        raise ValueError(
            f"--fault-time {text!r} is not NAME=START:SECONDS, such as 502=10:30"
        ) from None


def parse_outage(text: str | None) -> tuple[tuple[float, float] | None, str | None]:
    """Return start, length, and the only affected model."""
    if text is None:
        return None, None
    start, _, rest = text.partition(":")
    length, _, model = rest.partition(":")  # a model's name may have colons of its own
    try:
        return (float(start), float(length)), model or None
    except ValueError:
        raise ValueError(f"--outage {text!r} is not START:SECONDS[:MODEL], such as 10:30") from None
