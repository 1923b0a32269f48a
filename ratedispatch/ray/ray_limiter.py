"""
A limit shared by everything on a Ray cluster: a named actor holds its record.

The actor decides by `ratedispatch.pacing.shared.record` alone, on its own clock, and answers one
note after the other. It takes no CPU from Ray's count, and lives on the node that asked for it
first.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ratedispatch.limits import Limits
from ratedispatch.pacing.shared.record import Record, RecordTuning
from ratedispatch.pacing.shared.store import MOST_MEMBERS, StoreGone
from ratedispatch.ray.ray_needed import load_ray
from ratedispatch.ray.ray_store import RayStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.pacing.shared.store import Note, Sheet

#: Where the names of limits are known: in all jobs of the cluster, and to nobody else's actors.
NAMESPACE = "ratedispatch"

#: An actor does not see who lives. Whoever has said nothing for half a minute is counted no
#: longer, and comes back with its next note.
TUNING = RecordTuning(forgotten_seconds=30.0)

#: Seconds of the rate that an actor which was started again begins in debt with: members come back
#: within a second, and those that have not go on by themselves.
ANEW_SECONDS = 0.5

#: Calls that the actor has open at once.
_CALLS = 1000


class LimitKeeper:
    """
    What the actor runs.

    Args:
        tuning: Constants of the record.
        is_anew: Whether there was another one before, whose state is lost; by default what Ray
            says. Nothing may go at once then: it may have gone just before.
    """

    def __init__(self, tuning: RecordTuning = TUNING, *, is_anew: bool | None = None) -> None:
        self._tuning = tuning
        self._is_anew = _was_restarted() if is_anew is None else is_anew
        self._record = Record(epoch=float(secrets.randbits(48)))
        self._numbers: dict[int, int] = {}  # of the last note of each member

    async def exchange(
        self, letters: Sequence[tuple[int, float, Note]], member: int
    ) -> Sheet | StoreGone:
        """
        Take in *letters* of *member*, and return what stands here after the last.

        Each is a note with its number, which counts up, and the epoch that it is meant for; 0 for
        any. One that was taken in before does nothing, unless it is the last.
        """
        *doubtful, (number, _, note) = letters
        for earlier, epoch, told in doubtful:
            if earlier > self._numbers.get(member, -1) and epoch == self._record.epoch:
                self._write(told, member)
        answer = self._write(note, member)
        if not isinstance(answer, StoreGone):
            self._numbers[member] = number
            if note.leaves or len(self._numbers) > 2 * MOST_MEMBERS:
                living = self._record.members
                self._numbers = {key: at for key, at in self._numbers.items() if key in living}
        return answer

    def _write(self, note: Note, member: int) -> Sheet | StoreGone:
        now = asyncio.get_running_loop().time()
        if self._is_anew:
            limits = [
                limit._replace(first=min(0.0, limit.first) - limit.flow * ANEW_SECONDS)
                for limit in note.limits
            ]
            note = note._replace(limits=tuple(limits))
        try:
            return self._record.write(note, member, now, tuning=self._tuning)
        except StoreGone as gone:
            return gone

    async def redeem(self, member: int) -> None:
        """Hear that what *member* held was sent."""
        known = self._record.members.get(member)
        if known is not None:
            known.held.clear()


@dataclass(frozen=True, slots=True)
class Limiter:
    """
    Limits that are shared by name; returned by :func:`~ratedispatch.ray.limiter`.

    It can be sent to tasks and actors.

    Args:
        name: The name of the limits.
        limits: The limits of the account.
        actor: The handle of the actor that keeps them; it lives as long as one of these and as the
            job that made it, unless it is detached.
    """

    name: str
    limits: Limits
    actor: Any

    def store(self, group: str = "") -> RayStore:
        """
        Return the store of one more member; ``share=limiter.store`` of a dispatcher.

        Raises:
            ValueError: It is for a *group* of models, and these are the limits of all.
        """
        if group:
            raise ValueError(
                f"the limits {self.name!r} are for all models and cannot be used for the group "
                f"{group!r}; for groups, give the dispatcher share=lambda group: "
                f"rd.ray.limiter(group, limits).store()"
            )
        name = f" {self.name!r}" if self.name else ""
        return RayStore(self.actor, f"the actor of the limits{name}")


def limiter(name: str, limits: Limits, *, detached: bool = False) -> Limiter:
    """
    Return the limits *name* of this Ray cluster; create them if they do not exist.

    Everything on the cluster that uses the same name spends from the same limits. If several set
    different limits for one name, the lowest of each applies to all.

    Args:
        name: The name of the limits, such as that of the account.
        limits: The limits of the account.
        detached: Whether they outlive the job that made them. Then only
            ``ray.kill(limiter.actor)`` ends them.

    Raises:
        ImportError: Ray is not installed.
        TypeError: *limits* is not a `Limits`.
        ValueError: *name* is empty.
    """
    if not isinstance(limits, Limits):
        raise TypeError(f"expected Limits, got {type(limits).__name__}")
    if not name:
        raise ValueError("the limits need a name, such as the name of the account")
    ray = load_ray()
    options: dict[str, Any] = {"lifetime": "detached"} if detached else {}
    actor_class = ray.remote(**beside_me(ray))(LimitKeeper)
    actor = actor_class.options(
        name=f"limits {name}",
        namespace=NAMESPACE,
        get_if_exists=True,
        max_concurrency=_CALLS,
        **options,
    ).remote()
    return Limiter(name, limits, actor)


def nameless(limits: Limits) -> Limiter:
    """Return limits that only those share to whom this is given."""
    ray = load_ray()
    actor = ray.remote(**beside_me(ray))(LimitKeeper).options(max_concurrency=_CALLS).remote()
    return Limiter("", limits, actor)


def _was_restarted() -> bool:
    """Whether this process runs an actor that was started again."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return False
    context = ray.get_runtime_context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray calls there what it has deprecated itself
        return context.get_actor_id() is not None and context.was_current_actor_reconstructed


def beside_me(ray: Any) -> dict[str, Any]:
    """Return the settings of an actor that takes no CPU, and starts anew if its process dies."""
    if not ray.is_initialized():
        ray.init()
    affinity = load_ray("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy
    here = affinity(node_id=ray.get_runtime_context().get_node_id(), soft=True)
    return {"num_cpus": 0, "max_restarts": -1, "scheduling_strategy": here}
