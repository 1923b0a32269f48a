"""
Every check of the project, one after the other: ``python -m tests``.

Arguments go to pytest, for example ``python -m tests -k budget``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_CHECKS = (
    ("-m", "ruff", "check", "."),
    ("-m", "ruff", "format", "--check", "."),
    ("-m", "mypy"),
    ("-c", "from importlinter.cli import lint_imports_command as lint; lint()"),
    ("-m", "pytest"),
)


def main(arguments: list[str]) -> int:
    """Run the checks in this environment; return the exit code of the first that fails."""
    for check in _CHECKS:
        command = [sys.executable, *check]
        if "pytest" in check:
            command += arguments
        done = subprocess.run(command, cwd=_ROOT, check=False)
        if done.returncode != 0:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
