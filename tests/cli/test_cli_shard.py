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
    assert "no shard 2/2: counted from 0, those of 2 are 0/2 to 1/2" in result.stderr
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
