"""Comparing openai's own tests with plain and with paced clients."""

from __future__ import annotations

from benchmarks.drop_in.suite import compare, ends, show

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
    result = compare(plain, paced)
    assert (result["kept"], result["lost"]) == (1, ["b", "d"])
    assert "1 of 3 tests" in show(result)
    assert "lost: b" in show(result)
