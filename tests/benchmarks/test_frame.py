"""What all benchmarks share: turns, spreads, tables, command lines, and finding them by name."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import json
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import __main__ as runner
from benchmarks.catalogue import Benchmark, find_benchmarks, select
from benchmarks.frame import command
from benchmarks.frame.bounds import Step, amount_by, least_instant
from benchmarks.frame.environment import describe, environment
from benchmarks.frame.rounds import costs, interleave
from benchmarks.frame.spread import Spread, ratios
from benchmarks.frame.tables import compared, outline, table
from benchmarks.micro import bucket, headers, journal
from ratedispatch.jobs.batchfile import outcome_line, row_of
from ratedispatch.providers.registry import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Sequence

DOCSTRING = """
What a thing costs, on
two lines.

More of it.
"""


def test_variants_take_turns() -> None:
    """A B A B, never A A B B, and each knows the number of its round."""
    order: list[tuple[str, int]] = []

    def note(name: str, number: int) -> int:
        order.append((name, number))
        return 10 * number

    found = interleave({"a": lambda n: note("a", n), "b": lambda n: note("b", n)}, 2)
    assert order == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert found == {"a": [0, 10], "b": [0, 10]}


@pytest.mark.slow  # garbage of the whole test run is collected before each variant
def test_costs_leave_out_the_first_round() -> None:
    """The round in which caches fill is run and not counted."""
    calls: list[str] = []
    found = costs({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 5, 2)
    assert calls == ["a", "b"] * 3
    assert {name: len(values) for name, values in found.items()} == {"a": 2, "b": 2}


def test_spread_of_values() -> None:
    """The median of an odd number is one of them, of an even number between two."""
    assert Spread.of([3.0, 1.0, 2.0]) == (2.0, 1.0, 3.0)
    assert Spread.of([1.0, 2.0]).as_dict() == {"median": 1.5, "least": 1.0, "most": 2.0}


def test_ratios_are_taken_within_a_round() -> None:
    """A round in which the machine is ten times slower has the ratio of the others."""
    samples = {"base": [1.0, 10.0, 1.0], "ours": [2.0, 20.0, 2.0]}
    assert ratios(samples, "base") == {"ours": (2.0, 2.0, 2.0)}


def test_a_comparison_has_figures_and_a_table() -> None:
    """What is divided by has no ratio."""
    figures, text = compared({"bare": [1.0, 1.0], "ours": [3.0, 4.0]}, "bare", "µs a row")
    assert figures["cpu_us"]["ours"]["median"] == 3.5
    assert figures["times_bare"] == {"ours": {"median": 3.5, "least": 3.0, "most": 4.0}}
    heading, bare, ours = text.splitlines()
    assert "µs a row" in heading
    assert "–" in bare
    assert ours.split() == ["ours", "3.50", "3.00", "4.00", "3.50", "3.00", "4.00"]


def test_a_table_is_aligned() -> None:
    """The first column to the left, the others to the right."""
    assert table([["name", "n"], ["a", "100"]]) == "name    n\na     100"


def test_an_outline_has_a_spread_on_one_line() -> None:
    """Of any shape, with what belongs together below its name."""
    result = {
        "rows": 20_000,
        "speed": {"median": 2.0, "least": 1.0, "most": 3.0},
        "parts": {"a": 0.25, "is_on_target": True, "missed": []},
    }
    assert outline(result).splitlines() == [
        "rows   20,000",
        "speed  2 (1 to 3)",
        "parts",
        "  a             0.25",
        "  is_on_target  yes",
        "  missed        –",
    ]


def test_surroundings_name_seed_date_versions_and_machine() -> None:
    """As JSON, with the date in UTC wherever it was taken."""
    east = datetime(2026, 11, 23, 12, 0, tzinfo=timezone(timedelta(hours=2)))
    found = environment(7, now=east)
    assert json.loads(json.dumps(found)) == found
    assert found["seed"] == 7
    assert found["date"] == "2026-11-23T10:00:00+00:00"
    assert {"python", "ratedispatch", "aiolimiter", "tiktoken"} <= set(found["versions"])
    assert {"system", "processor", "cores"} <= set(found["machine"])
    assert "seed 7; 2026-11-23T10:00:00+00:00" in describe(found)
    assert "seed" not in describe(environment(None, now=datetime(2026, 1, 1, tzinfo=UTC)))


@pytest.mark.parametrize("flag", ["--repeats", "--runs", "--rounds"])
def test_every_benchmark_takes_the_number_of_repeats_by_any_name(flag: str) -> None:
    """So that one command can pass it to a whole room."""
    parser = command.make_parser(DOCSTRING, repeats=5, flag="--runs")
    assert parser.parse_args([flag, "2"]).repeats == 2
    assert parser.parse_args([]).repeats == 5
    assert parser.description == "What a thing costs, on two lines."


@pytest.mark.parametrize("text", ["0", "-1", "two"])
def test_a_number_of_repeats_is_at_least_one(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Anything else is a usage error that says so."""
    with pytest.raises(SystemExit) as end:
        command.make_parser(DOCSTRING, repeats=5).parse_args([f"--repeats={text}"])
    assert end.value.code == 2
    assert ("at least 1" in capsys.readouterr().err) == (text != "two")


def publish(tmp_path: Path, *flags: str) -> None:
    arguments = command.make_parser(DOCSTRING, repeats=1).parse_args(flags)
    surroundings = environment(arguments.seed)
    command.publish(arguments, surroundings, {"speed": 3}, "the text", caveats=["slow machine"])


def test_a_result_is_text_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--json`` alone replaces the text, with a file it is written besides."""
    publish(tmp_path)
    text = capsys.readouterr().out
    assert "the text" in text
    assert "Caveat: slow machine." in text
    publish(tmp_path, "--json")
    printed = json.loads(capsys.readouterr().out)
    assert printed["speed"] == 3
    assert printed["caveats"] == ["slow machine"]
    assert {"benchmark", "seed", "date", "versions", "machine"} <= set(printed)
    publish(tmp_path, "--json", str(tmp_path / "out.json"), "--seed", "9")
    assert "the text" in capsys.readouterr().out
    assert json.loads((tmp_path / "out.json").read_text("utf-8"))["seed"] == 9


def write_room(root: Path, room: str, **modules: str) -> None:
    (root / room).mkdir()
    for name, text in modules.items():
        (root / room / f"{name}.py").write_text(text, encoding="utf-8")


def test_a_file_that_cannot_be_written_is_refused_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = command.make_parser("What it is.", repeats=1)
    for wrong in (tmp_path, tmp_path / "nowhere" / "result.json"):
        with pytest.raises(SystemExit) as ended:
            parser.parse_args(["--json", str(wrong)])
        assert ended.value.code == 2
        assert "give the name of a file" in capsys.readouterr().err


def test_benchmarks_are_found_by_themselves(tmp_path: Path) -> None:
    """A module with ``main``; not one without, not a child; a room's own ``__main__``."""
    main = "\n\ndef main() -> int:\n    return 0\n"
    write_room(
        tmp_path,
        "micro",
        quick=f'"""\nWhat is\nquick.\n\nMore.\n"""{main}',
        helper='"""Arithmetic."""\n\ndef other() -> None: ...\n',
        child=f'"""\nA part.\n\nRun as a child: ``python -m x``.\n"""{main}',
        broken=f'"""Needs a package."""\nimport package_that_is_not_there{main}',
    )
    write_room(tmp_path, "sim", __main__=f'"""Virtual."""{main}')
    write_room(tmp_path, "elsewhere", thing=f'"""No room."""{main}')
    assert find_benchmarks(tmp_path) == (
        Benchmark("micro.broken", "Needs a package"),
        Benchmark("micro.quick", "What is quick"),
        Benchmark("sim", "Virtual"),
    )


def test_the_rooms_of_this_tree_are_listed() -> None:
    """Each with one line; the programs that benchmarks start themselves are not among them."""
    found = {one.name: one for one in find_benchmarks()}
    assert {"micro.counting", "micro.bucket", "live.main_job", "sim"} <= set(found)
    assert not {"live.watched", "live.baselines", "live.bound"} & set(found)
    text = runner.listing(tuple(found.values())).splitlines()
    for name, one in found.items():
        assert 10 <= len(one.summary) <= 120, name
        assert sum(line.split()[:1] == [name] for line in text) == 1


#: What has a place in the list, and measures nothing.
BESIDE = {"peers.install"}


@pytest.mark.parametrize(
    "one", [one for one in find_benchmarks() if one.name not in BESIDE], ids=lambda one: one.name
)
def test_every_benchmark_has_the_flags_and_the_output_of_all(one: Benchmark) -> None:
    """By the frame, so that none says less of where its figures come from."""
    root = Path(runner.__file__).resolve().parent
    path = root.joinpath(*one.name.split("."))
    source = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(source.read_text("utf-8"))
    called = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert {"make_parser", "environment", "publish"} <= called
    assert "ArgumentParser" not in source.read_text("utf-8")


COMMAND = re.compile(r"python -m benchmarks[. ]([a-z][\w.]*)")


def test_every_command_that_the_docs_quote_names_a_benchmark() -> None:
    """Or a program beside them, as that which draws the charts; on all pages."""
    root = Path(runner.__file__).resolve().parent.parent
    pages = [root / "benchmarks" / "README.md", *sorted((root / "docs").rglob("*.md"))]
    quoted = {name for page in pages for name in COMMAND.findall(page.read_text("utf-8"))}
    assert {"micro.counting", "live.main_job", "sim"} <= quoted
    benchmarks = find_benchmarks()
    programs = {"charts", "peers.install", "renew"}
    for name in quoted - programs:
        assert select(name.removesuffix("."), benchmarks)
    for name in programs:
        assert importlib.util.find_spec(f"benchmarks.{name}") is not None


KNOWN = tuple(
    Benchmark(name, "") for name in ("micro.counting", "micro.plan", "live.main_job", "sim")
)


def test_a_name_is_of_one_or_of_a_room() -> None:
    """In the order of the list."""
    assert [one.name for one in select("micro.plan", KNOWN)] == ["micro.plan"]
    assert [one.name for one in select("micro", KNOWN)] == ["micro.counting", "micro.plan"]
    assert [one.module for one in select("sim", KNOWN)] == ["benchmarks.sim"]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("counting", "micro.counting"),
        ("micro.count", "micro.counting"),
        ("mainjob", "live.main_job"),
        ("mikro", "micro"),
        ("zzz", ""),
    ],
)
def test_an_unknown_name_names_the_nearest(name: str, nearest: str) -> None:
    """With or without its room."""
    with pytest.raises(KeyError, match=f"no benchmark or room '{name}'; the nearest is {nearest}"):
        select(name, KNOWN)


def test_flags_are_passed_on() -> None:
    """To one as they are, a positional argument included; to each of a room."""
    (one,) = runner.commands(select("live.main_job", KNOWN), ["paced", "--runs", "1", "--json"])
    assert one[1:] == ["-m", "benchmarks.live.main_job", "paced", "--runs", "1", "--json"]
    both = runner.commands(select("micro", KNOWN), ["--repeats", "3"])
    assert [line[2:] for line in both] == [
        ["benchmarks.micro.counting", "--repeats", "3"],
        ["benchmarks.micro.plan", "--repeats", "3"],
    ]


@pytest.mark.parametrize("flags", [["--json", "out", "--seed", "1"], ["--json=out", "--seed", "1"]])
def test_a_room_writes_a_file_for_each(flags: list[str]) -> None:
    """``--json`` names the folder, so that none overwrites another's."""
    lines = runner.commands(select("micro", KNOWN), flags)
    assert [line[3:-1] for line in lines] == [["--seed", "1", "--json"]] * 2
    names = [line[-1].replace("\\", "/") for line in lines]
    assert names == ["out/micro.counting.json", "out/micro.plan.json"]


@pytest.mark.parametrize("flags", [["--json"], ["--json", "--seed", "1"]])
def test_a_room_needs_a_folder_for_json(flags: list[str]) -> None:
    """Several objects one after the other are no JSON."""
    with pytest.raises(runner.UsageError, match="needs a folder, for a file from each of 2"):
        runner.commands(select("micro", KNOWN), flags)


def test_a_room_runs_to_its_end_and_tells_the_first_failure() -> None:
    """One that misses its target does not keep the others from running."""
    ran: list[str] = []

    def run(line: Sequence[str]) -> int:
        ran.append(line[2])
        return {"benchmarks.micro.headers": 1, "benchmarks.micro.journal": 3}.get(line[2], 0)

    assert runner.main(["micro"], run) == 1
    assert ran == [one.module for one in find_benchmarks() if one.room == "micro"]
    assert runner.main(["micro.journal", "--lines", "5"], run) == 3


@pytest.mark.parametrize("words", [["countng"], ["--repeats", "3"], ["micro", "--json"]])
def test_what_cannot_be_run_is_a_usage_error(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, the usage, and nothing is run."""

    def run(line: Sequence[str]) -> int:
        raise AssertionError(line)

    assert runner.main(words, run) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("usage: python -m benchmarks")
    assert "error: " in shown


def test_without_a_name_everything_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing is run."""
    assert runner.main([]) == 0
    assert "micro.counting  " in capsys.readouterr().out


def test_the_bucket_of_the_benchmark_never_runs_dry() -> None:
    """Each variant does all its operations; one that had to wait would raise."""

    async def main() -> set[str]:
        done = set()
        for name, variant in bucket.variants(20).items():
            variant()
            done.add(name)
        return done

    assert "acquire" in asyncio.run(main())


def test_each_provider_is_measured_on_headers_that_it_understands() -> None:
    """A provider that is added needs a sample; only Gemini has no headers."""
    assert set(headers.SAMPLES) == set(PROVIDERS) - {"gemini"}
    readings = {
        name: len(provider.interpret(answer).readings)
        for name, (provider, answer) in headers.answers().items()
    }
    assert readings.pop("gemini") == 0
    assert min(readings.values()) >= 1
    assert readings["anthropic"] == 4


@pytest.mark.parametrize("every", [None, 1, 3])
def test_the_journal_of_the_benchmark_holds_every_line(tmp_path: Path, every: int | None) -> None:
    """Each time from an empty file on, whenever it is flushed."""
    lines = [outcome_line(answer) for answer in journal.outcomes(5, 100, 0)]
    path = tmp_path / "out.jsonl"
    for _ in range(2):
        journal.append_all(path, lines, every)
        assert path.read_bytes() == b"".join(lines)
    assert [row_of(line) for line in lines] == [1, 2, 3, 4, 5]
    texts: set[Any] = {
        json.loads(line)["response"]["body"]["choices"][0]["message"]["content"] for line in lines
    }
    assert {len(text) for text in texts} == {100}
    assert len(texts) == 5


STEPS = (Step(0.0, 50.0, 50.0), Step(8.0, 0.0), Step(13.0, 25.0, 10.0))


@given(st.floats(min_value=50.0, max_value=10_000.0, exclude_min=True))
def test_what_is_allowed_by_an_instant_inverts_the_least_instant(work: float) -> None:
    """At the least instant that allows some work, no less than that work is allowed."""
    instant = least_instant(work, STEPS)
    assert amount_by(instant, STEPS) >= work * (1 - 1e-9)
    assert amount_by(instant - 1e-6, STEPS) <= work
