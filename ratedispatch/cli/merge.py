"""``ratedispatch merge``: merges the results of all shards of a file."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ratedispatch.cli.command import SettingsCommand, collect, option
from ratedispatch.cli.console import json_text, say
from ratedispatch.cli.help import HELP
from ratedispatch.cli.interrupt import interruptible
from ratedispatch.cli.run_options import OutputFlags, output_options

if TYPE_CHECKING:
    from ratedispatch.jobs.merging.merger import Merged, MergeOptions
    from ratedispatch.jobs.state.paths import JobFiles

_STDIN = "-"

#: Exit codes: all answered; some rows failed; some are missing.
_ALL, _FAILED, _MISSING = 0, 1, 3


@dataclass(frozen=True, slots=True)
class MergeFlags:
    """
    What is merged, and how.

    Args:
        files: The outputs of the shards.
        input: Their input; None if the job files have to replace it.
        input_format: The name of its format; None to determine it from its name.
        order: The order of the rows.
        allow_missing: Whether to merge even if rows are missing.
        allow_other_server: Whether answers of several servers may be merged.
        overwrite: Whether an existing output is replaced.
        as_json: Whether the counts are printed as JSON.
    """

    files: tuple[Path, ...]
    input: Path | None
    input_format: str | None
    order: str
    allow_missing: bool
    allow_other_server: bool
    overwrite: bool
    as_json: bool


_OPTIONS = (
    click.argument(
        "files", metavar="FILES...", nargs=-1, required=True, type=click.Path(path_type=Path)
    ),
    option(
        "--input",
        group="Input",
        type=click.Path(path_type=Path, allow_dash=True),
        metavar="IN",
        help="The input of the shards: each row is compared with its result, and a table can be "
        "written.  [default: not read; the job files of the shards give the number of rows]",
    ),
    option(
        "--input-format",
        group="Input",
        type=click.Choice(["jsonl", "csv", "tsv", "parquet"]),
        help="Format of the input.  [default: by its name; jsonl for -]",
    ),
    option(
        "--order",
        group="Output",
        type=click.Choice(["input", "arrival"]),
        default="input",
        show_default=True,
        help="Order of the rows: as in the input, or shard by shard in order of arrival.",
    ),
    option(
        "--allow-missing",
        group="Output",
        is_flag=True,
        help="Merge what there is, even if rows are missing; run with the same output sends the "
        "rest.",
    ),
    option(
        "--allow-other-server",
        group="Output",
        is_flag=True,
        help="Merge outputs even if their answers come from different base URLs or from --fake.",
    ),
    option(
        "--overwrite",
        group="Output",
        is_flag=True,
        help="Replace an existing output, with its errors file and its job file.",
    ),
    option("--json", "as_json", group="Display", is_flag=True, help="Print the counts as JSON."),
)


@click.command(
    cls=SettingsCommand,
    context_settings=HELP,
    short_help="Merge the outputs of all shards of a file.",
)
@collect(MergeFlags, "flags", _OPTIONS)
@output_options
def merge(flags: MergeFlags, output: OutputFlags) -> None:
    """
    Merge the outputs of all shards, after checking that every row is there exactly once.

    FILES are the outputs of run --shard. Their job files and errors files are found beside them,
    and may be among FILES. The result is the same as if one run had processed all rows.

    \b
    Example:
      ratedispatch merge out.*-of-16.jsonl -o out.jsonl

    \b
    Exit codes:
      0    all rows are there and answered
      1    all rows are there, and some failed
      2    wrong usage, a row is there twice, or the files are not of one job
      3    rows are missing; nothing was written, except with --allow-missing
      130  interrupted; nothing was written
    """
    with interruptible(is_resumable=False):
        from ratedispatch.errors import JobError
        from ratedispatch.jobs.merging.gaps import RowsMissing
        from ratedispatch.jobs.merging.merger import merge_shards

        try:
            target, options = _read(flags, output)
            merged = merge_shards(flags.files, target, options)
        except RowsMissing as error:
            say(str(error))
            sys.exit(_MISSING)
        except JobError as error:
            raise click.UsageError(str(error)) from error
    _tell(merged, target, as_json=flags.as_json)
    sys.exit(_MISSING if merged.gaps else _FAILED if merged.failed else _ALL)


def _read(flags: MergeFlags, output: OutputFlags) -> tuple[JobFiles, MergeOptions]:
    """Return where the result goes, and how it is made; a mistake is a usage error."""
    from ratedispatch.jobs.inputs.formats import format_of
    from ratedispatch.jobs.merging.merger import MergeOptions, MergeOrder
    from ratedispatch.jobs.outputs.table import OutputFormat, check_format
    from ratedispatch.jobs.state.paths import files_of

    given = flags.input
    source = None if given is None else _STDIN if str(given) == _STDIN else given
    if source is None and output.format is not OutputFormat.JSONL:
        raise click.UsageError(
            f"{output.output} is a table and has the columns of the input; name the input with "
            f"--input, or write a .jsonl"
        )
    check_format(output.format)
    # the input of the job is not among the files of the result
    target = files_of(_STDIN, output.output, output.errors_file, output.format)  # type: ignore[arg-type]
    options = MergeOptions(
        input=source,  # type: ignore[arg-type]
        input_format=None if source is None else format_of(source, flags.input_format),  # type: ignore[arg-type]
        order=MergeOrder(flags.order),
        output_format=output.format,
        allow_missing=flags.allow_missing,
        allow_other_server=flags.allow_other_server,
        overwrite=flags.overwrite,
    )
    return target, options


def _tell(merged: Merged, target: JobFiles, *, as_json: bool) -> None:
    """Print what has been put together."""
    from ratedispatch.jobs.merging.gaps import sentence_on

    for note in merged.notes:
        say(note)
    output = target.table or target.output
    rows = merged.answered + merged.failed
    if merged.gaps:
        say(
            f"{sentence_on(merged.gaps, rows)}; run with -o {output} and without --shard sends "
            f"the rest"
        )
    if as_json:
        counts = {"shards": merged.shards, "answered": merged.answered, "failed": merged.failed}
        click.echo(json_text({**counts, "missing": merged.missing, "output": str(output)}))
        return
    shards = "1 output" if merged.shards == 1 else f"{merged.shards:,} outputs"
    failed = f" and {merged.failed:,} failed, in {target.errors}" if merged.failed else ""
    click.echo(f"{merged.answered:,} answered rows of {shards} in {output}{failed}.")
