"""``ratedispatch memory``: what is saved about accounts between runs."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from ratedispatch.cli.help import HELP

if TYPE_CHECKING:
    from ratedispatch.memory.fact_file import Account
    from ratedispatch.memory.state_folder import StateFolder


@click.group(
    context_settings=HELP,
    short_help="Show or delete what was learned about accounts.",
)
def memory() -> None:
    """
    Show or delete what earlier runs have learned about accounts.

    A run starts with what earlier runs have learned about the same server, key and group of
    models, unless you give --no-memory. Limits that you set, and what answers say, take
    precedence. No key and no part of any request is saved.
    """


@memory.command(context_settings=HELP)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def show(*, as_json: bool) -> None:
    """Show what was learned about each account, and when."""
    from ratedispatch.cli.console import json_text
    from ratedispatch.cli.memory_text import memory_text
    from ratedispatch.memory.fact_file import as_json as fields_of

    folder = _folder()
    try:
        accounts = folder.accounts()
    except OSError as error:
        raise click.UsageError(f"{folder.path} cannot be read: {error}") from error
    if as_json:
        found = [{"name": one.name, **fields_of(one)} for one in accounts]
        click.echo(json_text({"folder": str(folder.path), "accounts": found}))
    else:
        click.echo(memory_text(str(folder.path), accounts, folder.now()))


@memory.command(context_settings=HELP)
@click.argument("names", metavar="[NAME|SERVER]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Delete all accounts.")
def forget(names: tuple[str, ...], *, everything: bool) -> None:
    """
    Delete what was learned about accounts: by NAME, as show lists them, by SERVER, or all.

    The beginning of a name is enough if it is unique.
    """
    if everything == bool(names):
        raise click.UsageError(
            "name accounts or servers, as ratedispatch memory show lists them, or --all"
        )
    folder = _folder()
    try:
        accounts = folder.accounts()
        wanted = None if everything else [name for one in names for name in _named(one, accounts)]
        count = folder.forget(wanted)
    except OSError as error:
        raise click.UsageError(f"{folder.path} cannot be changed: {error}") from error
    click.echo(f"{count:,} {'account' if count == 1 else 'accounts'} forgotten")


def _named(text: str, accounts: list[Account]) -> list[str]:
    """Return the names of the accounts that *text* means."""
    from ratedispatch.memory.account_names import place_of

    place = place_of(text)
    if place:
        found = [one.name for one in accounts if one.place == place]
    else:
        found = [one.name for one in accounts if text and one.name.startswith(text)]
        if len(found) > 1:
            raise click.UsageError(f"{text!r} matches {len(found)} names; write more of the name")
    if not found:
        raise click.UsageError(
            f"nothing is saved about {text!r}; ratedispatch memory show lists all accounts"
        )
    return found


def _folder() -> StateFolder:
    """Return the user's state folder; None without a home folder."""
    from ratedispatch.memory.state_folder import StateFolder, state_path

    path = state_path(os.environ)
    if path is None:
        click.echo("nothing is saved: this user has no home folder; set XDG_STATE_HOME", err=True)
        sys.exit(2)
    return StateFolder(path)
