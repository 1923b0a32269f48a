"""The target of a run: one server or the members of a pool, with their API keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.cli.client import DEFAULT_URL, check_way, checked_url, key_in
from ratedispatch.cli.fake_account import FAKE_KEY
from ratedispatch.cli.limit_options import url_of

if TYPE_CHECKING:
    from ratedispatch.cli.pool_client import PoolTargets
    from ratedispatch.cli.sending_options import SendingFlags


def target_of(
    base_url: str | None, sending: SendingFlags, account: object
) -> tuple[str | tuple[str, ...], str | None, PoolTargets | None]:
    """
    Return the key and the base URL of a run, or the keys and the members of a pool.

    Args:
        base_url: The flag.
        sending: With the variable of the key, and whether the server is a fake one.
        account: The limits, or the members of a pool.

    Raises:
        click.UsageError: A key is missing or malformed, or an address is none.
    """
    from ratedispatch.cli.pool_file import MemberTables

    if isinstance(account, MemberTables):
        from ratedispatch.cli.pool_client import pool_targets

        pool = pool_targets(account, base_url, sending.api_key_env, fake=sending.fake)
        return tuple(pool.keys.values()), None, pool
    if sending.fake:
        return FAKE_KEY, None, None
    key, url = key_in(sending.api_key_env), checked_url(url_of(base_url))
    check_way(url or DEFAULT_URL)
    return key, url, None
