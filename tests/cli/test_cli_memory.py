"""Memory between runs on the command line: what a run keeps, shows and forgets."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from ratedispatch.cli import main
from ratedispatch.dispatch.recollection import digest_of
from ratedispatch.memory import facts
from ratedispatch.memory.facts import Fact
from ratedispatch.memory.state_folder import StateFolder, state_path
from ratedispatch.simulate.server.child import FakeServerProcess
from tests.cli.run_command import KEY, row, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


_RULE = "the larger of tokens and characters and the cap on the output, corrected to what was used"


def memory(*words: str) -> Any:
    return CliRunner().invoke(main, ["memory", *words])


def shown() -> list[dict[str, Any]]:
    accounts: list[dict[str, Any]] = json.loads(memory("show", "--json").stdout)["accounts"]
    return accounts


def remember(*found: Fact, url: str = "http://localhost:1/v1") -> StateFolder:
    path = state_path(os.environ)
    assert path is not None
    folder = StateFolder(path)
    account = folder.of(url, digest_of(KEY), "")
    assert account is not None
    account.keep(lambda now: [fact._replace(at=now - fact.at) for fact in found])
    return folder


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with FakeServerProcess("--rpm", "60000", "--tpm", "10000000") as child:
        yield child.base_url


def rows(folder: Path, count: int) -> None:
    lines = [row(f"r{number}") + "\n" for number in range(count)]
    (folder / "in.jsonl").write_text("".join(lines))


def test_a_run_keeps_what_it_has_learned(job: Path, server: str) -> None:
    """Limits, by headers; and no key in any file."""
    rows(job, 40)
    flags = ("--rpm", "auto", "--tpm", "auto", "--base-url", server)
    assert run(job, *flags).exit_code == 0
    (account,) = shown()
    limits = {fact["of"]: fact["value"] for fact in account["facts"] if fact["kind"] == "limit"}
    assert limits == {"requests": 60_000.0, "tokens": 10_000_000.0}
    path = state_path(os.environ)
    assert path is not None
    assert not [one for one in path.rglob("*") if one.is_file() and KEY in one.read_text("latin-1")]


@pytest.mark.parametrize("flags", [("--no-memory",), ("--fake",)])
def test_a_run_without_memory_writes_nothing(
    job: Path, server: str, own_state: Path, flags: tuple[str, ...]
) -> None:
    """Nor does a trial."""
    where = () if "--fake" in flags else ("--base-url", server)
    assert run(job, *flags, *where).exit_code == 0
    assert not own_state.exists()


def test_the_budget_of_a_day_survives(job: Path, server: str) -> None:
    """Three of five are spent, and the same again stops early, resumably."""
    rows(job, 3)
    flags = ("--base-url", server, "--rpd", "5")
    assert run(job, *flags).exit_code == 0
    later = job / "later"
    later.mkdir()
    rows(later, 4)
    result = run(later, *flags)
    assert result.exit_code == 3, result.output
    assert len((later / "out.jsonl").read_text().splitlines()) == 2
    assert run(later, *flags, "--no-memory").exit_code == 0


def test_a_folder_that_cannot_be_had_is_a_note(job: Path, server: str, own_state: Path) -> None:
    """And nothing else."""
    own_state.write_text("a file")
    result = run(job, "--base-url", server)
    assert result.exit_code == 0
    assert result.stderr.count("what is learned is not saved") == 1
    assert "[Errno" not in result.stderr


def test_a_run_says_what_it_begins_with(job: Path, server: str) -> None:
    """Only what counts, limits that are to be learned and the day; not if it is to be quiet."""
    flags = ("--rpm", "auto", "--tpm", "9M", "--rpd", "100", "--base-url", server)
    remember(
        Fact(facts.LIMIT, "requests", 3_000.0, 60.0),
        Fact(facts.LIMIT, "tokens", 7.0, 60.0),
        Fact(facts.SPENT, "requests_per_day", [40.0, 100.0], 0.0),
        url=server,
    )
    said = "learned in earlier runs: 3,000 requests per minute, 40 requests used today"
    told = run(job, *flags).stderr
    assert said in told
    assert "limit in force: 60,000 requests per minute" in told
    (job / "in.jsonl").write_text(row("b"))
    quiet = run(job, *flags, "--quiet", "--allow-changed-input")
    assert quiet.exit_code == 0
    assert "in earlier runs" not in quiet.stderr


def test_what_is_kept_is_shown_as_a_table() -> None:
    """A line for each fact, with its age."""
    remember(
        Fact(facts.LIMIT, "requests", 3_000.0, 7_200.0),
        Fact(facts.REACHED, "tokens", 12_000.0, 60.0),
        Fact(facts.RULE, "tokens", [2, True, True], 60.0),
        Fact(facts.SPENT, "requests_per_day", [400.0, 1_000.0], 0.0),
        Fact(facts.RATE, "", 2.0, 60.0),
        Fact(facts.IN_FLIGHT, "", 64, 60.0),
        Fact(facts.LATENCY, "", 0.25, 60.0),
        Fact(facts.SLOWEST, "", [6.0, 0.028], 60.0),
        Fact(facts.OUTPUT, "gpt-4o", 310, 60.0),
    )
    lines = memory("show").stdout.splitlines()
    assert lines[0].startswith("1 account in /")
    assert lines[2].endswith("  http://localhost:1/v1")
    table = [" ".join(line.split()) for line in lines[3:]]
    assert table == [
        "limit 3,000 requests per minute 2 h ago",
        "no limit up to 12,000 tokens per minute 1 min ago",
        "limit 120 requests per minute, unless one is set 1 min ago",
        "used today 400 of 1,000 requests 0.0 s ago",
        f"charge of tokens {_RULE} 1 min ago",
        "in flight 64 1 min ago",
        "latest answer 0.25 s 1 min ago",
        "slowest answer 6 s, at most 28 ms per token 1 min ago",
        "answers of gpt-4o 95 % within 310 tokens 1 min ago",
    ]


def test_nothing_is_shown_as_nothing() -> None:
    """Before the first run."""
    result = memory("show")
    assert result.stdout.startswith("Nothing is saved in /")
    assert shown() == []


def test_accounts_are_forgotten_by_name_server_or_all() -> None:
    """The beginning of a name is enough."""
    folder = remember(Fact(facts.LIMIT, "requests", 3_000.0, 0.0))
    remember(Fact(facts.LIMIT, "requests", 3_000.0, 0.0), url="https://a.example/v1")
    remember(Fact(facts.LIMIT, "requests", 3_000.0, 0.0), url="https://b.example/v1")
    name = next(one.name for one in folder.accounts() if "localhost" in one.place)
    assert memory("forget", name[:12]).stdout == "1 account forgotten\n"
    assert memory("forget", "https://a.example/v1/").stdout == "1 account forgotten\n"
    assert [one["server"] for one in shown()] == ["https://b.example/v1"]
    assert memory("forget", "--all").stdout == "1 account forgotten\n"
    assert shown() == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "or --all"),
        (("--all", "x"), "or --all"),
        (("nobody",), "nothing is saved about 'nobody'"),
        (("https://nowhere/v1",), "nothing is saved about"),
    ],
)
def test_whoever_is_not_there_cannot_be_forgotten(words: tuple[str, ...], said: str) -> None:
    """A usage error."""
    result = memory("forget", *words)
    assert result.exit_code == 2
    assert said in result.stderr
