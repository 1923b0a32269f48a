"""``--shard`` on the command line, in the environment and in the file of settings."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from ratedispatch.cli import main
from ratedispatch.jobs.shard import Shard
from ratedispatch.simulate.server.child import FakeServerProcess
from tests.cli.run_command import lines, names, row, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServerProcess]:
    with FakeServerProcess("--latency", "0.01") as child:
        yield child


@pytest.mark.parametrize("where", ["flag", "environment", "file"])
def test_a_wrong_shard_is_a_usage_error(job: Path, where: str) -> None:
    """Wherever it stands; the message says how shards are counted."""
    flags, env = [], {}
    if where == "flag":
        flags = ["--shard", "2/2"]
    elif where == "environment":
        env = {"RATEDISPATCH_RUN_SHARD": "2/2"}
    else:
        (job / "ratedispatch.toml").write_text('[run]\nshard = "2/2"\n')
    result = run(job, *flags, env=env)
    assert result.exit_code == 2
    assert "no shard 2/2: shards are counted from 0, and those of 2 are 0/2 to 1/2" in result.stderr
    assert not [name for name in names(job) if name.startswith("out")]


@pytest.mark.parametrize("form", ["plain", "packed", "stdin", "table"])
def test_the_shards_of_every_kind_of_input_do_each_row_once(
    tmp_path: Path, server: FakeServerProcess, form: str
) -> None:
    """Files are named after the shard, wherever their names were given."""
    text = "".join(row(f"r{number}") + "\n" for number in range(1, 8)).encode()
    flags: list[str] = []
    source, target = "in.jsonl", "out.jsonl"
    if form == "packed":
        source, text = "in.jsonl.gz", gzip.compress(text)
    elif form == "stdin":
        source = "-"
    elif form == "table":
        source, target = "in.csv", "out.csv"
        text = b"text\n" + b"".join(b"t%d\n" % number for number in range(1, 8))
        flags = ["--prompt", "Say {text}", "--model", "gpt-4o"]
    if source != "-":
        (tmp_path / source).write_bytes(text)
    where = source if source == "-" else str(tmp_path / source)
    done: list[str] = []
    for index in range(2):
        arguments = ["run", where, "-o", str(tmp_path / target), "--shard", f"{index}/2", *flags]
        arguments += ["--errors-file", str(tmp_path / "bad.jsonl"), "--rpm", "60k", "--no-config"]
        arguments += ["--log-json", str(tmp_path / "log.jsonl"), "--base-url", server.base_url]
        result: Result = CliRunner().invoke(
            main, arguments, env={"OPENAI_API_KEY": "any"}, input=text if source == "-" else None
        )
        assert result.exit_code == 0, result.output
        assert f"shard {index}/2 has {Shard(index, 2).share(7)} of 7 rows" in result.stderr
        assert lines(tmp_path / f"log.{index}-of-2.jsonl")
        assert (tmp_path / f"bad.{index}-of-2.jsonl").exists()
        if form == "table":
            _, *cells = (tmp_path / f"out.{index}-of-2.csv").read_text().splitlines()
            done += [f"r{cell.split(',')[0][1:]}" for cell in cells]
        else:
            done += [line["custom_id"] for line in lines(tmp_path / f"out.{index}-of-2.jsonl")]
    assert sorted(done) == [f"r{number}" for number in range(1, 8)]


def test_a_plan_counts_the_rows_of_its_shard(job: Path) -> None:
    """And those of all shards add up to those of the file."""
    (job / "in.jsonl").write_text("".join(row(f"r{number}") + "\n" for number in range(9)))
    rows = []
    for index in range(2):
        arguments = ["plan", str(job / "in.jsonl"), "--rpm", "60", "--shard", f"{index}/2"]
        result = CliRunner().invoke(main, [*arguments, "--json", "--no-config"])
        assert result.exit_code == 0
        rows.append(json.loads(result.stdout)["rows"])
    assert sorted(rows) == [4, 5]


def shards_of(folder: Path, server: FakeServerProcess, *indices: int) -> None:
    """Run some of two shards of five rows in *folder*."""
    (folder / "in.jsonl").write_text("".join(row(f"r{number}") + "\n" for number in range(5)))
    for index in indices:
        found = run(folder, "--shard", f"{index}/2", "--base-url", server.base_url)
        assert found.exit_code == 0, found.output


def merge(folder: Path, *flags: str) -> Result:
    paths = sorted(str(path) for path in folder.glob("out.*.jsonl"))
    return CliRunner().invoke(main, ["merge", *paths, "-o", str(folder / "out.jsonl"), *flags])


def test_shards_are_put_together(job: Path, server: FakeServerProcess) -> None:
    """By a pattern that catches their errors files too; the sentence goes to standard output."""
    shards_of(job, server, 0, 1)
    result = merge(job)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"5 answered rows of 2 outputs in {job / 'out.jsonl'}.\n"
    assert [line["custom_id"] for line in lines(job / "out.jsonl")] == [f"r{n}" for n in range(5)]
    again = merge(job)
    assert again.exit_code == 2
    assert "already exists; choose another output, or replace it with --overwrite" in again.stderr
    told = merge(job, "--overwrite", "--order", "arrival", "--json")
    assert json.loads(told.stdout) == {
        "shards": 2,
        "answered": 5,
        "failed": 0,
        "missing": 0,
        "output": str(job / "out.jsonl"),
    }


def test_shards_that_lack_rows_are_not_put_together(job: Path, server: FakeServerProcess) -> None:
    """Exit code 3 names the shard; with the flag for it, a run does the rest."""
    shards_of(job, server, 0)
    before = names(job)
    result = merge(job)
    assert result.exit_code == 3
    assert result.stderr.startswith("3 rows are missing of 5: shard 1/2 has no file (3 rows); ")
    assert names(job) == before
    result = merge(job, "--allow-missing")
    assert result.exit_code == 3
    assert "sends the rest" in result.stderr
    rest = run(job, "--base-url", server.base_url)
    assert rest.exit_code == 0
    assert len(lines(job / "out.jsonl")) == 5


def test_a_table_is_put_together_with_its_input(job: Path) -> None:
    """Without it, its columns are not known."""
    result = CliRunner().invoke(main, ["merge", "a.csv", "-o", str(job / "out.csv")])
    assert result.exit_code == 2
    assert "and has the columns of the input; name the input with --input" in result.stderr


def test_what_is_no_output_is_refused(job: Path) -> None:
    """Missing, a folder, or a file of somebody else."""
    for name, words in (("none.jsonl", "does not exist"), ("", "does not exist or is not a file")):
        result = CliRunner().invoke(main, ["merge", str(job / name), "-o", str(job / "out.jsonl")])
        assert result.exit_code == 2
        assert words in result.stderr
