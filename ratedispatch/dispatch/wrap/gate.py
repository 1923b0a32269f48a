"""
Paces the calls of one account: queues, estimator, and the interpretation of its answers.

Bound to no event loop and no thread: sync clients on many threads and async clients on several
loops may share one gate. Knows no HTTP client: it receives a path and a body, and then a status,
headers and a body.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import itertools
import math
import os
import random
import threading
import weakref
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from ratedispatch import _json
from ratedispatch.dimension import dimension_named
from ratedispatch.dispatch.breaker import CircuitBreaker
from ratedispatch.dispatch.options import SDK_CONNECTIONS, DispatcherOptions, changed
from ratedispatch.dispatch.retry import RetryPolicy
from ratedispatch.dispatch.route import Routes
from ratedispatch.dispatch.routing import RouteFactory
from ratedispatch.dispatch.thread_alarm import ThreadAlarm
from ratedispatch.dispatch.wrap.lost_streams import LostStreams
from ratedispatch.dispatch.wrap.ticket import Ticket
from ratedispatch.errors import InvalidLimits, InvalidRequest, SharingError
from ratedispatch.groups import LimitGroups
from ratedispatch.limits import Limits
from ratedispatch.pacing.feedback import LimitChange
from ratedispatch.providers.registry import provider_for
from ratedispatch.request import Cost, Request, endpoint_like
from ratedispatch.tokens.estimator import Estimator
from ratedispatch.tokens.fields import DEFAULT_OUTPUT_TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ratedispatch.dispatch.route import Route
    from ratedispatch.dispatch.shared_limits import Share
    from ratedispatch.memory.state_folder import Memory
    from ratedispatch.outcome import Usage
    from ratedispatch.pacing.alarm import Alarm
    from ratedispatch.pacing.feedback import Change
    from ratedispatch.pacing.snapshot import Snapshot
    from ratedispatch.providers.charge import ChargePolicy
    from ratedispatch.tokens.counter import Counter

ResultT = TypeVar("ResultT")

#: Refusals after which a call gets the last of them, where nothing else is requested: six minutes
#: of pauses in a row. A person waits for it, who can look after a job of hours.
_MOST_REFUSALS = 30

_PATIENCE = RetryPolicy(max_refusals=_MOST_REFUSALS)

#: Bytes of a body that stand for a token, where it cannot be counted.
_BYTES_PER_TOKEN = 4

#: The cost of a call where nothing limits tokens.
_ONE = Cost(0)

#: Seconds between two answers that are read whole. The buckets are kept by what is sent; what an
#: answer says about them corrects that, and fifty corrections a second are as good as five hundred.
_READING_SECONDS = 0.02

_gates: weakref.WeakSet[Gate] = weakref.WeakSet()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GateOptions:
    """
    How a :class:`Gate` paces.

    Args:
        max_in_flight: Maximum number of calls in flight; by default as many as the rate and the
            latency need, up to *connections*. ``"auto"`` finds the number that gives the most
            throughput.
        connections: How many connections the client may open; by default the size of its pool.
        retry: How many refusals a call tolerates before the caller gets the last one.
        default_output_tokens: Tokens reserved for the output of a call without an output cap, until
            enough answers of its model are known.
        weights: Weights of callers among calls of the same priority, by name; they share the limits
            in tokens. All other callers have weight 1.
        share: Where the limits are shared with other processes, as in
            :class:`~ratedispatch.DispatcherOptions`.
        policy: How the provider charges a request; by default determined by the base URL.
        counter: Counts the requests; by default one shared by the process.
        rng: The source of jitter.
        alarm: Makes the clock and the timer of each queue.
        memory: The folder where what is learned about an account is saved for the next process, or
            True for the user's state folder. By default nothing is saved.
    """

    max_in_flight: int | Literal["auto"] | None = None
    connections: int | None = None
    retry: RetryPolicy = _PATIENCE
    default_output_tokens: int = DEFAULT_OUTPUT_TOKENS
    weights: Mapping[str, float] | None = None
    share: Share | None = dataclasses.field(default=None, repr=False)  # may hold a password
    policy: ChargePolicy | None = None
    counter: Counter | None = None
    rng: random.Random | None = None
    alarm: Callable[[], Alarm] = ThreadAlarm
    memory: Memory | bool | str | os.PathLike[str] = False

    def __post_init__(self) -> None:
        self.for_routes()  # checks the values

    def for_routes(self) -> DispatcherOptions:
        """Return the options of the routes."""
        return DispatcherOptions(
            max_in_flight=self.max_in_flight,
            connections=SDK_CONNECTIONS if self.connections is None else self.connections,
            default_output_tokens=self.default_output_tokens,
            policy=self.policy,
            weights=self.weights,
            share=self.share,
            memory=self.memory,
        )


@dataclasses.dataclass(slots=True)
class _Habits:
    """
    What is left out on one route.

    Args:
        counts: Whether tokens are counted: where none of its limits is on them, nothing needs it.
        thins: Whether some answers are read only as far as they are answers: not while a limit
            is learned from them.
        due_at: From which instant on the next one is to be read whole.
    """

    counts: bool
    thins: bool
    due_at: float = -math.inf


class Gate:
    """
    Paces the calls of one account, in all threads and event loops of a process.

    Pass one gate instead of limits to several calls of `wrap` or `http_client` to let them share
    it. After a fork, the child has its own copy: parent and child may each spend the whole limit,
    unless the limits are shared.

    Args:
        limits: The limits of the account or of groups of models.
        base_url: The base URL of the client; determines the provider.
        digest: Identifies the key where what is learned is saved.
        options: How to pace.
        changes: Fields of :class:`GateOptions` by name, instead of *options* or in addition to
            them.

    Raises:
        TypeError: *limits* are not limits, or there is no such option.
        ValueError: An option is out of range.
    """

    def __init__(
        self,
        limits: Limits | LimitGroups,
        *,
        base_url: str | None = None,
        digest: bytes | None = None,
        options: GateOptions | None = None,
        **changes: Any,
    ) -> None:
        if not isinstance(limits, Limits | LimitGroups):
            raise TypeError(f"expected Limits or LimitGroups, got {type(limits).__name__}")
        self.limits = limits
        self.options = changed(options or GateOptions(), changes)
        self.provider = provider_for(base_url)
        self._account = base_url, digest or b""
        self._keeper: weakref.finalize[..., Gate] | None = None
        self._start()
        _gates.add(self)

    def _start(self) -> None:
        """Begin with full buckets and empty queues."""
        limits, options = self.limits, self.options
        self.rng = options.rng or random.Random()
        self._lock = threading.Lock()
        self._habits: dict[Route, _Habits] = {}
        self._ranks = itertools.count()
        self.estimator = Estimator(
            options.policy or self.provider.charge,
            counter=options.counter,
            default_output_tokens=options.default_output_tokens,
            in_thread=in_thread,
        )
        factory = RouteFactory(
            None,
            self.provider,
            limits,
            options.for_routes(),
            rng=self.rng,
            alarm=options.alarm,
            account=self._account,
        )
        self._recollection = memory = factory.recollection
        memory.share(self.estimator.calibration)
        if self._keeper is not None:  # what the parent of a fork has learned, it keeps itself
            self._keeper.detach()
        self._keeper = weakref.finalize(self, memory.keep) if memory.is_on else None
        self._routes = Routes(
            lambda name: factory.make(name, CircuitBreaker(), None),
            limits.group_of if isinstance(limits, LimitGroups) else None,
            factory.possible,
        )
        routes = self._routes  # not the gate itself, which is forgotten when nobody uses it
        self.streams = LostStreams(lambda: [route.admission for route in list(routes)])
        routes.start()

    def ticket(self, path: bytes, body: bytes) -> Ticket | None:
        """
        Return the ticket of a call; None if nothing limits it.

        Args:
            path: Of the URL; what it ends like is what counts.
            body: As it is sent.

        Raises:
            InvalidLimits: Its model belongs to no group, and there are no limits for others.
        """
        endpoint = _endpoint_of(path)
        if endpoint is None:
            return None
        try:
            fields = _json.loads(body)
        except (ValueError, RecursionError):
            return None
        if not isinstance(fields, dict):
            return None
        request = Request(fields, endpoint, was_read=True)
        return Ticket(self, self._route_of(request.model), request, len(body), next(self._ranks))

    def snapshot(self) -> Snapshot:
        """Return the state of the queue, or of all queues together, and their buckets."""
        with self._lock:  # no route is added meanwhile
            return self._routes.snapshot()

    async def cost_of(self, ticket: Ticket) -> Cost:
        """Return what the call of *ticket* costs; counts long texts in a thread."""
        if not self._habits_of(ticket.route).counts:
            return _ONE
        try:
            cost = self.estimator.estimate_now(ticket.request)
            if cost is None:
                cost = await self.estimator.estimate(ticket.request)
        except (InvalidRequest, Warning):  # a warning may be made an error
            return self._guess(ticket)
        return cost

    def cost_here(self, ticket: Ticket) -> Cost:
        """Return what the call of *ticket* costs."""
        if not self._habits_of(ticket.route).counts:
            return _ONE
        try:
            return self.estimator.estimate_here(ticket.request)
        except (InvalidRequest, Warning):
            return self._guess(ticket)

    def learn(self, ticket: Ticket, usage: Usage | None, changes: Sequence[Change]) -> None:
        """Learn the *usage* and *changes* that the answer to the call of *ticket* reported."""
        cost = ticket.cost
        if usage is not None and cost is not None and cost.counted_tokens:
            with self._lock:  # what it learns with goes over all samples
                self.estimator.learn(ticket.request, cost, usage)
        for change in changes:
            if isinstance(change, LimitChange):
                ticket.route.learn(change.rate)
        if self._keeper is not None:
            self._recollection.keep_if_due(ticket.route.admission.alarm.time())

    def is_due(self, route: Route) -> bool:
        """Whether the next answer on *route* is to be read whole: its headers, and its length."""
        habits = self._habits_of(route)
        if not habits.thins:
            return True
        now = route.admission.alarm.time()
        if now < habits.due_at:
            return False
        habits.due_at = now + _READING_SECONDS
        return True

    def _habits_of(self, route: Route) -> _Habits:
        habits = self._habits.get(route)
        if habits is None:
            rates = route.limits.rates()
            dimensions = [dimension_named(rate.dimension) for rate in rates]
            habits = self._habits[route] = _Habits(
                any(dimension.of_usage is not None for dimension in dimensions),
                not any(rate.is_auto for rate in rates),
            )
        return habits

    def _guess(self, ticket: Ticket) -> Cost:
        """What a request costs that cannot be counted; it is for the server to refuse it."""
        tokens = ticket.size // _BYTES_PER_TOKEN
        return Cost(tokens, self.options.default_output_tokens, is_capped=False)

    def _route_of(self, model: str) -> Route:
        only = self._routes.only
        if only is not None:
            return only
        with self._lock:
            try:
                return self._routes.of(model)
            except InvalidLimits as error:
                item = f"the model {model[:100]!r}" if model else "a call without a model"
                raise InvalidLimits(
                    f"{item} is in no group of limits: {error}; name it in a group, or give "
                    f"default limits"
                ) from None


@functools.lru_cache(maxsize=4096)
def _endpoint_of(path: bytes) -> str | None:
    return endpoint_like(path.decode("ascii", "replace"))


async def in_thread(function: Callable[[Request], ResultT], request: Request, /) -> ResultT:
    """Call *function* in a thread, in whichever event loop this is."""
    if asyncio._get_running_loop() is not None:
        return await asyncio.to_thread(function, request)
    import trio

    result: ResultT = await trio.to_thread.run_sync(function, request)
    return result


def _renew() -> None:
    """After a fork: locks may be held by threads that stayed in the parent."""
    for gate in list(_gates):
        with contextlib.suppress(SharingError):  # its first call tries again, and tells
            gate._start()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
