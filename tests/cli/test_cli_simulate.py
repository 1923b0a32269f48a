"""`ratedispatch simulate` as its user meets it: flags of a run and of a provider, and the text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from ratedispatch.cli import main
from tests.cli.run_command import row

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An input of 40 rows."""
    file = tmp_path / "in.jsonl"
    file.write_text("".join(row(f"r{number}") + "\n" for number in range(40)))
    return file


def simulate(path: Path, *flags: str) -> Any:
    """Run the command without a key."""
    variables = {"OPENAI_API_KEY": None, "OPENAI_BASE_URL": None}
    return CliRunner().invoke(main, ["simulate", str(path), *flags], env=variables)


def foretold(path: Path, *flags: str) -> dict[str, Any]:
    """Return what it prints as JSON."""
    result = simulate(path, "--json", *flags)
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout)
    assert isinstance(values, dict)
    return values


ONE_A_SECOND = ("--rpm", "60", "--tpm", "none", "--depth", "1", "--latency-sigma", "0")


def test_the_forecast_is_told_in_small_tables(path: Path) -> None:
    """Forty rows at one a second: the last leaves after 39 s, and is answered after 0.2."""
    result = simulate(path, *ONE_A_SECOND)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0] == "40 rows: 40 answered"
    assert "time       39.2 s" in lines
    assert "limits     100% of requests per minute" in lines
    assert "requests   40 sent, 0 refused" in lines
    assert "rows done    60 %    70 %    80 %    90 %   100 %" in lines
    assert any(line.startswith("after") and line.endswith("39.2 s") for line in lines)
    assert any(line.startswith("bound by   requests per minute for 39") for line in lines)
    assert any(line.startswith("if killed  0.2 rows billed twice") for line in lines)
    assert result.stdout.rstrip().endswith("the lowest and the highest result.")
    assert max(map(len, lines)) <= 80


def test_json_has_every_number_with_its_interval(path: Path) -> None:
    """And what it costs, and what a kill would bill twice."""
    told = foretold(path, *ONE_A_SECOND, "--seeds", "2", "--price-in", "1", "--price-out", "10")
    assert told["seconds"] == pytest.approx({"mean": 39.2, "low": 39.2, "high": 39.2}, abs=0.01)
    assert (told["rows"], told["plays"], told["by"], told["order"]) == (40, 2, "engine", "file")
    assert told["binding"] == "requests"
    (kind,) = told["kinds"]
    assert kind["output_tokens"]["mean"] == 40 * 2  # half of a cap of 5, rounded to even
    usd = (kind["prompt_tokens"]["mean"] + 10 * 80) / 1e6
    assert told["cost_usd"]["mean"] == pytest.approx(usd)
    assert told["killed"]["rows_most"] == 1
    assert told["killed"]["usd_most"] == pytest.approx(usd / 40, abs=1e-6)
    assert told["unsendable"] == {}


def test_the_command_line_of_a_run_is_taken_as_it_is(path: Path) -> None:
    """Its output is not touched, and its flags that change the pace count."""
    out = path.with_name("out.jsonl")
    flags = ("-o", str(out), "--log-json", str(out), "--fsync", "always", "--transport", "sdk")
    told = foretold(path, *flags, "--fake", "--rpm", "600", "--tpm", "1M", "--max-in-flight", "1")
    assert told["binding"] == "in_flight"
    assert told["in_flight_peak"]["high"] == 1
    assert not out.exists()
    assert foretold(path, *ONE_A_SECOND, "--max-rows", "10")["seconds"]["mean"] < 10


def test_limits_that_the_job_is_to_learn_are_those_of_the_account(path: Path) -> None:
    """The job finds them in the headers, or by being refused."""
    told = foretold(path, "--account-rpm", "60", "--account-tpm", "100k", "--depth", "1")
    assert told["seconds"]["mean"] == pytest.approx(39.3, abs=1.5)
    assert told["notes"] == []
    blind = foretold(path, "--account-rpm", "60", "--depth", "1", "--no-headers")
    assert blind["refused"]["mean"] > 0
    (note,) = blind["notes"]
    assert note.startswith("The account is simulated without a limit on tokens: ")


def test_a_job_that_stops_exits_as_a_run_does(path: Path) -> None:
    """With 3, and says at which rows and why."""
    result = simulate(path, *ONE_A_SECOND, "--outage", "10:1000000", "--max-attempts", "2")
    assert result.exit_code == 3
    assert "the job stops early (" in result.stdout
    assert "then it stops" in result.stdout
    assert "never" in result.stdout


def test_rows_that_cannot_be_sent_are_counted_and_not_played(path: Path) -> None:
    """With the exit code of plan."""
    path.write_text(path.read_text() + "no row\n" + row("long", max_tokens=9000) + "\n")
    result = simulate(path, "--rpm", "600", "--tpm", "6000", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["rows"], told["rows_read"]) == (40, 42)
    assert told["unsendable"] == {"invalid_line": 1, "cost_exceeds_limit": 1}
    (note,) = told["notes"]
    assert note.startswith(
        "Of 42 rows, 2 are not simulated: 1 is malformed, 1 can never fit into the limit. "
    )
    assert note.endswith("; plan lists them.")


def test_a_cap_on_the_cost_is_told_where_it_would_stop_the_run(path: Path) -> None:
    """The forecast is that of the whole job; the exit code is that of the run."""
    prices = ("--price-in", "1000", "--price-out", "1000")
    result = simulate(path, "--json", *ONE_A_SECOND, *prices, "--max-cost", "0.01")
    assert result.exit_code == 3
    notes = json.loads(result.stdout)["notes"]
    (note,) = notes
    assert note.startswith("The run would stop early, at its --max-cost of $0.01; ")
    assert foretold(path, *ONE_A_SECOND, *prices, "--max-cost", "9")["notes"] == []


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        ((), "no limit of the account is known"),
        (("--rpm", "60", "--share", "local"), "--share cannot be simulated"),
        (("--rpm", "60", "--queue", "3"), "queue is 3"),
        (("--rpm", "60", "--fault", "unheard-of=1"), "there is no fault"),
        (("--rpm", "60", "--output-tokens", "long"), "is not a distribution of tokens"),
        (("--rpm", "60", "--seeds", "0"), "--seeds"),
        (("--rpm", "60", "--price-in", "1"), "--price-in and --price-out"),
    ],
)
def test_mistakes_are_told_in_a_sentence(path: Path, flags: tuple[str, ...], word: str) -> None:
    """With the flag, and exit code 2."""
    result = simulate(path, *flags)
    assert result.exit_code == 2
    assert word in " ".join(result.stderr.replace("│", " ").split())


def test_an_input_that_is_not_there_is_told(tmp_path: Path) -> None:
    """As plan does."""
    result = simulate(tmp_path / "none.jsonl", "--rpm", "60")
    assert result.exit_code == 2
    assert "none.jsonl" in result.stderr


def test_an_empty_job_is_foretold_too(path: Path) -> None:
    """All rows malformed: nothing to play, and no division by nothing."""
    path.write_text("no row\n")
    result = simulate(path, "--rpm", "60")
    assert result.exit_code == 1, result.output
    assert result.stdout.startswith(
        "There are no rows to send.\n\nOf 1 row, 1 is not simulated: 1 is malformed. It is line 1"
    )
