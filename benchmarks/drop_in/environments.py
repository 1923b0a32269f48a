"""
Virtual environments of their own, for programs that pin what this project does not.

Decides where they are and when one has to be made again. Knows no program by name.
"""

from __future__ import annotations

import os
import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path

import benchmarks

DEFAULT_FOLDER = Path("~/.cache/ratedispatch-drop-in")

#: The source tree, which is installed into each environment as it stands.
PROJECT = Path(benchmarks.__path__[0]).parent

_DONE = "installed.txt"


class NotInstalled(Exception):
    """An environment could not be made; says what pip said last."""


@dataclass(frozen=True, slots=True)
class Environment:
    """
    A virtual environment with some packages and this project.

    Args:
        name: Of its folder.
        packages: As pip takes them.
    """

    name: str
    packages: tuple[str, ...]

    def interpreter(self, folder: Path) -> Path:
        """Return its interpreter below *folder*, which may not be there."""
        place = folder / self.name
        if os.name == "nt":
            return place / "Scripts" / "python.exe"
        return place / "bin" / "python"

    def install(self, folder: Path) -> Path:
        """
        Make it below *folder*, unless it is there with the same packages; return its interpreter.

        Raises:
            NotInstalled: pip failed.
        """
        place, python = folder / self.name, self.interpreter(folder)
        # without the path of the project: what is run is found by PYTHONPATH
        mark, wanted = place / _DONE, "\n".join(self.packages)
        if mark.exists() and mark.read_text(encoding="utf-8") == wanted:
            return python
        venv.create(place, clear=True, with_pip=True)
        # in one call, so that pip finds versions that all of them can live with
        pip(python, "install", "--editable", str(PROJECT), *self.packages)
        mark.write_text(wanted, encoding="utf-8")
        return python


def pip(python: Path, verb: str, *arguments: str) -> None:
    """
    Run pip of *python*.

    Raises:
        NotInstalled: It failed.
    """
    command = [str(python), "-m", "pip", verb, "--quiet", "--disable-pip-version-check"]
    ended = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    if ended.returncode:
        lines = [line for line in ended.stderr.splitlines() if line.startswith("ERROR")]
        raise NotInstalled(lines[-1] if lines else f"pip ended with {ended.returncode}")
