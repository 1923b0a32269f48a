"""
A job in this process, with the instant at which every row left.

``ratedispatch run`` says nothing about single rows, so this runs the same job through the
library, with the same client, and listens. A row's instant is that of its last attempt, from the
first attempt of all; the way over the loopback, about a millisecond, is left out of both.

Run as a child:
``python -m benchmarks.live.parts.traced_job IN OUT --base-url URL --rpm N --tpm N``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ratedispatch as rd
from ratedispatch.dispatch.options import DispatcherOptions
from ratedispatch.dispatch.transports.sdk import make_client
from ratedispatch.limits import BURST_SECONDS
from ratedispatch.pacing.concurrency.slots import most_in_flight, open_descriptors

if TYPE_CHECKING:
    from ratedispatch.events import Event


class Watch:
    """
    A listener that notes when each row was sent last.

    Attributes:
        sent: Loop time in seconds, by ``custom_id``.
    """

    def __init__(self) -> None:
        self.sent: dict[str, float] = {}
        self._first: float | None = None

    def __call__(self, event: Event) -> None:
        """Take in *event*."""
        if not isinstance(event, rd.AttemptSent):
            return
        if self._first is None:
            self._first = event.at
        if event.request.custom_id is not None:
            self.sent[event.request.custom_id] = event.at - self._first


async def watch(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run the job and return its report and the instants."""
    limits = rd.Limits(arguments.rpm, arguments.tpm, arguments.burst_seconds)
    connections = min(10_000, most_in_flight(open_descriptors(raise_limit=True)))
    listener = Watch()
    async with make_client(
        base_url=arguments.base_url, api_key="fake", max_connections=connections
    ) as client:
        report = await rd.run_file(
            arguments.input,
            arguments.output,
            client=client,
            limits=limits,
            listeners=[listener],
            dispatcher_options=DispatcherOptions(connections=connections),
        )
    return {"report": report.as_dict(), "sent": listener.sent}


def main() -> None:
    """Run the job and print what was seen as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--rpm", type=int, required=True)
    parser.add_argument("--tpm", type=int, required=True)
    parser.add_argument("--burst-seconds", type=float, default=BURST_SECONDS)
    print(json.dumps(asyncio.run(watch(parser.parse_args()))))


if __name__ == "__main__":
    main()
