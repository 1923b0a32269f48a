"""A file in, a file out: lines, sinks, ledgers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.errors import JobError
from ratedispatch.jobs.batchfile import (
    BadRow,
    answer_line,
    bad_row_line,
    failure_line,
    parse_line,
    row_of,
)
from ratedispatch.jobs.job import default_errors_path
from ratedispatch.jobs.ledger import JobFiles, RowSet, open_job
from ratedispatch.jobs.names import NameSet
from ratedispatch.jobs.sink import LineSink
from ratedispatch.jobs.source import BatchSource, count_rows
from ratedispatch.outcome import Completed, Failed, Response
from ratedispatch.request import Cost, Request

if TYPE_CHECKING:
    from pathlib import Path

GOOD: dict[str, Any] = {
    "custom_id": "a",
    "method": "POST",
    "url": "/v1/chat/completions",
    "body": {"model": "gpt-4o", "messages": []},
}


def line(**changes: Any) -> bytes:
    value = {**GOOD, **changes}
    return json.dumps({name: item for name, item in value.items() if item is not ...}).encode()


@pytest.mark.parametrize(
    "url",
    [
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/embeddings",
        "/v1/completions",
        "/v1/moderations",
    ],
)
def test_a_row_of_each_endpoint(url: str) -> None:
    """The five may be mixed in one file."""
    assert parse_line(line(url=url), 3) == Request(GOOD["body"], url, "a", 3)
    assert isinstance(parse_line(line(method=...), 3), Request)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"hello", "not JSON"),
        (b"{", "not JSON"),
        (b'{"custom_id": NaN}', "line 17: not JSON: NaN is not a JSON number"),
        (b"[1]", "expected a JSON object, got an array"),
        (b"null", "got null"),
        (b'"text"', "got a string"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"custom_id":"a","n":' + b"9" * 5000 + b"}", "not JSON that can be read"),
        (line(custom_id=...), "custom_id is missing"),
        (line(custom_id=5), "custom_id must be a string"),
        (line(custom_id=""), "custom_id must be a string"),
        (line(url=...), "url is missing"),
        (line(url="/v1/nothing"), "url '/v1/nothing' is not one of"),
        (line(url=["x"]), "is not one of"),
        (line(method="GET"), "method must be 'POST'"),
        (line(body=...), "body is missing"),
        (line(body=[]), "body must be a JSON object, got an array"),
        (line(body={"stream": True}), "stream"),
    ],
)
def test_a_line_that_is_no_request_names_its_number_and_reason(text: bytes, reason: str) -> None:
    """The row fails alone; the others run."""
    bad = parse_line(text, 17)
    assert isinstance(bad, BadRow)
    assert bad.message.startswith("line 17: ")
    assert reason in bad.message
    written = json.loads(bad_row_line(bad))
    assert written["error"] == {"code": "invalid_line", "message": bad.message, "line": 17}
    assert written["response"] is None


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_line_makes_the_reader_raise(text: bytes) -> None:
    """Anything read from outside is data."""
    assert isinstance(parse_line(text, 1), BadRow | Request)


def test_output_lines_are_in_batch_format_and_tell_their_row() -> None:
    """With a request id, the body as it came, and the row in the first bytes."""
    request = Request(GOOD["body"], custom_id="a", row=42)
    response = Response(200, {"x-request-id": "req_1"}, {"text": "ü\n\ud800"})
    text = answer_line(Completed(request, response, Cost(1)))
    assert text.count(b"\n") == 1
    assert json.loads(text) == {
        "id": "batch_req_000000000042",
        "custom_id": "a",
        "response": {"status_code": 200, "request_id": "req_1", "body": response.body},
        "error": None,
    }
    assert row_of(text) == 42


def test_a_refused_row_keeps_the_response_and_a_broken_one_has_an_error() -> None:
    """As in the Batch API's error file."""
    request = Request(GOOD["body"], custom_id="a", row=1)
    refused = Failed(request, "bad", "m", Response(400, {}, {"error": {"message": "m"}}), 1)
    written = json.loads(failure_line(refused))
    assert written["response"]["status_code"] == 400
    assert written["error"] is None
    for failed in (
        Failed(request, "timeout", "no answer", None, 3),
        Failed(request, "garbled_answer", "not JSON", Response(200, {}, "<html>", False), 3),
    ):
        written = json.loads(failure_line(failed))
        assert written["response"] is None
        assert written["error"] == {"code": failed.code, "message": failed.message}


@pytest.mark.parametrize(
    "text", [b"", b"{}", b'{"id":"batch_req_12"}', b'{"id":"batch_req_00000000004x"}', b"x" * 99]
)
def test_a_line_of_another_program_tells_no_row(text: bytes) -> None:
    """So it is not mistaken for an answer."""
    assert row_of(text) is None


@given(st.sets(st.integers(0, 5000)))
def test_a_row_set_is_a_set(rows: set[int]) -> None:
    """A bit for each row."""
    found = RowSet()
    assert all(found.add(row) for row in rows)
    assert not any(found.add(row) for row in rows)
    assert len(found) == len(rows)
    assert all((row in found) == (row in rows) for row in range(5100))


@given(st.lists(st.integers(0, 40).map(str), max_size=60))
def test_a_name_set_is_a_set_however_its_shelves_fill(names: list[str]) -> None:
    """Each name is new once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ratedispatch.jobs.names._SHELVES", 3)
        found = NameSet()
        seen: set[str] = set()
        for name in names:
            assert found.add(name) == (name not in seen)
            seen.add(name)


class TestSource:
    """Which lines are rows."""

    def read(self, path: Path, done: set[int] = set()) -> tuple[list[Any], list[BadRow]]:  # noqa: B006
        bad: list[BadRow] = []
        source = BatchSource(path, is_done=done.__contains__, on_bad_row=bad.append)
        return list(source), bad

    def test_bom_crlf_blank_lines_and_a_missing_last_newline(self, tmp_path: Path) -> None:
        """Row numbers are those of an editor."""
        path = tmp_path / "in.jsonl"
        path.write_bytes(
            b"\xef\xbb\xbf"
            + line()
            + b"\r\n\r\n  \n"
            + line(custom_id="b")
            + b"\n"
            + line(custom_id="c")
        )
        rows, bad = self.read(path)
        assert [(row.row, row.custom_id) for row in rows] == [(1, "a"), (4, "b"), (5, "c")]
        assert not bad
        assert count_rows(path) == 3

    def test_a_repeated_custom_id_fails_and_the_first_runs(self, tmp_path: Path) -> None:
        """Also when the first is done already, or was no request."""
        path = tmp_path / "in.jsonl"
        path.write_bytes(
            b"\n".join([line(), line(), line(custom_id="b", url="x"), line(custom_id="b")])
        )
        rows, bad = self.read(path)
        assert [row.row for row in rows] == [1]
        assert [(row.row, row.code) for row in bad] == [
            (2, "duplicate_custom_id"),
            (3, "invalid_line"),
            (4, "duplicate_custom_id"),
        ]
        assert self.read(path, {1})[1] == bad


class TestSink:
    """Each line whole or absent."""

    @pytest.mark.parametrize("torn", [b"", b"to", b"torn" * 40_000])
    def test_a_torn_line_is_cut_off(self, tmp_path: Path, torn: bytes) -> None:
        """Whatever its length, and whatever comes after is whole."""
        path = tmp_path / "out"
        path.write_bytes(b"one\ntwo\n" + torn)
        sink = LineSink(path)
        sink.append(b"three\n")
        sink.close()
        assert path.read_bytes() == b"one\ntwo\nthree\n"

    def test_only_a_torn_line(self, tmp_path: Path) -> None:
        """Nothing whole is left."""
        path = tmp_path / "out"
        path.write_bytes(b"torn")
        LineSink(path).close()
        assert path.read_bytes() == b""

    def test_lines_wait_for_the_flush(self, tmp_path: Path) -> None:
        """One write for many lines."""
        sink = LineSink(tmp_path / "out")
        sink.append(b"one\n")
        assert sink.path.read_bytes() == b""
        sink.flush()
        assert sink.path.read_bytes() == b"one\n"
        sink.close()


class TestLedger:
    """Whether a job may start."""

    @pytest.fixture
    def files(self, tmp_path: Path) -> JobFiles:
        (tmp_path / "in.jsonl").write_bytes(line() + b"\n")
        return JobFiles(
            tmp_path / "in.jsonl", tmp_path / "out.jsonl", tmp_path / "out.errors.jsonl"
        )

    def test_a_new_job_is_registered_and_the_same_job_goes_on(self, files: JobFiles) -> None:
        """What the files hold is done."""
        new = open_job(files)
        assert len(new.progress.answered) == 0
        new.lock.close()
        files.output.write_bytes(b'{"id":"batch_req_000000000001","custom_id":"a"}\n{"id":"bat')
        files.errors.write_bytes(b'{"id":"batch_req_000000000007","custom_id":"b"}\n')
        again = open_job(files)
        again.lock.close()
        done = again.progress
        assert 1 in done.answered
        assert 7 in done.failed
        assert 7 in done
        assert 2 not in done

    def test_a_second_process_is_refused_until_the_first_ends(self, files: JobFiles) -> None:
        """The lock is the system's: it ends with whoever holds it."""
        first = open_job(files)
        with pytest.raises(JobError, match="another process is working on"):
            open_job(files)
        first.lock.close()
        open_job(files).lock.close()

    def test_another_input_is_refused(self, files: JobFiles) -> None:
        """The output belongs to the job it was made by."""
        open_job(files).lock.close()
        files.input.write_bytes(line(custom_id="other") + b"\n")
        with pytest.raises(JobError, match="belongs to another job"):
            open_job(files)

    def test_an_output_of_unknown_origin_is_refused_and_untouched(self, files: JobFiles) -> None:
        """No job file: not ours."""
        files.output.write_bytes(b"precious\n")
        with pytest.raises(JobError, match=r"exists and was not made by this job"):
            open_job(files)
        assert files.output.read_bytes() == b"precious\n"
        assert not files.job.exists()

    def test_a_foreign_line_in_the_output_is_refused(self, files: JobFiles) -> None:
        """With its number."""
        open_job(files).lock.close()
        files.output.write_bytes(b"precious\n")
        with pytest.raises(JobError, match="line 1 of"):
            open_job(files)

    def test_a_damaged_job_file_is_refused(self, files: JobFiles) -> None:
        """One sentence, no traceback."""
        open_job(files).lock.close()
        files.job.write_text("{}")
        with pytest.raises(JobError, match="cannot be read as a job file"):
            open_job(files)

    @pytest.mark.parametrize("same", ["output", "errors", "both"])
    def test_input_and_output_must_differ(self, files: JobFiles, same: str) -> None:
        """By name, through a link, or among the outputs."""
        link = files.input.with_name("link.jsonl")
        link.symlink_to(files.input)
        changed = {
            "output": JobFiles(files.input, files.input, files.errors),
            "errors": JobFiles(files.input, files.output, link),
            "both": JobFiles(files.input, files.output, files.output),
        }[same]
        before = files.input.read_bytes()
        with pytest.raises(JobError, match="same file"):
            open_job(changed)
        assert files.input.read_bytes() == before


def test_where_failed_rows_go() -> None:
    """OUT.errors.jsonl beside OUT.jsonl."""
    from pathlib import Path

    assert default_errors_path(Path("x/out.jsonl")) == Path("x/out.errors.jsonl")
    assert default_errors_path(Path("out")) == Path("out.errors.jsonl")
