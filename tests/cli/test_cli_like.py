"""`simulate --like`: the provider of a former run, shown, played, and beaten by flags."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from ratedispatch.cli import main
from tests.cli.run_command import row

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 40


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a job that was run: in.jsonl, out.jsonl and run.log."""
    folder = tmp_path_factory.mktemp("former")
    rows = [row(f"r{place}", max_tokens=20 + 10 * (place % 4)) + "\n" for place in range(ROWS)]
    (folder / "in.jsonl").write_text("".join(rows))
    flags = ["-o", str(folder / "out.jsonl"), "--log-json", str(folder / "run.log"), "-q"]
    result = command(folder, "run", *flags, "--fake", "--rpm", "60k", "--tpm", "10M")
    assert result.exit_code == 0, result.output
    return folder


def command(folder: Path, name: str, *flags: str, **variables: str | None) -> Any:
    environment = {"OPENAI_API_KEY": None, "OPENAI_BASE_URL": None, **variables}
    arguments = [name, str(folder / "in.jsonl"), *flags]
    return CliRunner().invoke(main, arguments, env=environment)


LIMITS = ("--rpm", "600", "--tpm", "1M")


@pytest.mark.parametrize("name", ["run.log", "out.jsonl"])
def test_the_fit_is_shown_above_the_forecast_and_played(former: Path, name: str) -> None:
    """Half of each cap; and the bill is what the former run of the same rows was billed."""
    result = command(former, "simulate", "--like", str(former / name), *LIMITS)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"like {name}: {ROWS} ")
    assert lines.index(f"{ROWS} rows: {ROWS} answered") > 3
    assert any("outputs    50.0% of the cap, all alike" in line for line in lines)
    assert max(map(len, lines)) <= 80
    told = json.loads(
        command(former, "simulate", "--like", str(former / name), *LIMITS, "--json").stdout
    )
    (kind,) = told["kinds"]
    answers = [json.loads(line) for line in (former / "out.jsonl").read_text().splitlines()]
    usage = [answer["response"]["body"]["usage"] for answer in answers]
    assert kind["output_tokens"]["mean"] == sum(one["completion_tokens"] for one in usage)
    usd = sum(one["prompt_tokens"] * 2.5 + one["completion_tokens"] * 10 for one in usage) / 1e6
    assert told["cost_usd"]["mean"] == pytest.approx(usd)
    assert told["expected_bill"]["answered"] == ROWS
    assert told["fit"]["outputs"][0]["follows"] == "cap"


def test_a_flag_beats_the_fit(former: Path) -> None:
    """Lengths and latencies that are given are played, whatever was seen."""
    like = ("--like", str(former / "run.log"), "--json")
    flags = ("--rpm", "60", "--tpm", "none", "--depth", "1", "--output-tokens", "7")
    told = json.loads(command(former, "simulate", *like, *flags, "--latency", "30").stdout)
    assert told["kinds"][0]["output_tokens"]["mean"] == 7 * ROWS
    assert told["seconds"]["mean"] > 60
    assert told["fit"]["latency"]["median_s"]["value"] < 1


def test_limits_that_are_not_given_are_those_of_the_former_run(former: Path) -> None:
    """The job learns them; the account has them."""
    told = json.loads(
        command(former, "simulate", "--like", str(former / "run.log"), "--json").stdout
    )
    assert told["rows"] == ROWS
    assert told["fit"]["limits"] == {"requests": 60_000, "tokens": 10_000_000}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--like", "nothing"), "--like nothing does not exist; give an event log"),
        (("--like", "memory"), "nothing is remembered about https://api.openai.com/v1"),
        (("--like", "x", "--probe", "5", "-o", "out"), "cannot be used together"),
    ],
)
def test_what_shows_nothing_is_one_error(
    former: Path, tmp_path: Path, flags: tuple[str, ...], said: str
) -> None:
    """With the way out, and the exit code of a wrong usage."""
    result = command(former, "simulate", *LIMITS, *flags, XDG_STATE_HOME=str(tmp_path))
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


def test_tune_takes_it_too(former: Path) -> None:
    """What it recommends is for that provider; the command that it prints has no such flag."""
    flags = ("--like", str(former / "run.log"), *LIMITS, "-q")
    told = json.loads(command(former, "tune", *flags, "--json").stdout)
    assert told["fit"]["outputs"][0]["follows"] == "cap"
    assert "--like" not in told["command"]
    text = command(former, "tune", *flags).stdout
    assert text.startswith(f"like run.log: {ROWS} attempts")
