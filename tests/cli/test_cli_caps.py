"""The log and the caps of a run, as its user meets them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from ratedispatch.cli import main
from ratedispatch.simulate.server.child import FakeServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "sk-very-secret-key-0123456789"


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServerProcess]:
    with FakeServerProcess("--latency", "0.01", "--api-key", KEY) as child:
        yield child


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A folder with an input of three rows, each at most 16 tokens long."""
    write_rows(tmp_path, "gpt-4o")
    return tmp_path


def write_rows(folder: Path, model: str) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 16}
    rows = [
        json.dumps({"custom_id": name, "url": "/v1/chat/completions", "body": body})
        for name in "abc"
    ]
    (folder / "in.jsonl").write_text("\n".join(rows))


def run(folder: Path, *flags: str, url: str = "http://127.0.0.1:9/v1") -> Any:
    """Run the command in this process on in.jsonl of *folder*."""
    arguments = ["run", str(folder / "in.jsonl"), "-o", str(folder / "out.jsonl"), "--quiet"]
    arguments += ["--rpm", "60k", "--tpm", "10M", *flags]
    if "--fake" not in flags:
        arguments += ["--base-url", url]
    return CliRunner().invoke(main, arguments, env={"OPENAI_API_KEY": KEY})


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_text().splitlines()]


@pytest.mark.slow
def test_rows_are_sent_in_portions_and_logged_in_one_file(
    job: Path, server: FakeServerProcess
) -> None:
    """Exit 3 with both numbers and the way out, then exit 0; the log has an attempt for each."""
    log = job / "log.jsonl"
    flags = ("--max-rows", "2", "--log-json", str(log))
    first = run(job, *flags, url=server.base_url)
    assert first.exit_code == 3, first.output
    assert "2 rows were sent in this run, and the cap is 2; run the same command" in first.stderr
    assert "cost $" in first.stdout
    second = run(job, *flags, url=server.base_url)
    assert second.exit_code == 0, second.output
    events = lines(log)
    assert [e["event"] for e in events] == [
        *("run", "attempt", "attempt", "stop", "end"),
        *("run", "attempt", "end"),
    ]
    assert sorted(e["custom_id"] for e in events if "custom_id" in e) == ["a", "b", "c"]
    assert all(e["at"].endswith("Z") for e in events)
    assert KEY not in log.read_text()


@pytest.mark.slow
def test_the_cost_is_told_when_prices_are_given(job: Path) -> None:
    """In the last line and in the report; with the fake server too."""
    result = run(job, "--fake", "--price-in", "0", "--price-out", "1000000")
    assert result.exit_code == 0, result.output
    outputs = [line["response"]["body"]["usage"] for line in lines(job / "out.jsonl")]
    total = sum(usage["completion_tokens"] for usage in outputs)
    assert result.stdout.endswith(f"; cost ${total}.00.\n")
    again = run(job, "--fake", "--price-in", "0", "--price-out", "1000000", "--json")
    assert json.loads(again.stdout)["cost_usd"] is None


def test_a_cap_on_cost_stops_and_says_how_to_go_on(job: Path, server: FakeServerProcess) -> None:
    """A row of $16 at most does not fit into $10."""
    flags = ("--max-cost", "10", "--price-in", "0", "--price-out", "1000000")
    result = run(job, *flags, url=server.base_url)
    assert result.exit_code == 3, result.output
    assert "$0.00 spent by this job, $0.00 in flight" in result.stderr
    assert "cap of $10.00; raise --max-cost and run" in result.stderr


def test_a_small_cost_has_more_digits(job: Path, server: FakeServerProcess) -> None:
    """List prices of gpt-4o: less than a cent for three rows."""
    result = run(job, "--max-cost", "1", url=server.base_url)
    assert result.exit_code == 0, result.output
    assert "; cost $0.000" in result.stdout


def test_a_model_without_a_price_is_a_mistake(job: Path, server: FakeServerProcess) -> None:
    """Exit 2 before anything is sent; it names the model and the flags."""
    write_rows(job, "mystery")
    before = server.stats()["arrived"]
    result = run(job, "--max-cost", "1", url=server.base_url)
    assert result.exit_code == 2
    assert "'mystery'" in result.stderr
    assert "give --price-in and --price-out, or omit --max-cost" in result.stderr
    assert server.stats()["arrived"] == before


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--price-in", "1"), "--price-in and --price-out must be given together"),
        (("--price-out", "1"), "--price-in and --price-out must be given together"),
        (("--max-cost", "0"), "--max-cost"),
        (("--max-cost", "nan"), "--max-cost"),
        (("--max-rows", "0"), "--max-rows"),
        (("--log-json", "missing/log"), "cannot be opened: No such file or directory"),
        (("--log-json", "."), "cannot be opened: it is not a regular file"),
        (("--log-json", "in.jsonl"), "is the input file of the job"),
        (("--log-json", "link.jsonl"), "is the input file of the job"),
        (("--log-json", "out.jsonl.job"), "is the job file of the job"),
    ],
)
def test_flags_that_mean_nothing_touch_nothing(
    job: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], message: str
) -> None:
    """Exit 2, one sentence, no file made."""
    monkeypatch.chdir(job)
    (job / "link.jsonl").hardlink_to(job / "in.jsonl")
    text = (job / "in.jsonl").read_text()
    before = sorted(path.name for path in job.iterdir())
    result = run(job, *flags)
    assert result.exit_code == 2
    assert message in result.stderr
    assert sorted(path.name for path in job.iterdir()) == before
    assert (job / "in.jsonl").read_text() == text
