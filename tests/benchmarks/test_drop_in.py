"""Judging openai's own tests and the frameworks, with plain and with paced clients."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import benchmarks.drop_in
from benchmarks.drop_in.frameworks import FRAMEWORKS, Visit
from benchmarks.drop_in.frameworks import show as show_visits
from benchmarks.drop_in.snippets import PAGE, run, snippets
from benchmarks.drop_in.suite import MEANT, address, compare, ends, show, try_again
from ratedispatch.simulate.server.child import FakeServerProcess

REPORT = """<testsuites><testsuite>
<testcase classname="tests.test_client" name="test_a"/>
<testcase classname="tests.test_client" name="test_b"><failure message="no">…</failure></testcase>
<testcase classname="tests.test_client" name="test_c"><skipped message="no"/></testcase>
<testcase classname="tests.test_client" name="test_d"><error message="no"/></testcase>
</testsuite></testsuites>"""


def test_ends_are_read_from_a_report() -> None:
    """Each test has one, under its whole name."""
    found = ends(REPORT)
    assert list(found.values()) == ["passed", "failed", "skipped", "error"]
    assert "tests.test_client::test_a" in found


def test_a_test_that_only_plain_clients_pass_is_lost() -> None:
    """What fails with both, or passes with paced clients only, says nothing about pacing."""
    plain = {"a": "passed", "b": "passed", "c": "failed", "d": "passed"}
    paced = {"a": "passed", "b": "failed", "c": "passed"}
    result = {"calls": 7, **compare(plain, paced)}
    assert (result["kept"], result["lost"]) == (1, ["b", "d"])
    assert "1 of 3 tests" in show(result)
    assert "lost: b" in show(result)


def test_a_test_that_passes_alone_is_kept_and_named() -> None:
    """It lost a race, not its client."""
    plain = {"a": "passed", "b": "passed", "c": "passed"}
    result = {"calls": 7, **compare(plain, {"a": "passed"})}
    try_again(result, {"b": "passed", "c": "failed"})
    assert (result["kept"], result["second"], result["lost"]) == (2, ["b"], ["c"])
    assert "passed when it was run alone: b" in show(result)


def test_what_pacing_changes_on_purpose_is_named_with_the_reason() -> None:
    """It is not counted as kept, and not as lost; one that did not run is lost."""
    name, reason = next(iter(MEANT.items()))
    result = {
        "calls": 7,
        **compare({"a": "passed", name: "passed"}, {"a": "passed", name: "failed"}),
    }
    assert (result["kept"], result["lost"]) == (1, [])
    assert "1 of 2 tests" in show(result)
    assert f"meant: {name}: {reason}" in show(result)
    assert compare({name: "passed"}, {})["lost"] == [name]


def test_a_test_is_addressed_as_pytest_takes_it(tmp_path: Path) -> None:
    """Its module is a file; what follows are classes."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_client.py").touch()
    found = address("tests.test_client.TestAzure::test_a[x.y::z]", tmp_path)
    assert found == "tests/test_client.py::TestAzure::test_a[x.y::z]"


def visit(variant: str, refused: int = 0, **found: object) -> Visit:
    """Return a visit of a framework."""
    whole = {"ask": True, "stream": True, "failed": 0, "seconds": 4.2, "errors": []}
    return Visit("one", variant, {**whole, **found}, refused)


@pytest.mark.parametrize(
    ("one", "is_met"),
    [
        (visit("paced"), True),
        (visit("paced", refused=1), True),
        (visit("paced", refused=2), False),
        (visit("paced", failed=1), False),
        (visit("paced", stream=False), False),
        (Visit("one", "paced", {"errors": ["no module"]}, 0), False),
        (visit("plain", failed=33, refused=110), True),
    ],
)
def test_a_paced_framework_answers_everything(one: Visit, is_met: bool) -> None:
    """A plain one is only there to be compared."""
    assert one.is_met is is_met


def test_each_framework_has_a_door() -> None:
    """And each door a framework; its module is found by that name."""
    folder = Path(benchmarks.drop_in.__path__[0]) / "doors"
    doors = {path.stem for path in folder.glob("*.py")} - {"__init__", "account"}
    assert doors == set(FRAMEWORKS)


def test_a_visit_is_shown_with_its_errors() -> None:
    """A framework that could not be installed is named with the reason."""
    text = show_visits([visit("paced", failed=1, errors=["boom"])], {"two": "no such package"})
    assert "one, paced: boom" in text
    assert "two was skipped: no such package" in text


def test_each_framework_has_a_snippet() -> None:
    """On the page about them, with the lines that all go on from."""
    found = snippets(PAGE.read_text("utf-8"))
    assert set(found) == set(FRAMEWORKS)
    assert all(program.startswith("import ratedispatch as rd\n") for program in found.values())


def test_a_snippet_is_right_if_each_of_its_requests_is_paced() -> None:
    """And not if it sends past the line, or fails."""
    begin = "import openai\nimport ratedispatch as rd\n"
    ask = """.chat.completions.create(model="m", messages=[{"role": "user", "content": "?"}])\n"""
    limits = "rd.Limits(requests_per_minute=600)"
    python = Path(sys.executable)
    with FakeServerProcess() as server:
        paced = run(
            f"{begin}client = rd.wrap(openai.OpenAI(), {limits})\nclient{ask}", python, server
        )
        plain = run(f"{begin}openai.OpenAI(){ask}", python, server)
        wrong = run("import no_such_framework", python, server)
    assert (paced["arrived"], paced["paced"], paced["is_met"]) == (1, 1, True)
    assert (plain["arrived"], plain["paced"], plain["is_met"]) == (1, 0, False)
    assert not wrong["is_met"]
    assert "no_such_framework" in wrong["error"]
