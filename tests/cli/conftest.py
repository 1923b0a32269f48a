"""Fixtures of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.run_command import row

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A folder with an input of one row."""
    (tmp_path / "in.jsonl").write_text(row("a") + "\n")
    return tmp_path
