"""
Virtual environments of their own, for programs and versions that this project does not pin.

Decides where they are and when one has to be made again: when what is to be in it changes, or
what this project needs, or Python; and after a while, since the last version of today is another
one then. Knows no program by name.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tomllib
import venv
from dataclasses import dataclass
from pathlib import Path

import benchmarks

#: The source tree, which is installed into each environment as it stands.
PROJECT = Path(benchmarks.__path__[0]).parent

_CACHE = Path("~/.cache")

_DONE = "installed.txt"

#: Seconds for which an environment is kept.
_KEPT_SECONDS = 7 * 24 * 3600.0


class NotInstalled(Exception):
    """An environment could not be made; says what pip said last."""


@dataclass(frozen=True, slots=True)
class Environment:
    """
    A virtual environment with some packages and this project.

    Args:
        name: Of its folder.
        packages: As pip takes them.
        extra: Of this project; installed with it.
    """

    name: str
    packages: tuple[str, ...]
    extra: str = ""

    def interpreter(self, folder: Path) -> Path:
        """Return its interpreter below *folder*, which may not be there."""
        place = folder / self.name
        if os.name == "nt":
            return place / "Scripts" / "python.exe"
        return place / "bin" / "python"

    def install(self, folder: Path) -> Path:
        """
        Make it below *folder*, unless it is there as it should be; return its interpreter.

        Raises:
            NotInstalled: pip failed.
        """
        place, python = folder / self.name, self.interpreter(folder)
        # without the path of the project: what is run is found by PYTHONPATH
        needed = (sys.version, str(project()["dependencies"]), self.extra, *self.packages)
        mark, wanted = place / _DONE, "\n".join(needed)
        if mark.exists() and mark.read_text(encoding="utf-8") == wanted:
            age = time.time() - mark.stat().st_mtime  # noqa: TID251  - a file has no other clock
            if age < _KEPT_SECONDS:
                return python
        venv.create(place, clear=True, with_pip=True)
        own = f"{PROJECT}[{self.extra}]" if self.extra else str(PROJECT)
        # in one call, so that pip finds versions that all of them can live with
        pip(python, "install", "--editable", own, *self.packages)
        mark.write_text(wanted, encoding="utf-8")
        return python


def default_folder(purpose: str) -> Path:
    """Return where environments for *purpose* are kept, below ``~``."""
    return _CACHE / f"ratedispatch-{purpose}"


def project() -> dict[str, object]:
    """Return the table of the project in ``pyproject.toml``."""
    text = (PROJECT / "pyproject.toml").read_text("utf-8")
    table: dict[str, object] = tomllib.loads(text)["project"]
    return table


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
