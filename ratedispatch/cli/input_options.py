"""
The flags that ``run`` and ``plan`` share about their input: its format, and the template of rows.

Decides what they are called, what needs what, and the values that they come to.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.jobs.inputs.formats import Format
    from ratedispatch.jobs.inputs.streams import Source
    from ratedispatch.jobs.inputs.template import Template

#: What stands for standard input.
_STDIN = "-"


@dataclass(frozen=True, slots=True)
class InputFlags:
    """
    The input as it was given.

    Args:
        input: Its path, or ``-``.
        input_format: The name of its format; None for what its own name says.
        prompt: The template of the user's message; None if the input has requests.
        system: The template of the system message.
        model: The model of all rows.
        max_tokens: The most tokens of an answer.
        id_column: The column with the name of each row.
        param: Further fields of the body, as ``NAME=VALUE``.
    """

    input: Path
    input_format: str | None = None
    prompt: str | None = None
    system: str | None = None
    model: str | None = None
    max_tokens: int | None = None
    id_column: str | None = None
    param: tuple[str, ...] = ()

    @property
    def source(self) -> Source:
        """Where the input is read from."""
        return _STDIN if str(self.input) == _STDIN else self.input  # type: ignore[return-value]

    @property
    def format(self) -> Format:
        """
        How the input is written.

        Raises:
            click.UsageError: Its name is that of a format which is not read.
        """
        from ratedispatch.errors import JobError
        from ratedispatch.jobs.inputs.formats import format_of

        try:
            return format_of(self.source, self.input_format)
        except JobError as error:
            raise click.UsageError(str(error)) from error

    def template(self) -> Template | None:
        """
        Return what makes requests of the rows; None if the input has requests.

        Raises:
            click.UsageError: A flag is missing, or means nothing without another, or the template
                cannot be one.
        """
        from ratedispatch.errors import JobError
        from ratedispatch.jobs.inputs.formats import Format
        from ratedispatch.jobs.inputs.template import Template, parse_parameters

        if self.prompt is None:
            useless = [
                "--" + name.replace("_", "-")
                for name in ("system", "model", "max_tokens", "id_column", "param")
                if getattr(self, name) not in {None, ()}
            ]
            if useless:
                raise click.UsageError(
                    f"{useless[0]} is for rows of a table, and needs --prompt; the rows of a "
                    f"Batch file say themselves what is sent"
                )
            if self.format is not Format.JSONL:
                raise click.UsageError(
                    f"{self.input} is {self.format}, whose rows are no requests: give a --prompt "
                    f"such as 'Translate to French: {{text}}', and --model"
                )
            return None
        try:
            return Template(
                self.prompt,
                system=self.system,
                model=self.model or "",
                max_tokens=self.max_tokens,
                parameters=parse_parameters(self.param),
                id_column=self.id_column,
            )
        except JobError as error:
            raise click.UsageError(str(error)) from error


def input_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the input and its flags; the command gets an `InputFlags` as ``source``."""

    @functools.wraps(command)
    def with_input(**values: Any) -> None:
        flags = InputFlags(**{one.name: values.pop(one.name) for one in fields(InputFlags)})
        command(source=flags, **values)

    decorated = with_input
    for option in reversed(_OPTIONS):  # as with decorators, the last one is applied first
        decorated = option(decorated)
    return decorated


_OPTIONS = (
    click.argument("input", metavar="IN", type=click.Path(path_type=Path, allow_dash=True)),
    click.option(
        "--prompt",
        metavar="TEMPLATE",
        help="Make a request of each row of a table (CSV, Parquet, JSONL): the user's message, "
        "with the names of columns in braces, such as 'Translate to French: {text}'.",
    ),
    click.option("--system", metavar="TEMPLATE", help="With --prompt: the system message."),
    click.option("--model", metavar="NAME", help="With --prompt: the model."),
    click.option(
        "--max-tokens",
        type=click.IntRange(min=1),
        metavar="N",
        help="With --prompt: the most tokens of an answer.",
    ),
    click.option(
        "--id-column",
        metavar="NAME",
        help="With --prompt: the column with the custom_id of each row.  "
        "[default: row-1, row-2, …]",
    ),
    click.option(
        "--param",
        multiple=True,
        metavar="NAME=VALUE",
        help="With --prompt: a further field of the body, such as temperature=0; repeatable.",
    ),
    click.option(
        "--input-format",
        type=click.Choice(["jsonl", "csv", "tsv", "parquet"]),
        help="How the input is written.  [default: by its name; jsonl for -]",
    ),
)
