"""The options of a job: how it reads, writes and resumes, and its caps."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.pool import Pool
from ratedispatch.jobs.inputs.formats import Format
from ratedispatch.jobs.order import Order
from ratedispatch.jobs.outputs.table import OutputFormat
from ratedispatch.jobs.shard import Shard
from ratedispatch.jobs.sink import Fsync
from ratedispatch.jobs.state.origin import origin_of, together
from ratedispatch.jobs.writer import FLUSH_INTERVAL

if TYPE_CHECKING:
    from collections.abc import Collection
    from enum import StrEnum

    from ratedispatch.jobs.inputs.template import Template
    from ratedispatch.jobs.plan.spending import Caps


@dataclass(frozen=True, slots=True)
class JobOptions:
    """
    How a job reads, writes and resumes, and its caps.

    Args:
        template: Makes requests from the rows of a table; None if the input has requests.
        input_format: The format of the input; by default determined by its name.
        retry_failed: Whether failed rows are sent again.
        allow_changed_input: Whether to resume even if the input or the template has changed.
        order: The order in which rows are sent.
        output_format: The format of the output: lines, or a table written at the end; by default
            determined by its name.
        caps: How much one run may send and spend; unlimited by default.
        fsync: When results are safe from a power cut.
        flush_interval: Maximum seconds between two flushes, with `Fsync.INTERVAL`.
        origin: The name of the server that the answers come from; by default the client's base URL.
        endpoint: The endpoint of rows in Batch format without a ``url``; by default determined by
            their bodies.
        allow_other_server: Whether to resume even if the existing answers come from another server.
        max_tokens: Maximum output tokens of rows in Batch format: higher output caps are lowered,
            and missing ones are set. By default each row keeps its own.
        progress: Whether `run_file` shows its progress; by default only in a notebook.
        shard: The shard of the rows that this job processes, such as ``3/16``: number 3 of 16,
            counted from 0. Its files are named after it: ``out.03-of-16.jsonl`` for ``out.jsonl``.
        processes: How many processes send for `run_file`; 1 for this process only. Several need a
            client that can be recreated in each, such as a plain ``openai.AsyncOpenAI``.
        command: The words of the command that runs the job, for ``ratedispatch status``.
        only: The numbers of the lines that this run sends, counted from 1; other rows wait for
            another run. By default all.

    Formats, orders and modes of ``fsync`` may be given by name.

    Raises:
        ValueError: *flush_interval* is not above 0, *processes* or *max_tokens* is below 1, a name
            is unknown, or there is no such shard.
    """

    template: Template | None = None
    input_format: Format | str | None = None
    retry_failed: bool = False
    allow_changed_input: bool = False
    order: Order | str = Order.AUTO
    output_format: OutputFormat | str | None = None
    caps: Caps | None = None
    fsync: Fsync | str = Fsync.INTERVAL
    flush_interval: float = FLUSH_INTERVAL
    origin: str = ""
    allow_other_server: bool = False
    endpoint: str | None = None
    progress: bool | None = None
    shard: Shard | str | None = None
    processes: int = 1
    max_tokens: int | None = None
    command: tuple[str, ...] = ()
    only: Collection[int] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.flush_interval < math.inf:
            raise ValueError(f"flush_interval must be above 0 seconds, not {self.flush_interval}")
        if self.processes < 1:
            raise ValueError(f"processes must be at least 1, not {self.processes}")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, not {self.max_tokens}")
        kinds = {"order": Order, "fsync": Fsync, "input_format": Format}
        for name, kind in (*kinds.items(), ("output_format", OutputFormat)):
            value = getattr(self, name)
            if value is not None:
                # frozen: what is derived once can only be set this way
                object.__setattr__(self, name, _named(name, kind, value))
        if isinstance(self.shard, str):
            object.__setattr__(self, "shard", Shard.parse(self.shard))

    @property
    def part(self) -> Shard | None:
        """The shard that this job processes; None for all rows."""
        assert not isinstance(self.shard, str)
        return self.shard

    def for_client(self, client: Any) -> JobOptions:
        """Return these options with the servers of *client* as origin, unless one is set."""
        if self.origin:
            return self
        clients = [one.client for one in client] if isinstance(client, Pool) else [client]
        names = [origin_of(getattr(one, "base_url", "")) for one in clients]
        return replace(self, origin=together(names))


def _named(option: str, kind: type[StrEnum], value: str) -> StrEnum:
    """Return what *value* names of *kind*."""
    try:
        return kind(value)
    except ValueError:
        names = ", ".join(kind)
        raise ValueError(f"{option} must be one of {names}, not {value!r}") from None
