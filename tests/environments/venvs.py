"""
Makes virtual environments for versions of packages, and keeps them.

An environment is made anew when what is to be in it changes, or what this project needs; and
after a week, since the last version of today is another one then.
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

ROOT = Path(__file__).resolve().parents[2]

DEFAULT_FOLDER = Path("~/.cache/ratedispatch-environments")

_DONE = "installed.txt"
_MOST_SECONDS = 7 * 24 * 3600.0  # that an environment is kept

#: What the tests need besides the project.
_TOOLS = ("pytest>=8.3", "pytest-xdist>=3.6", "hypothesis>=6.100", "trio>=0.26")


@dataclass(frozen=True, slots=True)
class Environment:
    """
    A virtual environment with this project in it.

    Args:
        name: Of its folder.
        packages: What else is installed, as pip takes it.
    """

    name: str
    packages: tuple[str, ...]

    def python(self, folder: Path) -> Path:
        """Return its interpreter, which may not be there."""
        place = folder / self.name
        return place / "Scripts" / "python.exe" if os.name == "nt" else place / "bin" / "python"


def project() -> dict[str, object]:
    """Return the table of the project in ``pyproject.toml``."""
    table: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))[
        "project"
    ]
    return table


def make(environment: Environment, folder: Path) -> str | None:
    """Return None once *environment* stands in *folder*, or pip's last words."""
    place = folder / environment.name
    wanted = "\n".join((sys.version, str(project()["dependencies"]), *environment.packages))
    mark = place / _DONE
    if mark.exists() and mark.read_text("utf-8") == wanted:
        age = time.time() - mark.stat().st_mtime  # noqa: TID251  - a file has no other clock
        if age < _MOST_SECONDS:
            return None
    venv.create(place, clear=True, with_pip=True)
    command = [str(environment.python(folder)), "-m", "pip", "install", "--quiet"]
    command += [f"{ROOT}[files]", *_TOOLS, *environment.packages]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        lines = [line for line in ended.stderr.splitlines() if line.startswith("ERROR")]
        return lines[-1] if lines else f"pip ended with exit code {ended.returncode}"
    mark.write_text(wanted, "utf-8")
    return None


def run(environment: Environment, folder: Path, *words: str) -> int:
    """Run Python with *words* on this checkout in *environment*; return the exit code."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(environment.python(folder)), *words]
    return subprocess.run(command, cwd=ROOT, env=variables, check=False).returncode
