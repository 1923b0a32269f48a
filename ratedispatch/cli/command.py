"""
The base class of commands: flags under headings, and settings from outside the command line.

Each flag belongs to a group, which is its heading in the help. It can also be set by an environment
variable or in ``ratedispatch.toml``; a flag beats the environment, which beats the file. A command
function gets its flags in dataclasses, one argument for each.
"""

from __future__ import annotations

import difflib
import functools
import os
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeAlias

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from _typeshed import DataclassInstance

    Decorator: TypeAlias = "Callable[[Callable[..., None]], Callable[..., None]]"

#: Key of the context under which the parameters on the command line are kept.
_GIVEN = "ratedispatch.cli.given"

#: Key of the context under which it is kept whether only the command line counts.
_ALONE = "ratedispatch.cli.alone"

#: Key of the context under which the words after the name of the command are kept.
_WORDS = "ratedispatch.cli.words"

#: The heading of the flags that belong to no group.
_OTHER = "Other"

#: Columns of the flags in the help; the same under all headings.
_COLUMNS = 30


class Option(click.Option):
    """
    A flag under a heading.

    Args:
        declarations: Its names.
        group: The heading.
        rivals: Parameters that exclude it. If one of these is on the command line, this flag is
            ignored in the environment and in the file.
        attributes: Arguments of click's own options.
    """

    def __init__(
        self,
        declarations: Sequence[str] | None = None,
        *,
        group: str,
        rivals: tuple[str, ...] = (),
        **attributes: Any,
    ) -> None:
        super().__init__(declarations, **attributes)
        self.group = group
        self.rivals = rivals

    @property
    def key(self) -> str:
        """The long name of the flag without its dashes."""
        return next(name for name in self.opts if name.startswith("--"))[2:]

    def is_beaten(self, ctx: click.Context) -> bool:
        """Whether the command line has what excludes this flag."""
        return not ctx.meta.get(_GIVEN, frozenset()).isdisjoint(self.rivals)

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Return the value of the flag's environment variable; None if it is ignored."""
        if ctx.meta.get(_ALONE) or self.is_beaten(ctx):
            return None
        return super().resolve_envvar_value(ctx)

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Name the environment variable if it has the wrong value."""
        hint = super().get_error_hint(ctx)
        environment = click.core.ParameterSource.ENVIRONMENT
        if ctx is not None and self.name and ctx.get_parameter_source(self.name) is environment:
            return f"{hint} ({self.envvar})"
        return hint


#: Adds a flag to a command, as `click.option` does; takes what `Option` takes.
option = functools.partial(click.option, cls=Option)


class SettingsCommand(click.Command):
    """A command whose flags are grouped under headings and can be set outside the command line."""

    def __init__(self, name: str | None, **attributes: Any) -> None:
        assert name is not None
        self._prefix = prefix = f"RATEDISPATCH_{_variable(name)}_"
        super().__init__(name, **attributes)
        self.params.append(
            click.Option(
                ["--no-config"],
                is_flag=True,
                expose_value=False,
                help=f"Ignore ratedispatch.toml and the environment variables {prefix}….",
            )
        )
        for one in self.flags().values():
            one.envvar = prefix + _variable(one.key)
        beside = (
            "beside IN"
            if any(one.name == "input" for one in self.params)
            else "in the working directory"
        )
        self.epilog = (
            f"Each flag can also be set by an environment variable (--some-flag by "
            f"{prefix}SOME_FLAG) or in a ratedispatch.toml {beside} (some-flag = … under "
            f"[{name}]). A flag overrides the environment, and the environment overrides the file."
        )

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the flags under their headings, in the order in which they were declared."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            # newer releases of click have a record of an argument too
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                flag, text = record
                heading = param.group if isinstance(param, Option) else _OTHER
                sections.setdefault(heading, []).append((flag.ljust(_COLUMNS), text))
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the settings of the file before the flags get their values."""
        ctx.meta[_WORDS] = tuple(args)
        if not ctx.resilient_parsing:
            words, _, order = self.make_parser(ctx).parse_args(list(args))
            ctx.meta[_GIVEN] = frozenset(one.name for one in order if isinstance(one, Option))
            ctx.meta[_ALONE] = bool(words.get("no_config"))
            asks = self.get_help_option(ctx)
            is_help = asks is not None and bool(words.get(asks.name or ""))
            if not (ctx.meta[_ALONE] or is_help):
                self._check_variables()
                ctx.default_map = self._settings(ctx, words.get("input"))
        return super().parse_args(ctx, args)

    def _settings(self, ctx: click.Context, source: object) -> dict[str, Any]:
        from ratedispatch.cli.settings_file import SettingsFile, settings_path

        path = settings_path(source if isinstance(source, str) else None)
        if not path.exists():
            return {}
        assert self.name is not None
        flags = self.flags()
        found = SettingsFile(path, self.name, flags, functools.partial(_flags_of, ctx)).read(ctx)
        return {
            one.name: found[one.name]
            for one in flags.values()
            if one.name in found and not self._is_beaten(ctx, one)
        }

    def _is_beaten(self, ctx: click.Context, one: Option) -> bool:
        """Whether the command line or the environment has what excludes *one*."""
        rivals = [other for other in self.flags().values() if other.name in one.rivals]
        return one.is_beaten(ctx) or any(other.resolve_envvar_value(ctx) for other in rivals)

    def _check_variables(self) -> None:
        """Refuse an environment variable that has the prefix of the flags but belongs to none."""
        flags = [_variable(key) for key in self.flags()]
        for variable in os.environ:
            name = variable.removeprefix(self._prefix)
            if name == variable or name in flags:
                continue
            near = difflib.get_close_matches(name, flags, 1)
            hint = (
                f"the nearest is {self._prefix}{near[0]}"
                if near
                else f"see ratedispatch {self.name} --help"
            )
            raise click.UsageError(
                f"the environment variable {variable} does not match any flag; {hint}"
            )

    def flags(self) -> dict[str, Option]:
        """Return the flags that can be set outside the command line, by their long names."""
        return {one.key: one for one in self.params if isinstance(one, Option)}


def collect(
    kind: type[DataclassInstance], argument: str, options: Sequence[Decorator]
) -> Decorator:
    """
    Return a decorator that adds *options* and passes them to a command as one argument.

    Args:
        kind: The dataclass of the argument; its fields are the names of the parameters.
        argument: The name of the argument.
        options: The decorators that add the parameters, in the order of the help.
    """
    names = [field.name for field in fields(kind)]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        """Return *command* with the flags, which it gets as one value."""

        @functools.wraps(command)
        def with_flags(**values: Any) -> None:
            flags = kind(**{name: values.pop(name) for name in names})
            command(**{argument: flags}, **values)

        decorated: Callable[..., None] = with_flags
        for add in reversed(options):  # as with decorators, the last one is applied first
            decorated = add(decorated)
        return decorated

    return decorate


def words_given() -> tuple[str, ...]:
    """Return the command that runs, as it was typed."""
    ctx = click.get_current_context()
    return ("ratedispatch", ctx.info_name or "", *ctx.meta.get(_WORDS, ()))


def _flags_of(ctx: click.Context, name: str) -> dict[str, Option]:
    """Return the flags of the command *name*, whose module is imported."""
    from ratedispatch.cli import main

    command = main.get_command(ctx, name)
    # the flags of a command of commands are set on the command line alone
    return command.flags() if isinstance(command, SettingsCommand) else {}


def _variable(name: str) -> str:
    return name.replace("-", "_").upper()
