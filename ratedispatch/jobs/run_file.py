"""Runs a job from a program: one call for a whole file."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.listeners import hearing
from ratedispatch.dispatch.options import DispatcherOptions
from ratedispatch.jobs.inputs.streams import STDIN
from ratedispatch.jobs.job import Job, open_and_run
from ratedispatch.jobs.job_options import JobOptions
from ratedispatch.jobs.journaling import limits_beside
from ratedispatch.jobs.outputs.table import output_format_of
from ratedispatch.jobs.state.paths import files_of

if TYPE_CHECKING:
    import os
    from collections.abc import Coroutine, Iterator, Sequence

    from ratedispatch.dispatch.pool import Pool
    from ratedispatch.dispatch.transports import Client
    from ratedispatch.events import Listener
    from ratedispatch.groups import LimitGroups
    from ratedispatch.jobs.processes.crew import Crew
    from ratedispatch.limits import Limits
    from ratedispatch.observe.report import Report


def run_file(
    input: str | os.PathLike[str],  # noqa: A002  (the word a user expects)
    output: str | os.PathLike[str],
    *,
    client: Client | Pool,
    limits: Limits | LimitGroups | None = None,
    errors_path: str | os.PathLike[str] | None = None,
    listeners: Sequence[Listener] = (),
    job_options: JobOptions | None = None,
    dispatcher_options: DispatcherOptions | None = None,
) -> Coroutine[Any, Any, Report]:
    """
    Send every row of a file, write one line for each, and return the report.

    Calling it again with the same arguments resumes the job.

    Args:
        input: A JSONL file in OpenAI's Batch format, plain or compressed (``.gz``, ``.zst``), or a
            table with the template in *job_options*; ``-`` for standard input.
        output: The file for the answers, in Batch output format and in order of arrival; or the
            table that is made from them at the end.
        client: An ``openai.AsyncOpenAI``, any transport, or a pool of them.
        limits: The limits of the account or of groups of models; None for a pool.
        errors_path: The file for failed rows; by default ``out.errors.jsonl`` for ``out.jsonl``.
        listeners: Called with every event. A listener with a ``flush`` method, such as an
            :class:`~ratedispatch.observe.eventlog.EventLog`, is flushed as often as the answers.
        job_options: How the job reads, writes and resumes, its caps, and whether its progress is
            shown.
        dispatcher_options: How it sends.

    Raises:
        JobError: A file is missing or already exists; nothing was changed.
        TypeError: Limits are given together with a pool, or are missing without one; or several
            processes should send, and the client cannot be recreated in each; or a listener
            cannot be called, or would have to be awaited.
    """
    limits = limits_beside(client, limits)
    listeners = hearing(listeners)
    out = Path(output)
    job_options = (job_options or JobOptions()).for_client(client)
    files = files_of(
        STDIN if input == STDIN else Path(input),
        out,
        None if errors_path is None else Path(errors_path),
        output_format_of(out, job_options.output_format),
        job_options.part,
    )
    crew = _crew_for(client, job_options.processes, dispatcher_options)
    # not awaited here: each row would come through this module again
    return open_and_run(
        functools.partial(Job, files, limits, job_options),
        client,
        listeners,
        dispatcher_options,
        job_options.progress,
        crew,
    )


@contextlib.contextmanager
def _crew_for(
    client: Client | Pool, processes: int, options: DispatcherOptions | None
) -> Iterator[Crew | None]:
    """Give the processes that send, which have begun to start; None if this one sends itself."""
    if processes == 1:
        yield None
        return
    from ratedispatch.jobs.processes.crew import Crew  # most jobs have none
    from ratedispatch.jobs.processes.travelling import opening_of

    opening = opening_of(client, (options or DispatcherOptions()).connections)
    crew = Crew(processes)
    crew.opening = opening
    try:
        yield crew
    finally:
        crew.close()
