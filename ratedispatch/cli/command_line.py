"""
Writes the command line of another command from the flags of this one, with some changes.

Values from the command line, the environment and ``ratedispatch.toml`` are written unchanged, so
that the line does the same in another shell. Pure except for reading the environment.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from ratedispatch.cli.command import Option, SettingsCommand

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_PROGRAM = "ratedispatch"

#: Where a context keeps the words of its command line, by parameter and in order.
_WORDS = "ratedispatch.cli.words_in_order"


class RetoldCommand(SettingsCommand):
    """A command that remembers the flags that it was given, as they were written."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words of the command line before they become values."""
        if not ctx.resilient_parsing:
            words, _, order = self.make_parser(ctx).parse_args(list(args))
            ctx.meta[_WORDS] = _in_order(words, order)
        return super().parse_args(ctx, args)


def _in_order(
    words: Mapping[str, Any], order: Iterable[click.Parameter]
) -> list[tuple[click.Parameter, Any]]:
    """Return each parameter with its value as written, in the order of the command line."""
    met: dict[str, int] = {}
    found = []
    for param in order:
        assert param.name is not None
        value = words.get(param.name)
        if isinstance(param, click.Option) and param.multiple and isinstance(value, list):
            place = met[param.name] = met.get(param.name, -1) + 1
            value = value[place]
        elif param.name in met:
            continue  # the last one counts, and stands in the words
        else:
            met[param.name] = 0
        found.append((param, value))
    return found


def words_for(ctx: click.Context, command: click.Command, changes: Mapping[str, Any]) -> list[str]:
    """
    Return the words of a command line of *command*.

    Args:
        ctx: The context of a `RetoldCommand` that has been parsed.
        command: Another command; only those of the given flags are kept that it has as well.
        changes: New values of its parameters by name; None leaves a flag out.
    """
    return _retold((*ctx.meta[_WORDS], *_from_outside(ctx)), command, changes)


def same_words_for(words: Sequence[str], typed: click.Command, command: click.Command) -> list[str]:
    """
    Return a command line of *command* with those flags of another command that it has as well.

    Args:
        words: The words of a command line of *typed*, after its name.
        typed: The command to which they were given.
        command: The other command.

    Raises:
        click.UsageError: *typed* does not accept these words.
    """
    context = click.Context(typed)
    values, _, order = typed.make_parser(context).parse_args(list(words))
    return _retold(_in_order(values, order), command, {})


def _retold(
    given: Iterable[tuple[click.Parameter, Any]],
    command: click.Command,
    changes: Mapping[str, Any],
) -> list[str]:
    known = {one.name: one for one in command.params}
    arguments, flags = [], []
    for param, value in given:
        same = known.get(param.name)
        if same is None or param.name in changes or value is None:
            continue
        if isinstance(param, click.Argument):
            arguments.append(_as_argument(str(value)))
        elif isinstance(same, click.Option) and set(same.opts) & set(param.opts):
            flags += _flag(same, value)
    for name, value in changes.items():
        option = known.get(name)
        if isinstance(option, click.Option) and value is not None:
            flags += _flag(option, value)
    return [_PROGRAM, str(command.name), *arguments, *flags]


def _from_outside(ctx: click.Context) -> list[tuple[click.Parameter, Any]]:
    """Return the flags that the environment or the file has set, as written there."""
    sources = click.core.ParameterSource
    found: list[tuple[click.Parameter, Any]] = []
    for param in ctx.command.params:
        if not isinstance(param, Option) or param.name is None:
            continue
        source = ctx.get_parameter_source(param.name)
        value: Any = None
        if source is sources.ENVIRONMENT and isinstance(param.envvar, str):
            value = os.environ.get(param.envvar)
            if param.is_flag:
                value = bool(ctx.params.get(param.name, True))
            elif param.multiple and value is not None:
                value = value.split()
        elif source is sources.DEFAULT_MAP:
            value = (ctx.default_map or {}).get(param.name)
        values = value if isinstance(value, list | tuple) else [value]
        found += [(param, one) for one in values if one is not None]
    return found


def _flag(option: click.Option, value: Any) -> list[str]:
    """Return the words that give *option* the value *value*."""
    name = max(option.opts, key=len) if len(option.opts) > 1 else option.opts[0]
    short = next((opt for opt in option.opts if not opt.startswith("--")), name)
    if option.is_flag:
        return [name] if value else []
    text = _number(value)
    if text.startswith("-") and name.startswith("--"):
        return [f"{name}={text}"]
    return [short if short == "-o" else name, text]


def _number(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"
    return str(value)


def _as_argument(text: str) -> str:
    """Return a path that is not taken for a flag."""
    return f"./{text}" if text.startswith("-") and text != "-" else text
