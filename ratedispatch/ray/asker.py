"""
Asks for the rows of batches: what an actor of a Ray dataset runs.

Ray calls it from several threads at once, each with a batch of another task; one dispatcher in a
loop of its own sends for all of them. It is no asynchronous callable of Ray: the loop of those
stands still while Ray takes out what is ready, and knows no task that it could name.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import os
import re
import threading
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.dispatcher import Dispatcher
from ratedispatch.dispatch.loop_thread import LoopThread
from ratedispatch.dispatch.options import DispatcherOptions
from ratedispatch.errors import InvalidRequest, JobError, UnusableAnswer
from ratedispatch.outcome import Failed
from ratedispatch.ray.ray_answers import Task, digest_of, digest_of_batch
from ratedispatch.ray.ray_columns import Cell, check_names, rows_of, with_cells
from ratedispatch.ray.ray_needed import load_ray
from ratedispatch.request import Request, checked_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ratedispatch.jobs.inputs.template import Template
    from ratedispatch.outcome import Outcome
    from ratedispatch.ray.ray_limiter import Limiter
    from ratedispatch.ray.ray_options import MapOptions

#: Seconds within which the actor that remembers answers has to say what it knows of a batch.
_MEMORY_SECONDS = 10.0

#: Names of variables as they are usual. Few keys look like that.
_VARIABLE = re.compile("[A-Z_][A-Z0-9_]{0,60}")

_LOG = logging.getLogger("ratedispatch.ray")


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """
    What every actor of a dataset is told.

    Args:
        template: Makes the requests of rows; None if *request* does.
        request: The same, called with a row.
        limiter: What all actors together may spend.
        options: How to ask.
        memory: The handle of an `AnswerMemory`.
    """

    template: Template | None
    request: Callable[[Mapping[str, Any]], Request] | None
    limiter: Limiter
    options: MapOptions
    memory: Any

    def requests_for(self, table: Any) -> list[Request | Cell]:
        """
        Return the request of each row of *table*, or what happened to it if there can be none.

        Raises:
            JobError: A column is missing, or a name of a new one is taken.
        """
        check_names(table.column_names, self.options.prefix)
        template = self.template
        if template is not None:
            template.check(table.column_names)
        rows = rows_of(table, None if template is None else template.columns)
        return [self._request_for(row, number) for number, row in enumerate(rows, 1)]

    def _request_for(self, row: Mapping[str, Any], number: int) -> Request | Cell:
        try:
            if self.template is not None:
                return Request(self.template.request(row, number)["body"])
            assert self.request is not None
            # a copy: one request may be handed out for many rows
            return dataclasses.replace(checked_request(self.request(row)))
        except InvalidRequest as error:
            return Cell(None, error_code="invalid_request", error=str(error))


class Asker:
    """
    Adds the columns of answers to batches.

    Args:
        work: What to do.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._sender: _Sender | None = None
        ray = load_ray()
        data = load_ray("ray.data")
        self._context = ray.get_runtime_context()
        self._get = ray.get
        # the one value by which a second execution of a dataset is told from the first
        current = data.DataContext.get_current()
        self._execution = str(getattr(current, "dataset_logger_id", None))

    def __call__(self, table: Any) -> Iterator[Any]:
        """
        Yield *table* with the columns of its answers.

        Raises:
            Stopped: Nothing more can be sent, for every row.
            JobError: The columns or the environment of this actor are not what they have to be.
        """
        requests = self._work.requests_for(table)
        cells: list[Cell | None] = [one if isinstance(one, Cell) else None for one in requests]
        if None in cells:
            self._answer(requests, cells)
        yield with_cells(table, [cell for cell in cells if cell], self._work.options.prefix)

    def __del__(self) -> None:
        """Close the connections and leave the limits: Ray lets go of this when its actor ends."""
        sender = getattr(self, "_sender", None)
        if sender is not None:
            sender.close()

    def _answer(self, requests: Sequence[Request | Cell], cells: list[Cell | None]) -> None:
        """Put what happens to *requests* into *cells*."""
        digests = [digest_of(one) if isinstance(one, Request) else None for one in requests]
        task = Task(self._execution, self._context.get_task_id() or "", digest_of_batch(digests))
        for row, cell in enumerate(self._remembered(task, digests)):
            cells[row] = cell or cells[row]
        rows = {
            id(request): row
            for row, request in enumerate(requests)
            if isinstance(request, Request) and cells[row] is None
        }
        if not rows:
            return
        sender = self._open()

        def ended(outcome: Outcome) -> None:
            row = rows[id(outcome.request)]
            cells[row] = cell = cell_of(outcome, whole=self._work.options.whole)
            digest = digests[row]
            if digest is not None and cell.error_code is None:
                sender.keep((task, row, digest, cell))

        sender.send([one for one in requests if id(one) in rows], ended)  # type: ignore[misc]

    def _remembered(self, task: Task, digests: Sequence[bytes | None]) -> Sequence[Cell | None]:
        try:
            known = self._get(
                self._work.memory.fetch.remote(task, digests), timeout=_MEMORY_SECONDS
            )
        except Exception as error:  # it is gone, which is no reason to fail
            _LOG.warning(
                "the memory of answers cannot be reached (%s): answered rows may be sent again",
                type(error).__name__,
            )
            return ()
        return known  # type: ignore[no-any-return]

    def _open(self) -> _Sender:
        with self._lock:
            if self._sender is None:
                self._sender = _Sender(self._work)
            return self._sender


class _Sender:
    """
    A dispatcher in a separate loop, and what it has to be remembered.

    Args:
        work: What to do.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        client = _client(work.options)
        self._thread = LoopThread("ratedispatch")
        self._client = client
        limiter = work.limiter
        sending = dataclasses.replace(_sending(work.options), share=limiter.store)
        self._dispatcher = self._thread.call(
            lambda: Dispatcher(client, limiter.limits, options=sending)
        )
        self._to_keep: list[tuple[Task, int, bytes, Cell]] = []

    def send(self, requests: list[Request], ended: Callable[[Outcome], None]) -> None:
        """Send *requests*, and call *ended* in the loop with each outcome."""

        async def sending() -> None:
            async for outcome in self._dispatcher.map(requests, progress=False):
                ended(outcome)

        self._thread.run(sending())

    def close(self) -> None:
        """Send nothing more, leave the limits, and close the connections."""
        if (
            self._thread.is_here
        ):  # the loop lets go of the last reference, and ends with its process
            return

        def stop() -> None:
            self._dispatcher.stop("closed", "the actor has ended")
            self._dispatcher.abandon()

        async def leave() -> None:
            await self._dispatcher.__aexit__(None, None, None)
            await self._client.close()

        with contextlib.suppress(Exception):  # the process ends, whatever happens to this
            self._thread.close(stop, leave)

    def keep(self, cell: tuple[Task, int, bytes, Cell]) -> None:
        """Have an answer remembered, with those of the same turn of the loop; in the loop."""
        if not self._to_keep:
            asyncio.get_running_loop().call_soon(self._tell)
        self._to_keep.append(cell)

    def _tell(self) -> None:
        cells, self._to_keep = self._to_keep, []
        # nobody waits for the reply: answers that wait for a slow one would be lost with this
        # process, and one that is lost there is paid twice in the worst case
        self._work.memory.keep.remote(cells)


def cell_of(outcome: Outcome, *, whole: bool) -> Cell:
    """Return what the columns say of *outcome*; the JSON of the answer if *whole*."""
    if isinstance(outcome, Failed):
        return Cell(None, error_code=outcome.code, error=outcome.message or outcome.code)
    try:
        answer = None if whole else outcome.text
    except UnusableAnswer:  # of a kind that has no text, such as an embedding
        answer = None
    if answer is None:
        answer = json.dumps(outcome.body, ensure_ascii=False)
    usage = outcome.usage
    if usage is None:
        return Cell(answer)
    return Cell(answer, usage.prompt_tokens, usage.output_tokens)


def _sending(options: MapOptions) -> DispatcherOptions:
    sending = options.sending or DispatcherOptions()
    if options.max_in_flight is None:
        return sending
    return dataclasses.replace(sending, max_in_flight=options.max_in_flight)


def _client(options: MapOptions) -> Any:
    """
    Return what sends.

    Raises:
        JobError: There is no key where this runs.
    """
    from ratedispatch.dispatch.transports.bulk import plain_bulk
    from ratedispatch.dispatch.transports.sdk import make_client

    key, connections = _key_in(options.api_key_env), _sending(options).connections
    client = plain_bulk(options.base_url, key, connections, os.environ)
    if client is not None:
        return client
    return make_client(base_url=options.base_url, api_key=key, max_connections=connections)


def _key_in(variable: str) -> str:
    key = os.environ.get(variable, "").strip()
    if not key:
        # it may be the key itself, which must not be shown
        name = variable if _VARIABLE.fullmatch(variable) else "given as api_key_env"
        raise JobError(
            f"no API key: the environment variable {name} is not set where this actor runs; set "
            f"it before Ray is started on each node, or in the env_vars of a runtime_env"
        )
    return key
