"""Whether a job may start, is new, or goes on."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ratedispatch.errors import JobError
from ratedispatch.jobs.inputs.template import Template
from ratedispatch.jobs.rowformat import BatchRows, TableRows
from ratedispatch.jobs.sink import LineSink
from ratedispatch.jobs.state import resume as ledger_module
from ratedispatch.jobs.state.journal import Journal
from ratedispatch.jobs.state.manifest import manifest_of
from ratedispatch.jobs.state.paths import JobFiles, check_files
from ratedispatch.jobs.state.resume import OpenJob, ResumeOptions, open_job
from ratedispatch.jobs.state.scan import scan
from ratedispatch.jobs.state.section import digest_of
from tests.jobs.job_files import result, row, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = [row(name) for name in "abcd"]
PLAIN = ResumeOptions()
TEMPLATE = Template(
    "Say {text}", system="Be brief", model="small", max_tokens=5, parameters={"top_p": 1}
)


@pytest.fixture
def files(tmp_path: Path) -> JobFiles:
    """The files of a job of four rows, of which only the input is there."""
    (tmp_path / "in.jsonl").write_bytes(text_of(*ROWS))
    return JobFiles(tmp_path / "in.jsonl", tmp_path / "out.jsonl", tmp_path / "bad.jsonl")


@contextlib.contextmanager
def opened(
    files: JobFiles,
    options: ResumeOptions = PLAIN,
    *,
    template: Template | None = None,
    output_format: str = "jsonl",
) -> Iterator[OpenJob]:
    """Open a job as a command does."""
    check_files(files)
    names = BatchRows().names if template is None else TableRows(template).names
    assert isinstance(files.input, Path)
    with files.input.open("rb", buffering=0) as file:
        found = scan(file, names)
        manifest = manifest_of(files.input.name, found, template, output_format)
        job = open_job(files, manifest, file, found, options)
        with contextlib.closing(job.journal):
            yield job


def refusal(files: JobFiles, template: Template | None = None, output_format: str = "jsonl") -> str:
    """Return why the job is refused; nothing has changed by that."""
    before = contents(files)
    with (
        pytest.raises(JobError) as caught,
        opened(files, template=template, output_format=output_format),
    ):
        pass
    assert contents(files) == before
    return str(caught.value)


def contents(files: JobFiles) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in files.output.parent.iterdir()}


def answer(*rows: int) -> bytes:
    """Return result lines of *rows* of the input as it was."""
    return b"".join(result(row, digest_of(text_of(ROWS[row - 1]).strip())) for row in rows)


def test_a_new_job_is_registered_and_the_same_job_goes_on(files: JobFiles) -> None:
    """What the files hold is done, but for a torn line; nothing else is made."""
    with opened(files) as job:
        assert (len(job.progress.answered), len(job.progress.failed), job.notes) == (0, 0, ())
    assert set(contents(files)) == {"in.jsonl", "out.jsonl.job"}
    files.output.write_bytes(answer(1) + b'{"id":"bat')
    files.errors.write_bytes(answer(3))
    with opened(files) as job:
        assert list(job.progress.answered) == [1]
        assert list(job.progress.failed) == [3]
        assert [number in job.progress for number in (1, 2, 3, 4)] == [True, False, True, False]


def test_rows_in_flight_when_the_last_run_ended_are_told(files: JobFiles) -> None:
    """Those that have a line since are not among them."""
    with opened(files) as job:
        for number in (1, 2, 3):
            job.journal.send(number)
    files.output.write_bytes(answer(1))
    with opened(files) as job:
        (note,) = job.notes
    assert note == (
        "2 rows that may have been billed are sent again: an earlier run sent them, but the "
        "files have no result"
    )


def test_failed_rows_stay_failed_unless_asked(files: JobFiles) -> None:
    """Then their lines are kept aside until there are new ones; answered ones stay done."""
    with opened(files):
        pass
    files.output.write_bytes(answer(1))
    files.errors.write_bytes(answer(2, 3))
    with opened(files) as job:
        assert 2 in job.progress
    assert files.errors.read_bytes() == answer(2, 3)
    with opened(files, ResumeOptions(retry_failed=True)) as job:
        assert list(job.progress.answered) == [1]
        assert not len(job.progress.failed)
        assert job.notes == ("2 rows that failed are sent again",)
    assert not files.errors.exists()
    assert files.retry.read_bytes() == answer(2, 3)


def test_a_retry_goes_on_with_the_rows_that_are_left_of_it(files: JobFiles) -> None:
    """Asked for again, it does not begin with those that have failed once more already."""
    with opened(files):
        pass
    files.output.write_bytes(answer(1))
    files.errors.write_bytes(answer(2, 3))
    with opened(files, ResumeOptions(retry_failed=True)):
        pass
    files.errors.write_bytes(answer(2))
    with opened(files, ResumeOptions(retry_failed=True)) as job:
        assert list(job.progress.failed) == [2]
        assert job.notes == ("1 row that failed is still to be sent again",)
    files.errors.write_bytes(answer(2, 3))
    with opened(files) as job:
        assert list(job.progress.failed) == [2, 3]
    assert not files.retry.exists()


def test_a_missing_output_is_not_paid_for_again_unasked(files: JobFiles) -> None:
    """Somebody has moved it away; the job file knows that rows were sent."""
    with opened(files) as job:
        for number in (1, 2):
            job.journal.send(number)
    assert "it may hold the answers of up to 2 rows" in refusal(files)
    with opened(files, ResumeOptions(allow_changed_input=True)) as job:
        assert not len(job.progress.answered)


@pytest.mark.parametrize("step", ["rewrite", "first", "second"])
def test_a_job_that_is_killed_while_it_is_made_to_fit_is_whole_afterwards(
    files: JobFiles, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either nothing has happened, or the next start finishes it."""
    with opened(files):
        pass
    assert isinstance(files.input, Path)
    files.output.write_bytes(answer(1))
    files.errors.write_bytes(answer(2))
    files.input.write_bytes(text_of(row("new"), *ROWS))
    real = Path.replace
    calls = 0

    def killed(path: Path, target: Path) -> Path:
        nonlocal calls
        is_result = target in {files.output, files.errors}
        calls += is_result
        if is_result and (step == "first" or calls > 1):
            raise KeyboardInterrupt
        return real(path, target)

    with monkeypatch.context() as patch:
        if step == "rewrite":
            patch.setattr(ledger_module, "_finish_rewriting", None)
            patch.setattr(Journal, "write_manifest", None)
        else:
            patch.setattr(Path, "replace", killed)
        with (
            pytest.raises((KeyboardInterrupt, TypeError)),
            opened(files, ResumeOptions(allow_changed_input=True)),
        ):
            pass
    if step == "rewrite":
        assert "has other content" in refusal(files)
        with opened(files, ResumeOptions(allow_changed_input=True)) as job:
            assert (list(job.progress.answered), list(job.progress.failed)) == ([2], [3])
    else:
        with opened(files) as job:
            assert (list(job.progress.answered), list(job.progress.failed)) == ([2], [3])
    assert not list(files.output.parent.glob("*.new"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "large"}, '--model was "small" and is "large"'),
        ({"prompt": "Hi {text}"}, '--prompt was "Say {text}" and is "Hi {text}"'),
        ({"system": None}, '--system was "Be brief" and is not given'),
        ({"max_tokens": None}, "--max-tokens was 5 and is not given"),
        ({"parameters": {"top_p": 0.5}}, "--param top_p was 1 and is 0.5"),
        ({"parameters": {}}, "--param top_p was 1 and is not given"),
        ({"id_column": "text"}, '--id-column was not given and is "text"'),
    ],
)
def test_another_template_is_refused_with_the_difference(
    files: JobFiles, changes: dict[str, object], words: str
) -> None:
    """By the flag, what it was, and what it is; nothing else is named."""
    assert isinstance(files.input, Path)
    files.input.write_bytes(b'{"text": "one"}\n{"text": "two"}\n')
    with opened(files, template=TEMPLATE):
        pass
    values = {
        name: getattr(TEMPLATE, name)
        for name in ("prompt", "system", "model", "max_tokens", "parameters", "id_column")
    }
    other = Template(**{**values, **changes})
    assert refusal(files, other) == (
        f"{files.output} belongs to another job: {words}; choose another output, or resume with "
        f"--allow-changed-input"
    )
    with opened(files, ResumeOptions(allow_changed_input=True), template=other):
        pass
    with opened(files, template=other):  # from now on it is the one of the job
        pass


def test_another_output_format_is_refused(files: JobFiles) -> None:
    """Also by force: the table would take the place of the answers."""
    with opened(files):
        pass
    words = refusal(files, output_format="csv")
    assert "was begun with --output-format jsonl, and cannot be resumed as csv" in words
    assert "--allow-changed-input" not in words
    with (
        pytest.raises(JobError),
        opened(files, ResumeOptions(allow_changed_input=True), output_format="csv"),
    ):
        pass


def test_another_input_is_refused_with_what_is_the_same(files: JobFiles) -> None:
    """Rows and bytes of both, how many that are done are there still, and the first that is not."""
    with opened(files):
        pass
    files.output.write_bytes(answer(1, 4))
    files.errors.write_bytes(answer(3))
    assert isinstance(files.input, Path)
    files.input.write_bytes(text_of(ROWS[0], ROWS[1], row("new"), ROWS[3], row("more")))
    words = refusal(files)
    assert "made from in.jsonl of 4 rows and" in words
    assert "in.jsonl with 5 rows and" in words
    assert "(of 3 rows done, 2 are unchanged; row 3 is the first that changed)" in words


def test_force_keeps_what_is_there_still(files: JobFiles) -> None:
    """At its new place; the rest is moved, and the next run needs no force."""
    with opened(files):
        pass
    files.output.write_bytes(answer(1, 4))
    files.errors.write_bytes(answer(3))
    assert isinstance(files.input, Path)
    files.input.write_bytes(text_of(row("new"), ROWS[0], ROWS[1], ROWS[3]))
    with opened(files, ResumeOptions(allow_changed_input=True)) as job:
        assert list(job.progress.answered) == [2, 4]
        assert not len(job.progress.failed)
        (note,) = job.notes
    assert note == (
        f"2 results were kept, for rows that are still in the input; 1 result was moved to "
        f"{files.stale}"
    )
    assert files.stale.read_bytes() == answer(3)
    with opened(files) as job:
        assert list(job.progress.answered) == [2, 4]


def test_force_without_a_loss_sets_nothing_aside(files: JobFiles) -> None:
    """Rows were added; no further file is made."""
    with opened(files):
        pass
    files.output.write_bytes(answer(1))
    assert isinstance(files.input, Path)
    files.input.write_bytes(text_of(*ROWS, row("more")))
    with opened(files, ResumeOptions(allow_changed_input=True)) as job:
        assert list(job.progress.answered) == [1]
    assert files.output.read_bytes() == answer(1)
    assert not files.stale.exists()


def test_rows_in_doubt_that_are_no_longer_in_the_input_are_not_sent_again(files: JobFiles) -> None:
    """Nor told as such: only what is still to be done can be billed twice."""
    with opened(files) as job:
        job.journal.send(4)
    assert isinstance(files.input, Path)
    files.input.write_bytes(text_of(*ROWS[:2]))
    with opened(files, ResumeOptions(allow_changed_input=True)) as job:
        assert not list(job.journal.open_rows)


def test_force_does_not_forget_what_was_billed_twice(files: JobFiles) -> None:
    """The count is of all runs of the job; a row that is open is to be sent once more."""
    with opened(files) as job:
        job.journal.send(1)
        job.journal.send(1)
    assert isinstance(files.input, Path)
    files.input.write_bytes(text_of(*ROWS, row("more")))
    with opened(files, ResumeOptions(allow_changed_input=True)) as job:
        assert job.journal.billed_twice == 2
    with opened(files) as job:
        assert job.journal.billed_twice == 2


def test_a_second_opener_is_refused_until_the_first_ends(files: JobFiles) -> None:
    """The lock is the system's: it ends with whoever holds it."""
    with opened(files):
        with (
            pytest.raises(JobError, match=r"another process is working on .*out\.jsonl"),
            opened(files),
        ):
            pass
        assert files.job.exists()
    with opened(files):
        pass


def test_an_output_of_unknown_origin_is_refused_and_untouched(files: JobFiles) -> None:
    """No job file: not ours. An empty file is nobody's."""
    for path in (files.output, files.errors):
        path.write_bytes(b"precious\n")
        assert f"{path} exists and was not made by this job" in refusal(files)
        path.write_bytes(b"")
    with opened(files):
        pass


def test_results_beside_an_empty_job_file_are_refused(files: JobFiles) -> None:
    """It says nothing of them: they are no less of unknown origin."""
    files.output.write_bytes(b"precious\n")
    files.job.write_bytes(b"")
    assert "was not made by this job" in refusal(files)
    assert files.output.read_bytes() == b"precious\n"


def test_a_foreign_line_in_the_output_is_told(files: JobFiles) -> None:
    """With its number; a file that has nothing else is refused."""
    with opened(files):
        pass
    files.output.write_bytes(b"precious\n")
    assert refusal(files).startswith(f"line 1 of {files.output} was not written by ratedispatch")
    files.output.write_bytes(answer(1) + b"precious\n")
    with opened(files) as job:
        assert list(job.progress.answered) == [1]
        assert job.notes[0].startswith(f"{files.output} has 1 line that another program wrote")


def test_a_damaged_job_file_is_refused(files: JobFiles) -> None:
    """One sentence, no traceback."""
    with opened(files):
        pass
    files.job.write_text("{}")
    assert "cannot be read as a job file" in refusal(files)


@pytest.mark.parametrize(
    "same", ["output", "errors", "link", "hard link", "outputs", "job", "table"]
)
def test_files_must_differ(files: JobFiles, same: str) -> None:
    """By name, through a link of either kind, or among the outputs."""
    assert isinstance(files.input, Path)
    link = files.input.with_name("link.jsonl")
    if same == "hard link":
        link.hardlink_to(files.input)
    else:
        link.symlink_to(files.input)
    changed = {
        "output": {"output": files.input},
        "errors": {"errors": files.input},
        "link": {"errors": link},
        "hard link": {"output": link},
        "outputs": {"output": files.errors},
        "job": {"errors": files.job},
        "table": {"table": files.output},
    }[same]
    assert "are the same file" in refusal(dataclasses.replace(files, **changed))


def test_folders_in_the_way_are_refused(files: JobFiles) -> None:
    """One that is missing, and a folder in place of a file; nothing is made."""
    missing = files.output.with_name("missing") / "out.jsonl"
    with pytest.raises(JobError, match="create it first"):
        check_files(dataclasses.replace(files, output=missing))
    assert not missing.parent.exists()
    folder = files.output.parent
    with pytest.raises(JobError, match="is a directory"):
        check_files(dataclasses.replace(files, errors=folder))
    with pytest.raises(JobError, match=r"the input .* is a directory"):
        check_files(dataclasses.replace(files, input=folder))
    with pytest.raises(JobError, match="does not exist"):
        check_files(dataclasses.replace(files, input=folder / "nothing"))


def test_a_file_of_another_job_does_not_pass_for_this_ones(files: JobFiles) -> None:
    """Two jobs were given one errors file: rows of the other would count as failed here."""
    with opened(files):
        pass
    files.errors.write_bytes(result(2, "0123456789abcdef"))
    assert "was the file given to two jobs?" in refusal(files)
    with opened(files, ResumeOptions(allow_changed_input=True)) as job:
        assert not len(job.progress.failed)
    assert files.stale.read_bytes() == result(2, "0123456789abcdef")


def test_a_new_job_does_not_begin_with_a_file_that_another_writes_to(files: JobFiles) -> None:
    """Nothing is made of it, so that it can begin with a file of its own."""
    sink = LineSink(files.errors)
    assert "another process is working on" in refusal(files)
    sink.close()
    with opened(files):
        pass


def test_a_full_disk_is_noticed_before_anything_is_paid_for(
    files: JobFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With both numbers; nothing is made."""
    usage = type("Usage", (), {"free": 1_000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(JobError, match="has 1,000 bytes left, but a job needs 65,536"):
        check_files(files)
    assert not files.job.exists()
