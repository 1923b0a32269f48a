"""Generated tables and charts: where they stand, what they say, and that they are repeatable."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.charts import picture, tables
from benchmarks.charts.__main__ import IMAGES, PICTURE, RESULTS, ROOT, draw, makers, result
from benchmarks.charts.pages import pages, parts, render

if TYPE_CHECKING:
    from pathlib import Path

PAGE = "before\n<!-- generated: one -->\nold 1.234\n<!-- end -->\nafter\n"


def test_what_stands_between_the_marks_is_replaced() -> None:
    """A part is made anew, and everything around it stays."""
    made = render(PAGE, {"one": lambda: "| new |\n"})
    assert made == "before\n<!-- generated: one -->\n\n| new |\n\n<!-- end -->\nafter\n"


def test_rendering_twice_changes_nothing() -> None:
    """What was just made is what would be made."""
    made = render(PAGE, {"one": lambda: "| new |"})
    assert render(made, {"one": lambda: "| new |"}) == made


def test_an_unknown_part_is_an_error() -> None:
    """A misspelt name is not left as it is."""
    with pytest.raises(ValueError, match="nothing makes one; there are two"):
        render(PAGE, {"two": lambda: ""})


def test_a_part_without_an_end_is_an_error() -> None:
    """Otherwise its numbers would never be made anew."""
    with pytest.raises(ValueError, match="no <!-- end -->"):
        render(PAGE.replace("<!-- end -->", ""), {"one": lambda: ""})


@pytest.mark.parametrize(
    "page",
    [page for page in pages(ROOT) if parts(page.read_text("utf-8"))],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_the_tables_of_a_page_are_what_the_results_say(page: Path) -> None:
    """When this fails: python -m benchmarks.charts. Never type a number between the marks."""
    text = page.read_text("utf-8")
    assert render(text, makers()) == text


def test_a_typed_number_does_not_pass() -> None:
    """A digit changed by hand is found."""
    text = (ROOT / "docs" / "explanation" / "compared.md").read_text("utf-8")
    first = re.search(r"\| ratedispatch run \| (\d)", text)
    assert first is not None
    digit = str((int(first[1]) + 1) % 10)
    typed = text[: first.start(1)] + digit + text[first.end(1) :]
    assert render(typed, makers()) == text


def test_every_part_stands_somewhere() -> None:
    """No table is made for nobody."""
    used = {name for page in pages(ROOT) for name in parts(page.read_text("utf-8"))}
    assert used == set(makers())


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_results_say_where_they_come_from(path: Path) -> None:
    """Without versions, machine, seed and date a figure cannot be repeated."""
    report = result(path.stem)
    assert {"versions", "machine", "seed", "date"} <= set(report)
    assert report["versions"]["python"]
    assert report["machine"]["cores"]


def test_the_picture_of_the_readme_is_what_the_result_says() -> None:
    """When this fails: python -m benchmarks.charts. It is the same to the byte."""
    drawn = picture.draw(result("recipe"))
    assert PICTURE.read_text("utf-8") == drawn
    assert ET.fromstring(drawn).tag.endswith("svg")
    assert "prefers-color-scheme: dark" in drawn


def test_the_picture_says_the_seconds_and_refusals_of_the_runs_that_it_draws() -> None:
    """The words above a column are those of the run whose rates stand below."""
    drawn = picture.draw(result("recipe"))
    for way in picture.shown(result("recipe")).values():
        seconds, refusals = picture.summary(way)
        assert sum(way["per_second"]["refused"]) == refusals
        assert f">{seconds:.0f} s, {refusals:,.0f} refused<" in drawn


def test_the_recipe_is_drawn_in_its_faster_form() -> None:
    """Of the client with and without retries of its own, the one that takes less time is shown."""
    report = {
        "ways": [
            {"way": way, "summary": {"makespan_s": {"median": seconds}}}
            for way, seconds in (("run", 3), ("backoff", 9), ("backoff-sdk", 8), ("backoff-100", 4))
        ]
    }
    drawn = [way["way"] for way in picture.shown(report).values()]
    assert drawn == ["run", "backoff-sdk", "backoff-100"]


@pytest.mark.slow
def test_charts_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    """The same results give the same files, and an SVG holds no date."""
    pytest.importorskip("matplotlib")
    draw(tmp_path / "one")
    draw(tmp_path / "two")
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    # beside them are pictures that come from elsewhere
    assert set(names) <= {path.name for path in IMAGES.iterdir()}
    for name in names:
        first = (tmp_path / "one" / name).read_bytes()
        assert first == (tmp_path / "two" / name).read_bytes()
        if name.endswith(".svg"):
            assert ET.fromstring(first).tag.endswith("svg")
            assert b"dc:date" not in first


def peer(name: str, **changed: Any) -> dict[str, Any]:
    run: dict[str, Any] = {"exit_code": 0, "last_words": ""}
    figures = {"cpu_s": 6.5, "lost": 0, "lower_bound_s": 10.0, "makespan_s": 12.0, **changed}
    summary = {
        figure: {"median": value, "lowest": value, "highest": value}
        for figure, value in figures.items()
    }
    return {
        "name": name,
        "title": name,
        "versions": {},
        "skipped": None,
        "start_up_cpu_s": 0.5,
        "summary": summary,
        "runs": [{**run, **figures}],
    }


def report(task: str, *peers: dict[str, Any]) -> dict[str, Any]:
    part = {"workload": task, "rows": 1001, "tokens": 2002, "rpm": 60, "tpm": 6000}
    part |= {"in_flight": 100, "server": ["--rpm", "60"], "time_limit_s": 30.0, "peers": peers}
    machine = {"system": "an OS", "processor": "a processor", "cores": 2}
    top = {"date": "2026-11-25", "machine": machine, "versions": {"python": "3"}, "seed": 0}
    return {**top, "workloads": [part]}


def test_cpu_of_a_request_leaves_start_up_out() -> None:
    """Six seconds for a thousand further rows are 6 ms each."""
    assert tables.cpu_of_a_request(peer("ratedispatch"), 1001) == pytest.approx(6.0)


def test_cpu_of_a_request_is_unknown_where_rows_were_lost() -> None:
    """A row that was not answered was cheap, which is nothing to boast of."""
    assert tables.cpu_of_a_request(peer("quick", lost=3), 1001) is None


def test_a_skipped_peer_is_named_with_its_reason() -> None:
    """It has a row of dashes and a note."""
    gone = {**peer("gone"), "skipped": "not installed", "summary": {}, "runs": []}
    table = tables.limited(report("paced", peer("ratedispatch"), gone), "paced")
    assert "| gone | skipped¹ | – | – | – | – | – |" in table
    assert "¹ gone: not installed." in table


def test_a_peer_that_was_ended_or_crashed_is_marked() -> None:
    """Neither looks like a run that went well."""
    hung, crashed = peer("hung"), peer("crashed")
    hung["runs"][0]["exit_code"] = None
    crashed["runs"][0] |= {"exit_code": 2, "last_words": "Boom"}
    table = tables.limited(report("paced", peer("ratedispatch"), hung, crashed), "paced")
    assert "| hung ² | 12.0 |" in table
    assert "² Ended after 30 s" in table
    assert "| crashed ³ | 12.0 |" in table
    assert "³ crashed crashed: `Boom`." in table
