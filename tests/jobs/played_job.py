"""A job on files in a folder, run against a provider in virtual time."""

from __future__ import annotations

import dataclasses
import json
import random
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.options import DispatcherOptions
from ratedispatch.dispatch.retry import RetryPolicy
from ratedispatch.events import RequestEnded
from ratedispatch.jobs.job import Job
from ratedispatch.jobs.job_options import JobOptions
from ratedispatch.jobs.state.paths import JobFiles
from ratedispatch.limits import Limits
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProviderTransport
from tests.jobs.job_files import row, text_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ratedispatch.events import Event
    from ratedispatch.jobs.plan.spending import Caps
    from ratedispatch.observe.report import Report
    from ratedispatch.outcome import Response
    from ratedispatch.request import Request

FAST = Limits(requests_per_minute=60_000, tokens_per_minute=10_000_000)
SLOW = ProviderSettings(output_tokens=4, latency=0.5, latency_sigma=0.0)
ROWS = [row(f"r{number}") for number in range(1, 11)]

#: Each row is sent once, whatever becomes of the others.
ONCE: dict[str, Any] = {"retry": RetryPolicy(max_attempts=1), "tolerate_failures": True}


def files_in(folder: Path) -> JobFiles:
    return JobFiles(folder / "in.jsonl", folder / "out.jsonl", folder / "bad.jsonl")


def play(
    folder: Path,
    *,
    rows: list[dict[str, Any]] | None = None,
    job_options: JobOptions | None = None,
    limits: Limits = FAST,
    provider: ProviderSettings = SLOW,
    listen: Callable[[Job, Event], None] | None = None,
    send: Callable[[Request], Response | None] | None = None,
    caps: Caps | None = None,
    **options: Any,
) -> Report:
    """Run the job in *folder*; *send* answers in place of the provider if it returns anything."""
    if rows is not None:
        (folder / "in.jsonl").write_bytes(text_of(*rows))
    job_options = dataclasses.replace(job_options or JobOptions(), caps=caps)
    job = Job(files_in(folder), limits, job_options)

    class Edited(ProviderTransport):
        async def send(self, request: Request, timeout: float) -> Response:
            response = None if send is None else send(request)
            return await super().send(request, timeout) if response is None else response

    async def main() -> Report:
        heard = [] if listen is None else [lambda event: listen(job, event)]
        transport = Edited(provider, random.Random(1))
        values = {"max_in_flight": 2, "rng": random.Random(1), "cpu_clock": float, **options}
        return await job.run(
            transport, listeners=heard, dispatcher_options=DispatcherOptions(**values)
        )

    return run_virtual(main())


def at_end(count: int, action: Callable[[Job], None]) -> Callable[[Job, Event], None]:
    """Return a listener that does *action* once, when so many rows have ended."""
    ends = 0

    def listen(job: Job, event: Event) -> None:
        nonlocal ends
        if isinstance(event, RequestEnded):
            ends += 1
            if ends == count:
                action(job)

    return listen


def names(path: Path) -> list[str]:
    """Return the custom_ids in a result file; each of its lines is whole."""
    text = path.read_bytes()
    assert text.endswith(b"\n") or not text
    return [json.loads(line)["custom_id"] for line in text.splitlines()]


ALL = sorted(value["custom_id"] for value in ROWS)
