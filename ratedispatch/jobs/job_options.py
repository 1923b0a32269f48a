"""How a job reads, writes and resumes, and the most that one run may spend."""

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

    from ratedispatch.jobs.inputs.template import Template
    from ratedispatch.jobs.plan.spending import Caps


@dataclass(frozen=True, slots=True)
class JobOptions:
    """
    How a job reads, writes and resumes, and the most that one run may spend.

    Args:
        template: Makes requests of the rows of a table; None if the input has requests.
        input_format: How the input is written; by default what its name says.
        retry_failed: Whether rows that failed are sent once more.
        allow_changed_input: Whether to go on although the input or the template has changed.
        order: In which order rows are sent.
        output_format: How answers are handed over, lines or a table made at the end; by default
            what the name of the output says.
        caps: The most that one run may send and spend; without a bound by default.
        fsync: When what was written has to survive a power cut.
        flush_interval: Seconds after which it has to, at the latest, with `Fsync.INTERVAL`.
        origin: The name of the server that answers come from; by default the client's base URL.
        endpoint: Where rows in Batch format go that have no ``url``; by default what their bodies
            tell.
        allow_other_server: Whether to go on although there are answers of another server.
        max_tokens: The most tokens of an output, of rows in Batch format: lowers the cap of each
            row that is higher, and gives one to each that has none. By default what each says.
        progress: Whether `run_file` shows how far it is; by default in a notebook only.
        shard: The part of the rows that this job has, as ``3/16``: the one of 16 that is number 3,
            counted from 0. Its files are named after it: ``out.03-of-16.jsonl`` for ``out.jsonl``.
        processes: How many processes send for `run_file`; 1 for this one. Others need a client
            that can be made anew there, as a plain ``openai.AsyncOpenAI`` can.
        command: The words of the command that runs the job, which ``ratedispatch status`` shows.
        only: The numbers of the lines that this run sends, counted from 1; the other rows wait for
            another run. By default all.

    Formats, orders and ways of syncing may be given by their names.

    Raises:
        ValueError: *flush_interval* is not above 0, *processes* or *max_tokens* is below 1, a name
            is not one of those there are, or there is no such shard.
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
                object.__setattr__(self, name, kind(value))

        if isinstance(self.shard, str):
            object.__setattr__(self, "shard", Shard.parse(self.shard))

    @property
    def part(self) -> Shard | None:
        """The part of the rows that this job has; None for all."""
        assert not isinstance(self.shard, str)
        return self.shard

    def for_client(self, client: Any) -> JobOptions:
        """Return these options with the servers of *client* as origin, unless they have one."""
        if self.origin:
            return self
        clients = [one.client for one in client] if isinstance(client, Pool) else [client]
        names = [origin_of(getattr(one, "base_url", "")) for one in clients]
        return replace(self, origin=together(names))
