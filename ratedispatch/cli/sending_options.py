"""The flags of ``run`` that say how requests are sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import click

from ratedispatch.cli.client import BULK, SDK
from ratedispatch.cli.command import collect, option
from ratedispatch.cli.fake_account import FAKE_RPM, FAKE_TPM
from ratedispatch.cli.loop import LOOPS
from ratedispatch.cli.param_types import COUNT_OR_AUTO, WHERE, FiniteRange
from ratedispatch.limits import AUTO

#: Processes that a run may have.
MOST_PROCESSES = 64


@dataclass(frozen=True, slots=True)
class SendingFlags:
    """
    How requests are sent.

    Args:
        wait_for_reset: Whether to wait for the reset of a limit per day.
        max_in_flight: The most requests unanswered at once; None for what is possible.
        api_key_env: The environment variable with the key.
        timeout: Seconds for one attempt; None for a learned time.
        max_attempts: Attempts for a row.
        max_answer_mb: Megabytes of an answer, decompressed.
        tolerate_failures: Whether rows may fail alike without end.
        transport: The name of the transport.
        loop: The name of the event loop.
        processes: How many processes send.
        fake: Whether to run against a fake server.
        no_memory: Whether nothing is learned from earlier runs, and nothing kept for later ones.
    """

    wait_for_reset: bool
    max_in_flight: int | Literal["auto"] | None
    api_key_env: str
    timeout: float | None
    max_attempts: int
    max_answer_mb: int
    tolerate_failures: bool
    transport: str
    loop: str
    processes: int
    fake: bool
    no_memory: bool
    share: str | None


_SENDING_OPTIONS = (
    option(
        "--share",
        group="Limits",
        type=WHERE,
        metavar="WHERE",
        help="Share the limits with other processes that use the same account: local (of this "
        "user on this machine), local:NAME, or redis://HOST:PORT/DB (on several machines).  "
        "[default: not shared]",
    ),
    option(
        "--wait-for-reset",
        group="Limits",
        is_flag=True,
        help="When a daily limit is used up, wait for its reset instead of stopping.",
    ),
    option(
        "--max-in-flight",
        group="Limits",
        type=COUNT_OR_AUTO,
        metavar="N|auto",
        help="Maximum number of requests in flight; auto finds how many the server handles well.  "
        "[default: what the rate and the latency need]",
    ),
    option(
        "--no-memory",
        group="Limits",
        is_flag=True,
        help="Ignore what earlier runs have learned about this account, and save nothing from "
        "this one.",
    ),
    option(
        "--api-key-env",
        group="Provider",
        default="OPENAI_API_KEY",
        show_default=True,
        metavar="NAME",
        help="The environment variable that holds the API key.",
    ),
    option(
        "--timeout",
        group="Provider",
        type=FiniteRange(min=0, min_open=True),
        metavar="SECONDS",
        help="Seconds for one attempt.  [default: 600, or ten times the slowest of the "
        "first answers, at least 180, and more if the output cap needs it]",
    ),
    option(
        "--max-attempts",
        group="Provider",
        type=click.IntRange(min=1),
        default=6,
        show_default=True,
        help="Maximum attempts for a row that meets server errors, broken connections or timeouts.",
    ),
    option(
        "--max-answer-mb",
        group="Provider",
        type=click.IntRange(min=1),
        default=64,
        show_default=True,
        help="Maximum size of an answer in megabytes, decompressed; a row with a larger one fails.",
    ),
    option(
        "--tolerate-failures",
        group="Provider",
        is_flag=True,
        help="Continue even if many rows one after another fail in the same way, and write each "
        "as failed.  [default: probe with single rows, then stop]",
    ),
    option(
        "--transport",
        group="Provider",
        type=click.Choice([BULK, SDK]),
        default=BULK,
        show_default=True,
        help="How requests are sent: bulk needs a quarter of the processor time of the openai SDK.",
    ),
    option(
        "--loop",
        group="Provider",
        type=click.Choice(LOOPS),
        default=AUTO,
        show_default=True,
        help="Event loop; auto is uvloop if it is installed.",
    ),
    option(
        "--processes",
        group="Provider",
        type=click.IntRange(min=1, max=MOST_PROCESSES),
        default=1,
        show_default=True,
        metavar="N",
        help="Send from N processes, for rates that one core cannot reach; they share the limits "
        "and write the files of one job.",
    ),
    option(
        "--fake",
        group="Provider",
        rivals=("base_url",),
        is_flag=True,
        help=f"Run against a fake server that has these limits, or {FAKE_RPM:,} RPM and "
        f"{FAKE_TPM // 1_000_000}M TPM if none are given; needs no key.",
    ),
)

sending_options = collect(SendingFlags, "sending", _SENDING_OPTIONS)
