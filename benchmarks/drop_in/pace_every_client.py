"""
A plugin of pytest that paces every client which a test makes.

Run as a child of `benchmarks.drop_in.suite`, in the environment of openai's tests. The limits are
far above what the tests send: what is tried is whether a paced client is the same client.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import openai._base_client as base

import ratedispatch as rd
from benchmarks.drop_in.suite import COUNTS
from ratedispatch.dispatch.wrap.ticket import Ticket

#: A request waits for nothing under these.
_LIMITS = rd.Limits(requests_per_minute=1e9, tokens_per_minute=1e12)


def _pace(kind: type[Any], make: Any) -> None:
    """Let every client of *kind* send through what *make* makes of its HTTP client."""
    begin = kind.__init__

    def begin_paced(client: Any, *arguments: Any, **settings: Any) -> None:
        begin(client, *arguments, **settings)
        given = client._client
        if hasattr(type(given), "_ratedispatch_pacing"):
            return
        paced = type(make(_LIMITS, client=given))
        del paced.__del__  # nobody else closes the pool here
        # that very object, and not one beside it: some tests look whether it is still the same
        given.__class__ = paced

    kind.__init__ = begin_paced


_pace(base.SyncAPIClient, rd.http_client)
_pace(base.AsyncAPIClient, rd.async_http_client)

_closed = 0


def _counted(method: Any) -> Any:
    """Return *method* of a ticket, which closes its permit, with its calls counted."""

    def counted(ticket: Ticket, *arguments: Any, **settings: Any) -> Any:
        global _closed  # noqa: PLW0603 - of this child's own
        _closed += ticket._permit is not None
        return method(ticket, *arguments, **settings)

    return counted


for _name in ("_taken", "settle", "broken"):
    setattr(Ticket, _name, _counted(getattr(Ticket, _name)))


def pytest_sessionfinish() -> None:
    """Write down how many calls of this process were paced."""
    (Path(os.environ[COUNTS]) / f"{os.getpid()}.count").write_text(str(_closed), "utf-8")
