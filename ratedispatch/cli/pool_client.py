"""Prepares the clients of a pool: the key and the address of each member, and its connections."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from ratedispatch.cli.client import DEFAULT_URL, check_way, checked_url, key_in, open_client
from ratedispatch.cli.fake_account import fake_key
from ratedispatch.cli.pool_file import refuse_beside
from ratedispatch.errors import JobError
from ratedispatch.jobs.state.origin import origin_of, together

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ratedispatch.cli.pool_file import MemberTable, MemberTables
    from ratedispatch.dispatch.pool import Pool


@dataclass(frozen=True, slots=True)
class PoolTargets:
    """
    The base URLs and API keys of the members of a pool.

    Args:
        tables: The members.
        keys: Their API keys, by name.
        urls: Their addresses, by name; empty where a fake server takes their place.
        variables: The variables that hold the keys.
    """

    tables: MemberTables
    keys: dict[str, str]
    urls: dict[str, str]
    variables: tuple[str, ...]

    @property
    def origin(self) -> str:
        """The names of the servers."""
        return together(map(origin_of, self.urls.values()))

    @contextlib.asynccontextmanager
    async def open(
        self, fake_url: str | None, connections: int, transport: str, most_bytes: int
    ) -> AsyncIterator[Pool]:
        """Give the pool of a client for each member; see `open_client`."""
        async with contextlib.AsyncExitStack() as stack:
            clients = {}
            for one in self.tables:
                name = one.member.name
                url = self.urls.get(name) or fake_url
                client = open_client(url, self.keys[name], connections, transport, most_bytes)
                clients[name] = await stack.enter_async_context(client)
            yield self.tables.pool(lambda one: clients[one.member.name])


def pool_targets(
    tables: MemberTables, base_url: str | None, api_key_env: str, *, fake: bool
) -> PoolTargets:
    """
    Return the base URLs and API keys of the members of *tables*.

    Args:
        tables: The members.
        base_url: The flag, which excludes a pool.
        api_key_env: The variable of members that name none.
        fake: Whether a fake server replaces all of them.

    Raises:
        click.UsageError: A key is missing or malformed, or an address is none; named by its
            member and variable.
    """
    try:
        refuse_beside(tables, {"--base-url": base_url})
    except JobError as error:
        raise click.UsageError(str(error)) from error
    if fake:
        keys = {one.member.name: fake_key(one.member) for one in tables}
        return PoolTargets(tables, keys, {}, ())
    keys, urls = {}, {}
    variables: dict[str, None] = {}
    for one in tables:
        name, variable = one.member.name, one.api_key_env or api_key_env
        try:
            keys[name] = key_in(variable)
            urls[name] = _url_of(one)
        except click.UsageError as error:
            said = error.message.replace("--base-url", "base_url")
            said = said.replace("--api-key-env", "api_key_env")
            raise click.UsageError(f"the member {name!r} of the pool: {said}") from None
        variables[variable] = None
    return PoolTargets(tables, keys, urls, tuple(variables))


def _url_of(table: MemberTable) -> str:
    url = checked_url(table.base_url or DEFAULT_URL)
    assert url is not None
    check_way(url)
    return url
