"""A fit of the files of a former run, whatever stands in them."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from ratedispatch.cli import main
from ratedispatch.errors import JobError
from ratedispatch.jobs.like.answered_rows import AnsweredRows
from ratedispatch.jobs.like.former_run import like
from ratedispatch.jobs.like.log_lines import LogLines
from ratedispatch.jobs.like.remembered_fit import like_memory
from ratedispatch.jobs.workload.file_workload import read_workload
from ratedispatch.memory.fact_file import Account
from ratedispatch.memory.facts import IN_FLIGHT, LATENCY, LIMIT, OUTPUT, RULE, Fact
from ratedispatch.simulate.fit.fit import fit_of
from ratedispatch.simulate.server.child import FakeServerProcess
from ratedispatch.simulate.settings import ProviderSettings

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 60


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a job that was run: its input, output, table and log."""
    folder = tmp_path_factory.mktemp("job")
    rows = [
        {
            "custom_id": f"r{place}",
            "url": "/v1/chat/completions",
            "body": {
                "model": ("gpt-4o", "gpt-4o-mini")[place % 2],
                "messages": [{"role": "user", "content": "word " * (5 + place)}],
                "max_tokens": 20 + 10 * (place % 5),
            },
        }
        for place in range(ROWS)
    ]
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = "text\n" + "".join(f"word number {place}\n" for place in range(ROWS))
    (folder / "in.csv").write_text(table)
    with FakeServerProcess() as server:
        common = ["-q", "--base-url", server.base_url, "--no-memory", "--rpm", "none"]
        run(folder, "in.jsonl", "-o", "out.jsonl", "--log-json", "log.jsonl", *common)
        shape = ["--prompt", "Praise {text}", "--model", "gpt-4o", "--max-tokens", "40"]
        run(folder, "in.csv", "-o", "out.csv", *shape, *common)
    return folder


def run(folder: Path, source: str, dash: str, output: str, *flags: str) -> None:
    arguments = ["run", str(folder / source), dash, str(folder / output)]
    arguments += [str(folder / flag) if flag == "log.jsonl" else flag for flag in flags]
    result = CliRunner().invoke(main, arguments, env={"OPENAI_API_KEY": "a-key-of-a-test-1"})
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("name", ["log.jsonl", "out.jsonl"])
def test_both_files_of_a_run_show_how_long_outputs_are(job: Path, name: str) -> None:
    """Half of the cap, which the output finds in its input; a table of it is the same."""
    source = job / "in.jsonl"
    counted = read_workload(source)
    found = like(job / name, source=source, counted=counted)
    assert found.fit.outputs is not None
    shape = found.fit.outputs.of("gpt-4o", 40)
    assert (shape.name, shape.expected(10, 40)) == ("share", 20)
    assert len(found.answered) == ROWS
    billed, output = found.answered[3]
    assert (billed > 5, output) == (True, 20)
    assert found.fit.billed("gpt-4o", 100) == 100
    assert (found.fit.latency is None) == (name == "out.jsonl")
    assert found.fit.attempts == (ROWS if name == "log.jsonl" else 0)


def test_an_output_alone_finds_its_input(job: Path) -> None:
    """By the job file beside it; its models are those of the rows."""
    found = like(job / "out.jsonl")
    assert found.fit.outputs is not None
    assert found.fit.outputs.of("gpt-4o", 60).expected(10, 60) == 30
    assert len(found.answered) == 0


def test_a_table_of_answers_is_read_too(job: Path) -> None:
    """Of its own lines where they are still there; by its columns where not; packed as well."""
    found = like(job / "out.csv")
    assert found.fit.outputs is not None
    assert found.fit.outputs.of("gpt-4o", 40).expected(10, 40) == 20
    alone = job / "alone.csv"
    alone.write_bytes((job / "out.csv").read_bytes())
    assert like(alone).fit.answered == ROWS
    packed = job / "log.jsonl.gz"
    packed.write_bytes(gzip.compress((job / "log.jsonl").read_bytes()))
    assert like(packed).fit.attempts == ROWS


def test_lines_that_are_torn_or_foreign_are_counted(job: Path, tmp_path: Path) -> None:
    """The rest of the log counts."""
    lines = (job / "log.jsonl").read_bytes().splitlines(keepends=True)
    hostile = [
        b"\xff\xfe\n",
        b'{"event": "attempt", "at": "2026',
        b"\n[1, 2]\n",
        b'{"event": "attempt", "decision": "answered", "latency": 1e999}\n',
        b'{"event": "attempt", "decision": ["answered"], "latency": 1}\n',
        b'{"event": "attempt", "decision": "answered", "latency": true, "usage": 7}\n',
        b'{"event": "<script>"}\n',
        b"[" * 100_000 + b"\n",
    ]
    path = tmp_path / "log"
    path.write_bytes(b"".join([*lines[:10], *hostile, *lines[10:]]))
    fit = like(path).fit
    assert (fit.attempts, fit.skipped) == (ROWS, 8)
    assert "8 unusable lines skipped" in fit.lines()[0]


def test_numbers_that_make_no_sense_are_none() -> None:
    """Of a line that is one of a log all the same."""
    log = LogLines(lambda *_: None, lambda _: False)
    log.add({"event": "run", "limits": [{"requests": -1, "tokens": 1e400}, 7], "flags": []})
    log.add({"event": "limit", "dimension": "requests", "limit": "many", "window_s": 60})
    log.add(
        {
            "event": "attempt",
            "at": "yesterday",
            "model": "m" * 10_000,
            "decision": "answered",
            "latency": 1.0,
            "cost": {"tokens": 10**400},
            "usage": {"prompt": -5, "output": 10**400},
            "cap": "ten",
            "status": 10**400,
            "remaining": {"requests": -1, "tokens": None, "x": 3},
        }
    )
    (one,) = log.evidence.answers
    assert (one.output, one.cap, one.status, one.sent, one.remaining) == (None,) * 5
    assert (len(one.model), one.tokens, log.evidence.limits) == (200, 0, {})


def test_only_the_last_server_of_a_log_counts(job: Path, tmp_path: Path) -> None:
    """What another one did says nothing of it."""
    text = (job / "log.jsonl").read_text()
    other = text.replace("http://127.0.0.1", "https://elsewhere.example")
    path = tmp_path / "log"
    path.write_text(text + other.replace('"status": 200', '"status": 201'))
    assert like(path).fit.attempts == ROWS


def test_a_log_of_a_former_release_is_read(tmp_path: Path) -> None:
    """It has no usage: latencies and outcomes are all that it shows."""
    line = {
        "event": "attempt",
        "at": "2026-11-24T04:50:09.417Z",
        "place": 17,
        "model": "gpt-4o",
        "attempt": 1,
        "cost": {"requests": 1, "tokens": 438},
        "wait": 0.32,
        "latency": 1.25,
        "status": 200,
        "decision": "answered",
        "code": "",
    }
    path = tmp_path / "log"
    path.write_text(f"{json.dumps(line)}\n" * 20)
    fit = like(path).fit
    assert fit.outputs is None
    assert fit.settings(ProviderSettings()).latency == pytest.approx(1.25)
    assert "lengths of outputs" in fit.lines()[-1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist"),
        (b"", "no line has"),
        (b"hello\n" * 5_000, "no line has"),
        (b'{"event": "stop"}\n', "no line has"),
        (b"\x1f\x8b\x08", "contains gzip data"),
    ],
)
def test_a_file_that_shows_nothing_is_one_error(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    """With the way out."""
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(JobError, match=said) as caught:
        like(path)
    assert str(caught.value).startswith("--like")
    with pytest.raises(JobError, match="is not a file"):
        like(tmp_path)


def test_answers_are_kept_by_their_lines() -> None:
    """The last of several; none beyond the last line."""
    rows = AnsweredRows(3)
    for line, prompt, output in ((1, 0, 0), (3, 5, 7), (3, 5, 8), (4, 1, 1), (-1, 1, 1)):
        rows.keep(line, prompt, output)
    assert dict(rows) == {1: (0, 0), 3: (5, 8)}
    assert len(rows) == 2
    assert (2 in rows, rows.get(9)) == (False, None)
    huge = AnsweredRows(1)
    huge.keep(1, 10**30, 10**30)
    assert huge[1] == (2**32 - 2, 2**32 - 2)


NOW = 1_800_000_000.0
PLACE = "https://api.openai.com/v1"


def test_what_is_remembered() -> None:
    """Limits, the charge rule and a usual latency; lengths are told, and not played by."""
    facts = (
        Fact(LATENCY, "", 1.5, NOW - 60),
        Fact(LIMIT, "requests", 3_000.0, NOW - 60),
        Fact(RULE, "tokens", [0, True, True], NOW - 60),
        Fact(OUTPUT, "gpt-4o", 212, NOW - 60),
        Fact(IN_FLIGHT, "", 12, NOW - 60),
    )
    fit = like_memory([Account("a", PLACE, "", facts)], None, NOW)
    found = fit.settings(ProviderSettings())
    assert (found.latency, found.refund, found.charge) == (1.5, True, "tokens")
    assert found.output_tokens is None
    assert fit.account.limits == {"requests": 3_000}
    assert any("gpt-4o within 212 tokens" in line for line in fit.lines())
    with pytest.raises(JobError, match="nothing is remembered about http://elsewhere"):
        like_memory([Account("a", PLACE, "", facts)], "http://elsewhere", NOW)
    with pytest.raises(JobError, match="nothing is remembered"):
        like_memory([Account("a", PLACE, "", facts)], None, NOW + 1e8)


junk: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
fields = [
    *("event", "at", "place", "model", "cost", "prompt", "cap", "latency", "status", "decision"),
    *("code", "usage", "remaining", "route", "limits", "server", "flags", "dimension", "limit"),
]
lines = st.dictionaries(st.sampled_from(fields), junk).map(
    lambda line: {"event": "attempt", "decision": "answered", "latency": 1.0} | line
)


@settings(max_examples=25, deadline=None)
@given(st.lists(lines, max_size=5))
def test_no_line_can_break_it(found: list[dict[str, Any]]) -> None:
    """Whatever a line holds, there is a fit in words and in JSON."""
    log = LogLines(lambda *_: None, lambda _: True)
    for line in found:
        log.add(line)
    fit = fit_of(log.evidence, "junk")
    assert fit.lines()
    json.dumps(fit.as_dict(), allow_nan=False)
