"""The command `tune`: what it recommends does what it says, and mistakes are told at once."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from ratedispatch.cli import main
from ratedispatch.cli.fake_server import fake_server
from ratedispatch.cli.fake_words import fake_words
from ratedispatch.cli.run import run
from ratedispatch.cli.tune_text import table_text
from ratedispatch.simulate.forecast.lengths import Lengths
from ratedispatch.simulate.settings import ProviderSettings
from tests.cli.run_command import row

if TYPE_CHECKING:
    from pathlib import Path

#: A job whose limit on tokens binds, since its caps are far too high.
TOKEN_BOUND = ("--rpm", "none", "--tpm", "60k", "--depth", "1", "--output-tokens", "uniform:20:60")

#: Leaves little to search.
BRIEF = ("--keep", "burst-seconds", "--keep", "order", "--keep", "max-in-flight")


def tune(folder: Path, *flags: str, rows: int = 30, name: str = "in.jsonl") -> Any:
    """Run the command in this process on a file of so many rows."""
    texts = [row(f"r{number}", max_tokens=400, model="gpt-5-mini") for number in range(rows)]
    (folder / name).write_text("\n".join(texts))
    arguments = ["tune", str(folder / name), "--no-memory", *flags]
    return CliRunner().invoke(main, arguments, env={"OPENAI_BASE_URL": None})


def found(result: Any) -> dict[str, Any]:
    """Return what was printed as JSON."""
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout)
    assert isinstance(values, dict)
    return values


def test_the_recommended_line_parses_to_the_recommended_settings(tmp_path: Path) -> None:
    """And keeps what was given: the limits, the prompt's file, and the caps on cost."""
    flags = (*TOKEN_BOUND, *BRIEF, "--max-cost", "3", "--price-in", "1", "--price-out", "2")
    values = found(tune(tmp_path, *flags, "--json"))
    own = values["accounts"][0]
    assert own["changes"] == ["max_tokens"]
    assert own["saved"] > 0.7
    words = values["command"]
    assert words[:2] == ["ratedispatch", "run"]
    parsed = run.make_context("run", words[2:]).params
    setting = own["best"]["setting"]
    assert parsed["max_tokens"] == setting["max_tokens"] == 64
    assert (parsed["rpm"], parsed["tpm"], parsed["max_cost"]) == ("none", 60_000, 3)
    assert (parsed["max_in_flight"], parsed["burst_seconds"]) == (None, None)
    assert str(parsed["output"]) == str(tmp_path / "in.out.jsonl")
    assert parsed["no_memory"] is True


def test_the_recommended_line_has_no_password(tmp_path: Path, monkeypatch: Any) -> None:
    """It may be in the address of a server, which the environment may hold."""
    monkeypatch.setenv(
        "RATEDISPATCH_TUNE_BASE_URL", "http://me:hush-91@localhost:9/v1?token=hush-92"
    )
    for flags in (("--json",), ()):
        result = tune(tmp_path, *TOKEN_BOUND, *BRIEF, *flags)
        assert result.exit_code == 0, result.output
        assert "http://localhost:9/v1?token=" in result.output
        assert "hush" not in result.output


def test_the_text_says_what_is_saved_what_it_costs_and_what_to_ask_for(tmp_path: Path) -> None:
    """In tables and sentences, with other accounts and services."""
    name = "it's <b>\x1b[2J.jsonl"
    flags = (*TOKEN_BOUND, *BRIEF, "--account", "<i>\x1b[1m=none:120k", "--tier", "openai-tier-2")
    result = tune(tmp_path, *flags, name=name)
    assert result.exit_code == 0, result.output
    text = result.stdout
    assert "30 rows on your account: 60,000 tokens per minute" in text
    assert "This command saves" in text
    assert "--max-tokens 64 lowers the output caps of 30 rows and cuts off no answer, as" in text
    assert "tokens per minute  +10% saves" in text
    assert "openai-tier-2: 5,000 requests per minute, 2,000,000 tokens per minute" in text
    assert "batch" in text
    assert "$'" in text
    assert "\x1b" not in text
    lines = [line for line in text.splitlines() if "ratedispatch run" not in line]
    assert max(map(len, lines)) <= 80


def test_a_job_of_which_no_row_can_be_sent_is_told_with_the_reason(tmp_path: Path) -> None:
    """And the numbers of the first."""
    result = tune(tmp_path, "--rpm", "none", "--tpm", "10", rows=2)
    assert result.exit_code == 2
    text = " ".join(result.stderr.split())
    assert "has no row that can be sent. Of 2 rows, 2 are not simulated: 2 can never fit" in text
    assert "the limit is 10 tokens per minute" in text


def test_a_tier_stands_in_for_limits_that_were_not_given(tmp_path: Path) -> None:
    """Its limits are in the recommended line."""
    values = found(tune(tmp_path, "--tier", "OpenAI-tier-1", *BRIEF, "--json", rows=3))
    assert values["accounts"][0]["tier"] == "openai-tier-1"
    assert values["accounts"][0]["source"].startswith("https://")
    words = " ".join(values["command"])
    assert "--rpm 500 --tpm 500000" in words


def test_the_lengths_of_a_former_run_propose_a_cap(tmp_path: Path) -> None:
    """Of answers between 20 and 49 tokens, the longest are kept whole."""
    answers = (
        {
            "id": f"batch_req_{number + 1:012}",
            "custom_id": f"r{number}",
            "response": {
                "status_code": 200,
                "request_id": "",
                "body": {
                    "model": "gpt-5-mini",
                    "usage": {"prompt_tokens": 8, "completion_tokens": 20 + number},
                },
            },
            "error": None,
        }
        for number in range(30)
    )
    former = tmp_path / "former.jsonl"
    former.write_text("".join(json.dumps(one) + "\n" for one in answers))
    flags = ("--rpm", "none", "--tpm", "60k", "--depth", "1", "--like", str(former), *BRIEF)
    values = found(tune(tmp_path, *flags, "--json"))
    assert values["accounts"][0]["best"]["setting"]["max_tokens"] == 56
    assert values["fit"]
    assert "--like" not in values["command"]


def test_a_job_that_stops_with_any_settings_is_left_as_it_is(tmp_path: Path) -> None:
    """It says why; nothing in the JSON is infinite."""
    result = tune(tmp_path, "--rpm", "600", "--rpd", "9", *BRIEF, rows=12)
    assert result.exit_code == 3, result.output
    assert "The job stops before its end with any settings: the limit of 9" in result.stdout
    assert "No settings prevent that:" in result.stdout
    assert "nan" not in result.stdout
    values = tune(tmp_path, "--rpm", "600", "--rpd", "9", *BRIEF, "--json", rows=12)
    assert json.loads(values.stdout)["accounts"][0]["best"]["seconds"] is None


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--tier", "openai-teir-1"), "--tier: there is no tier 'openai-teir-1'; the nearest is"),
        (("--rpm", "9", "--account", "x"), "--account: 'x' is not NAME=RPM:TPM"),
        (("--rpm", "9", "--account", "a=1:1k", "--account", "a=2:2k"), "names 'a' twice"),
        ((), "no limit of the account is known"),
        (("--rpm", "9", "--spend", "3"), "--spend limits what --verify may cost"),
        (("--rpm", "9", "--plot", "a.pdf"), "must end in .png or .svg"),
        (("--rpm", "9", "--plot", "/nowhere/a.png"), "the folder /nowhere does not exist"),
        (("--rpm", "9", "--keep", "rpm"), "'rpm' is not one of"),
    ],
)
def test_a_mistake_is_told_before_anything_is_searched(
    tmp_path: Path, flags: tuple[str, ...], message: str
) -> None:
    """With the way out."""
    result = tune(tmp_path, *flags, rows=2)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_charts_do_not_follow_a_link(tmp_path: Path) -> None:
    """What it points to stays as it is, and so does what is no file."""
    (tmp_path / "kept.txt").write_text("kept")
    (tmp_path / "a.png").symlink_to(tmp_path / "kept.txt")
    (tmp_path / "b.png").mkdir()
    for name, message in (("a.png", "is a link, and links are not followed"), ("b.png", "b.png")):
        result = tune(tmp_path, "--rpm", "9", "--plot", str(tmp_path / name), rows=2)
        assert result.exit_code == 2
        assert message in " ".join(result.output.split())
    assert (tmp_path / "kept.txt").read_text() == "kept"


def test_charts_need_a_library_that_need_not_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message has the command that installs it."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = tune(tmp_path, "--rpm", "9", "--plot", str(tmp_path / "a.png"), rows=2)
    assert result.exit_code == 2
    assert "pip install matplotlib" in result.output


@pytest.mark.slow
def test_charts_are_drawn(tmp_path: Path) -> None:
    """With names that mean nothing to a browser."""
    pytest.importorskip("matplotlib")
    path = tmp_path / "a.svg"
    flags = (*TOKEN_BOUND, *BRIEF, "--account", "<script>=none:1M", "--plot", str(path))
    result = tune(tmp_path, *flags, rows=5)
    assert result.exit_code == 0, result.output
    content = path.read_bytes()
    assert content.startswith(b"<?xml")
    assert b"<script>" not in content


@pytest.mark.slow
def test_the_recommendation_is_run_and_compared(tmp_path: Path) -> None:
    """Against a server like the modelled provider; nothing is left beside the input."""
    flags = ("--rpm", "none", "--tpm", "600k", "--depth", "2", "--output-tokens", "50")
    more = ("--latency", "0.05", "--latency-sigma", "0", "--verify", "--json", "-q")
    values = found(tune(tmp_path, *flags, *BRIEF, *more, rows=60))
    first, second = values["verified"]
    assert first["setting"]["max_tokens"] == 56
    assert second["setting"]["max_tokens"] is None
    assert second["measured"] > 1.2 * first["measured"] > 0
    # a busy machine may take longer than is foretold, but not less
    assert second["error"] < 0.1
    assert [first["refused"], second["refused"]] == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_fake_server_takes_the_flags_of_all_settings() -> None:
    """As the settings say it."""
    settings = ProviderSettings(
        requests_per_minute=500,
        tokens_per_minute=1e6,
        burst_seconds=5,
        refund=True,
        headers=False,
        engine_slots=32,
        queue=4,
        engine_batching=1.5,
        output_tokens=Lengths.parse("lognormal:200:0.5"),
        faults={"500": 0.01},
        models={"a*": (5.0, None)},
        changes=((60.0, None, 5.0),),
        competitor=((30.0, 600.0),),
        outage=(5.0, 10.0),
        outage_model="a",
    )
    words = fake_words(settings)
    parsed = fake_server.make_context("fake-server", list(words)).params
    assert (parsed["rpm"], parsed["engine_slots"], parsed["queue"]) == (500, 32, 4)
    assert parsed["output_tokens"].text == "lognormal:200:0.5"
    assert words[words.index("--outage") + 1] == "5.0:10.0:a"
    fitted = fake_words(ProviderSettings(output_tokens=Lengths.of([10, 20])))
    assert fitted[fitted.index("--output-tokens") + 1] == "15"
    silent = fake_words(ProviderSettings(output_tokens=Lengths.of([0, 0])))
    assert silent[silent.index("--output-tokens") + 1] == "1"


def test_columns_of_a_table_end_together() -> None:
    """But for the first, which begin together."""
    assert table_text([("", "time"), ("best", "9 s"), ("x", "10 s")]) == (
        "      time\nbest   9 s\nx     10 s"
    )
