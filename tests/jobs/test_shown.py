"""Whether whoever calls `run_file` is shown how far it is."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from ratedispatch.jobs.job_options import JobOptions
from ratedispatch.jobs.run_file import run_file
from ratedispatch.limits import Limits
from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProviderTransport
from tests.dispatch.display.notebooks import Notebook
from tests.jobs.job_files import row, text_of

if TYPE_CHECKING:
    from pathlib import Path


def run(folder: Path, progress: bool | None = None) -> None:
    (folder / "in.jsonl").write_bytes(text_of(*[row(f"r{number}") for number in range(300)]))
    (folder / "out.jsonl").unlink(missing_ok=True)

    async def main() -> None:
        report = await run_file(
            folder / "in.jsonl",
            folder / "out.jsonl",
            client=ProviderTransport(ProviderSettings(latency=0.5), random.Random(1)),
            limits=Limits(1_200),
            job_options=JobOptions(progress=progress),
        )
        assert report.answered == 300

    run_virtual(main())


def test_a_notebook_shows_one_picture_that_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the file, and none of the map in it."""
    book = Notebook(monkeypatch)
    run(tmp_path)
    (picture,) = book.pictures
    assert "300/300 rows" in picture
    assert book.shown > 10
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("progress", [None, False])
def test_nothing_is_shown_elsewhere_or_where_it_is_not_wished(
    progress: bool | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    book = Notebook(monkeypatch, has_kernel=progress is False)
    run(tmp_path, progress)
    assert book.pictures == []
    assert capsys.readouterr() == ("", "")


def test_outside_of_a_notebook_it_is_written_to_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "of 300 rows" in err
