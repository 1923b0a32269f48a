"""
The options of `map`, as one value.

Checks the values before anything is started.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ratedispatch.dispatch.options import DispatcherOptions

#: Rows of a task: what is asked anew, from what is remembered, when an actor dies, and what goes
#: on to the next step at once.
BATCH_ROWS = 64

#: Tasks that an actor has open at once: the slowest rows of one are waited for while those of the
#: others are sent.
OPEN_BATCHES = 16

#: CPUs that Ray sets aside for an actor, which waits most of the time.
ACTOR_CPUS = 0.25

#: Bytes of answers that are remembered for rows that Ray asks for again.
REMEMBERED_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class MapOptions:
    """
    How :func:`~ratedispatch.ray.map` sends.

    Args:
        model: The model, for a template given as text.
        system: The system message of such a template, with column names in braces.
        max_tokens: Maximum output tokens, for such a template.
        base_url: The server; by default ``OPENAI_BASE_URL`` where the actors run, or OpenAI.
        api_key_env: The environment variable that holds the API key where the actors run.
        actors: How many processes send.
        max_in_flight: Maximum number of requests in flight for each actor; see
            :class:`~ratedispatch.DispatcherOptions`.
        prefix: The prefix of the names of new columns.
        whole: Whether the answer column holds the JSON of the whole answer instead of its text.
        batch_rows: Rows per task.
        open_batches: How many tasks an actor has open at once.
        num_cpus: How many CPUs Ray reserves for an actor.
        remembered_bytes: Bytes of answers that are remembered for rows that Ray sends again.
        sending: All other options of the dispatcher of each actor.

    Raises:
        TypeError: There is no option of that name.
        ValueError: A value is out of range.
    """

    model: str | None = None
    system: str | None = None
    max_tokens: int | None = None
    base_url: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    actors: int = 1
    max_in_flight: int | Literal["auto"] | None = None
    prefix: str = ""
    whole: bool = False
    batch_rows: int = BATCH_ROWS
    open_batches: int = OPEN_BATCHES
    num_cpus: float = ACTOR_CPUS
    remembered_bytes: int = REMEMBERED_BYTES
    sending: DispatcherOptions | None = None

    def __post_init__(self) -> None:
        for name in ("actors", "batch_rows", "open_batches"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
        for name in ("num_cpus", "remembered_bytes"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, not {getattr(self, name)!r}")
