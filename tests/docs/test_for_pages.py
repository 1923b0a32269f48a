"""The pages for each kind of user: their commands run, and print what the pages show."""

from __future__ import annotations

import re
import shlex
import shutil
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from ratedispatch.cli import main
from tests.docs.pages import DOCS, blocks, name_of

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = DOCS / "examples" / "docstrings.jsonl"

#: Each shows a command that ends with this exit code; all others end with 0.
EXIT_CODES = {"--max-rows": 3}

#: Differs from run to run: numbers, and which of its limits a short job waits for longest.
_VARIES = re.compile(r"[\d.,]+|bound by [a-z ]+")


def masked(text: str) -> list[str]:
    return [_VARIES.sub("…", line) for line in text.splitlines()]


@pytest.mark.slow  # a fake server of its own for each run
@pytest.mark.parametrize("page", sorted((DOCS / "for").glob("*.md")), ids=name_of)
def test_the_commands_of_a_page_print_what_it_shows(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one folder, in their order; a command that needs a key or a server is only parsed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs" / "examples").mkdir(parents=True)
    shutil.copy(EXAMPLE, tmp_path / "docs" / "examples")
    printed = ""
    for text, _ in blocks(page, "console"):
        for line in text.splitlines():
            _, *words = shlex.split(line)
            if str(EXAMPLE.name) in line or words[0] == "merge":
                result = CliRunner().invoke(main, words)
                expected = next((EXIT_CODES[word] for word in words if word in EXIT_CODES), 0)
                assert result.exit_code == expected, (line, result.output)
                printed += result.output
    shown = {line for text, _ in blocks(page, "text") for line in masked(text)}
    missing = shown - set(masked(printed))
    assert not missing
