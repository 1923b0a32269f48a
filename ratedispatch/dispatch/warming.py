"""Prepares for the first requests, so that they need not wait."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ratedispatch.request import Request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.dispatch.route import Routes
    from ratedispatch.tokens.estimator import Estimator


async def warm_up(
    transports: Sequence[Any],
    estimator: Estimator,
    routes: Routes,
    models: Sequence[str],
    connections: int,
) -> None:
    """
    Load what counting requests of *models* needs, and open *connections*; as `Dispatcher.warm_up`.

    Raises:
        ValueError: *connections* is negative.
        InvalidLimits: A model belongs to no group, and there are no limits for others.
    """
    if connections < 0:
        raise ValueError(f"connections must not be negative, not {connections}")
    for model in models:
        routes.of(model)
    tasks = [estimator.meet(Request({"model": model})) for model in models]
    for transport in transports:
        opening = getattr(transport, "warm_up", None)
        if opening is not None and connections:
            tasks.append(opening(connections))
    await asyncio.gather(*tasks)
