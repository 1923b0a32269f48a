"""Prepares the client of ``run``: the API key, the base URL and the connections."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import click

from ratedispatch.cli.console import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from urllib.parse import SplitResult

#: The transports.
BULK = "bulk"
SDK = "sdk"

#: Usual names of environment variables. Few keys look like that.
_VARIABLE = re.compile("[A-Z_][A-Z0-9_]{0,60}")

#: Where requests go without a base URL.
DEFAULT_URL = "https://api.openai.com/v1"

#: Connections in the pool when no number is given: it is only a bound, and is never filled by
#: more than is in flight.
_MOST_CONNECTIONS = 10_000


#: Files that a job opens besides its connections: its own, the event loop's, and those of
#: libraries.
_LEAST_DESCRIPTORS = 32


def key_in(variable: str) -> str:
    """Return the API key in the environment *variable*; a missing or malformed key is an error."""
    key = os.environ.get(variable, "").strip()
    if not key:
        if not _VARIABLE.fullmatch(variable):  # it may be the key itself, which must not be shown
            raise click.UsageError(
                "--api-key-env takes the name of an environment variable that is set, such as "
                "OPENAI_API_KEY; the value given is not such a name (it is not shown, because it "
                "may be a key)"
            )
        raise click.UsageError(
            f"no API key: set the environment variable {variable}, name another one with "
            f"--api-key-env, or use --fake to try without a key"
        )
    if not key.isascii() or not key.isprintable():
        raise click.UsageError(
            f"the API key in {variable} contains a character that no key has (a line break, or a "
            f"dash or quotation mark from a word processor?); set it again"
        )
    return key


def checked_url(url: str | None) -> str | None:
    """Return *url* without white space around it; raise a usage error if it is not a URL."""
    if url is None:
        return None
    url = url.strip()
    if not url:
        raise click.UsageError(
            "--base-url is empty (is a shell variable unset?); give a URL, or omit the flag to "
            "use https://api.openai.com/v1"
        )
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        is_url = is_url and not any(sign.isspace() or not sign.isprintable() for sign in url)
        has_secret = parts.username is not None or parts.password is not None
    except ValueError:  # an open bracket, or a port that is not a number
        is_url = has_secret = False
    if has_secret:
        raise click.UsageError(
            "--base-url contains a user name or a password, which cannot be combined with an API "
            "key; remove them, and set the key in the environment"
        )
    if not is_url:
        raise click.UsageError(
            f"--base-url {url!r} is not a URL; a base URL looks like https://api.openai.com/v1"
        )
    _check_path(parts)
    return url


def _check_path(parts: SplitResult) -> None:
    """Raise a usage error if an endpoint cannot be added to the end of a base URL."""
    from ratedispatch.request import ENDPOINTS

    if parts.query:
        raise click.UsageError(
            f"--base-url contains the query {parts.query:.100}, but the endpoint of each row is "
            f"added to its end; remove the query"
        )
    path = parts.path.rstrip("/")
    tails = (endpoint.removeprefix("/v1") for endpoint in ENDPOINTS)
    tail = max((tail for tail in tails if path.endswith(tail)), key=len, default="")
    if tail:
        base = parts._replace(path=path.removesuffix(tail)).geturl()
        raise click.UsageError(
            f"--base-url ends with {tail}, but the endpoint of each row is added to its end; give "
            f"{base}"
        )


def check_descriptors() -> None:
    """Raise a usage error if the limit on open files is too low to send even one row."""
    from ratedispatch.pacing.concurrency.slots import open_descriptors

    most = open_descriptors(raise_limit=True)
    if most is not None and most < _LEAST_DESCRIPTORS:
        raise click.UsageError(
            f"this process may open {most} files, but a job needs {_LEAST_DESCRIPTORS} plus "
            f"one for each request in flight; raise the limit on open files (ulimit -n)"
        )


def check_way(url: str) -> None:
    """Raise a usage error if the environment prevents all requests to *url*."""
    from ratedispatch.dispatch.transports.ways import fault_of_way

    fault = fault_of_way(url, os.environ)
    if fault is not None:
        raise click.UsageError(fault)


def connections_for(max_in_flight: int | Literal["auto"] | None) -> int:
    """Return how many connections the pool may hold: as many as requested, or as can be open."""
    from ratedispatch.pacing.concurrency.slots import most_in_flight, open_descriptors

    wanted = max_in_flight if isinstance(max_in_flight, int) else _MOST_CONNECTIONS
    return min(wanted, most_in_flight(open_descriptors(raise_limit=True)))


@contextlib.asynccontextmanager
async def open_client(
    base_url: str | None, key: str, connections: int, transport: str, most_bytes: int
) -> AsyncIterator[Any]:
    """
    Yield the bulk transport if it can replace the SDK's client, else the SDK's transport.

    Args:
        base_url: The base URL; None for that of the environment, or OpenAI's.
        key: The API key.
        connections: How many may be open.
        transport: The name of the transport.
        most_bytes: Maximum size of an answer, decompressed.
    """
    if transport == BULK:
        from ratedispatch.dispatch.transports.bulk import plain_bulk

        plain = plain_bulk(base_url, key, connections, os.environ, most_bytes)
        if plain is not None:
            async with plain:
                yield plain
            return
    from ratedispatch.dispatch.transports.bulk import bulk_for
    from ratedispatch.dispatch.transports.read_client import unsupported_reason
    from ratedispatch.dispatch.transports.sdk import SdkTransport, make_client

    async with make_client(base_url=base_url, api_key=key, max_connections=connections) as client:
        bulk = bulk_for(client, connections, most_bytes) if transport == BULK else None
        if bulk is None:
            if transport == BULK:
                say(f"sending through the openai SDK: {unsupported_reason(client)}")
            yield SdkTransport(client, most_bytes)
            return
        async with bulk:
            yield bulk
