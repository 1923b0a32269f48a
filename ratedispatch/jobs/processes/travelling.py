"""
Recreates the client of a program in each process that sends for it.

This is possible only for a client that is known to be plain: only the settings read from it are
sent.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.pool import Pool
from ratedispatch.dispatch.transports.bulk import BulkTransport
from ratedispatch.dispatch.transports.client_settings import ClientSettings
from ratedispatch.dispatch.transports.http_library import http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

_WAY_OUT = "omit processes, or give a plain openai.AsyncOpenAI"


def opening_of(client: Any, connections: int) -> Callable[[], AbstractAsyncContextManager[Any]]:
    """
    Return what opens the like of *client* in another process.

    Args:
        client: An ``openai.AsyncOpenAI``, or a pool of them.
        connections: How many each may open.

    Raises:
        TypeError: It cannot be recreated.
    """
    if isinstance(client, Pool):
        members = [
            (dataclasses.replace(one, client=None), _settings_of(one.client)) for one in client
        ]
        return functools.partial(open_pool, members, connections)
    return functools.partial(open_one, _settings_of(client), connections)


def _settings_of(client: Any) -> dict[str, Any]:
    import openai

    from ratedispatch.dispatch.transports.read_client import settings_of, unsupported_reason

    if not isinstance(client, openai.AsyncOpenAI):
        kind = type(client).__name__
        raise TypeError(f"a {kind} cannot be recreated in several processes; {_WAY_OUT}")
    reason = unsupported_reason(client)
    settings = settings_of(client) if reason is None else None
    if settings is None or settings.ask is not None:
        reason = reason or "its key is a function"
        raise TypeError(
            f"the client cannot be recreated in several processes: {reason}; {_WAY_OUT}"
        )
    values = {one.name: getattr(settings, one.name) for one in dataclasses.fields(settings)}
    return {**values, "root": str(settings.root), "headers": dict(settings.headers)}


@contextlib.asynccontextmanager
async def open_one(settings: dict[str, Any], connections: int) -> AsyncIterator[BulkTransport]:
    """Give a transport with *settings*."""
    known = ClientSettings(**{**settings, "root": http.URL(settings["root"])})
    async with BulkTransport(known, connections=connections) as transport:
        yield transport


@contextlib.asynccontextmanager
async def open_pool(
    members: list[tuple[Any, dict[str, Any]]], connections: int
) -> AsyncIterator[Pool]:
    """Give the pool of *members*, each with the settings of its client."""
    async with contextlib.AsyncExitStack() as stack:
        opened = [
            dataclasses.replace(
                member, client=await stack.enter_async_context(open_one(settings, connections))
            )
            for member, settings in members
        ]
        yield Pool(opened)
