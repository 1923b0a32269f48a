"""
The flags that ``run`` and ``plan`` share about their input: its format, and the template of rows.

Decides their names, which flags need which others, and their values.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ratedispatch.cli.command import collect, option

if TYPE_CHECKING:
    from ratedispatch.jobs.inputs.formats import Format
    from ratedispatch.jobs.inputs.streams import Source
    from ratedispatch.jobs.inputs.template import Template
    from ratedispatch.jobs.shard import Shard

#: The name of standard input.
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
        max_tokens: The most tokens of each output.
        id_column: The column with the name of each row.
        param: Further fields of the body, as ``NAME=VALUE``.
        endpoint: Where requests go that do not say so themselves.
        shard: The part of the rows that is meant; None for all.
    """

    input: Path
    input_format: str | None = None
    prompt: str | None = None
    system: str | None = None
    model: str | None = None
    max_tokens: int | None = None
    id_column: str | None = None
    param: tuple[str, ...] = ()
    endpoint: str | None = None
    shard: Shard | None = None

    @property
    def source(self) -> Source:
        """Where the input is read from."""
        return _STDIN if str(self.input) == _STDIN else self.input  # type: ignore[return-value]

    @property
    def row_cap(self) -> int | None:
        """The most tokens of each output of rows that are requests; None for what each says."""
        return self.max_tokens if self.prompt is None else None

    @property
    def format(self) -> Format:
        """
        How the input is written.

        Raises:
            click.UsageError: Its name is that of a format that cannot be read.
        """
        from ratedispatch.errors import JobError
        from ratedispatch.jobs.inputs.formats import format_of

        try:
            return format_of(self.source, self.input_format)
        except JobError as error:
            raise click.UsageError(str(error)) from error

    def template(self) -> Template | None:
        """
        Return the template that makes requests of the rows; None if the input has requests.

        Raises:
            click.UsageError: A flag is missing or needs another one, or the template is not valid.
        """
        from ratedispatch.errors import JobError
        from ratedispatch.jobs.inputs.formats import Format
        from ratedispatch.jobs.inputs.template import Template, parse_parameters

        if self.prompt is None:
            useless = [
                "--" + name.replace("_", "-")
                for name in ("system", "model", "id_column", "param")
                if getattr(self, name) not in {None, ()}
            ]
            if useless:
                raise click.UsageError(
                    f"{useless[0]} is for rows of a table and needs --prompt; the rows of a Batch "
                    f"file are already requests"
                )
            if self.format is not Format.JSONL:
                raise click.UsageError(
                    f"{self.input} is {self.format}, whose rows are not requests; give --prompt, "
                    f"such as 'Translate to French: {{text}}', and --model"
                )
            return None
        if self.endpoint is not None:
            raise click.UsageError(
                "--endpoint is for rows in Batch format; rows of a table go to chat completions"
            )
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


def _endpoint(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    """Return the endpoint as Batch files spell it, or fail as a usage error."""
    if text is None:
        return None
    from ratedispatch.request import ENDPOINTS, endpoint_like

    known = endpoint_like(text)
    if known is None:
        raise click.UsageError(f"--endpoint {text} is not one of {', '.join(sorted(ENDPOINTS))}")
    return known


def _shard(_context: click.Context, _option: click.Parameter, text: str | None) -> Shard | None:
    """Return the shard that *text* names, or fail as a usage error."""
    if text is None:
        return None
    from ratedispatch.jobs.shard import Shard

    try:
        return Shard.parse(text)
    except ValueError as error:
        raise click.UsageError(f"--shard: {error}") from error


_OPTIONS = (
    click.argument("input", metavar="IN", type=click.Path(path_type=Path, allow_dash=True)),
    option(
        "--prompt",
        group="Input",
        metavar="TEMPLATE",
        help="Make a request from each row of a table (CSV, Parquet, JSONL). TEMPLATE is the "
        "user's message, with column names in braces, such as 'Translate to French: {text}'.",
    ),
    option(
        "--system",
        group="Input",
        metavar="TEMPLATE",
        help="With --prompt: the system message.",
    ),
    option("--model", group="Input", metavar="NAME", help="With --prompt: the model."),
    option(
        "--max-tokens",
        group="Input",
        type=click.IntRange(min=1),
        metavar="N",
        help="Maximum output tokens of each row. In Batch format, rows with a lower cap of their "
        "own keep it.",
    ),
    option(
        "--id-column",
        group="Input",
        metavar="NAME",
        help="With --prompt: the column that holds the custom_id of each row.  "
        "[default: row-1, row-2, …]",
    ),
    option(
        "--param",
        group="Input",
        multiple=True,
        metavar="NAME=VALUE",
        help="With --prompt: another field of the body, such as temperature=0; repeatable.",
    ),
    option(
        "--endpoint",
        group="Input",
        metavar="PATH",
        callback=_endpoint,
        help="Endpoint for rows in Batch format that have no url, such as /v1/embeddings.  "
        "[default: chat completions for rows with messages]",
    ),
    option(
        "--input-format",
        group="Input",
        type=click.Choice(["jsonl", "csv", "tsv", "parquet"]),
        help="Format of the input.  [default: by its name; jsonl for -]",
    ),
    option(
        "--shard",
        group="Input",
        metavar="I/N",
        callback=_shard,
        help="Process only the rows of shard I of N, to split a file over N machines; I counts "
        "from 0 to N-1, as JOB_COMPLETION_INDEX does. The shard's files are named after it, such "
        "as out.03-of-16.jsonl for out.jsonl; merge combines them.",
    ),
)

#: Adds the input and its flags; the command gets an `InputFlags` as ``source``.
input_options = collect(InputFlags, "source", _OPTIONS)
