"""
Turns limits that are given several times into accounts to compare.

``--rpm 3000 --tpm 2M --rpm 6000 --tpm 4M`` is a job on an account of 3,000 requests and 2M tokens
per minute, and an account of 6,000 and 4M beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ratedispatch.cli.command_line import RetoldCommand

if TYPE_CHECKING:
    from collections.abc import Iterator

_RPM, _TPM = "--rpm", "--tpm"


class ComparingCommand(RetoldCommand):
    """A command that compares accounts, each given by ``--account`` or by its limits."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the first of each limit, and make an account of each further pair."""
        return super().parse_args(ctx, with_accounts(args))


def with_accounts(words: list[str]) -> list[str]:
    """
    Return *words* with an ``--account`` for each repetition of ``--rpm`` and ``--tpm``.

    One of the two that is given once holds for all accounts; one that is not given is no limit of
    the others.

    Raises:
        click.UsageError: Both are repeated, but not equally often.
    """
    kept: list[str] = []
    given: dict[str, list[str]] = {_RPM: [], _TPM: []}
    rest = iter(words)
    for word in rest:
        if word == "--":
            kept += [word, *rest]
            break
        flag, equals, value = word.partition("=")
        if flag not in given:
            kept.append(word)
            continue
        written = [word] if equals else [word, *_next(rest)]
        if not given[flag]:
            kept += written
        given[flag].append(value if equals else "".join(written[1:]))
    requests, tokens = given[_RPM], given[_TPM]
    count = max(len(requests), len(tokens))
    if count < 2:
        return words
    for one, flag, other in ((requests, _RPM, _TPM), (tokens, _TPM, _RPM)):
        if 1 < len(one) < count:
            raise click.UsageError(
                f"{flag} is given {len(one)} times and {other} {count} times; give both equally "
                f"often, or one of them once"
            )
    accounts = []
    for place in range(1, count):
        pair = [
            (one[place] if len(one) > 1 else one[0]) if one else "none" for one in given.values()
        ]
        limits = ":".join(pair)
        accounts += ["--account", f"{limits}={limits}"]
    # in front: what comes after "--" is no flag
    return [*accounts, *kept]


def _next(words: Iterator[str]) -> list[str]:
    """Return the next of *words*, if there is one; click tells of a flag without a value."""
    found = next(words, None)
    return [] if found is None else [found]
