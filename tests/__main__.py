"""
Runs every check of the project: ``python -m tests``.

The linter comes first, since it takes a second. Types and import contracts are checked beside the
tests, which leave a processor idle while they wait for servers and processes. In a new clone one
process collects the tests before: those that run them would each compile all, since none is ahead.
Arguments go to pytest, for example ``python -m tests -k budget``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_FIRST = (
    ("-m", "ruff", "check", "."),
    ("-m", "ruff", "format", "--check", "."),
)
_COLLECT = ("-m", "pytest", "--collect-only", "-qq")
_BESIDE_THE_TESTS = (
    ("-m", "mypy"),
    ("-c", "from importlinter.cli import lint_imports_command as lint; lint()"),
)


def _run(words: tuple[str, ...]) -> int:
    """Run Python with *words* and return its exit code."""
    return subprocess.run([sys.executable, *words], cwd=_ROOT, check=False).returncode


def _run_quietly(words: tuple[str, ...]) -> tuple[int, str]:
    """Run Python with *words*; return its exit code and what it printed."""
    command = [sys.executable, *words]
    done = subprocess.run(
        command,
        cwd=_ROOT,
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return done.returncode, done.stdout


def _is_compiled() -> bool:
    """Return whether pytest has kept the byte code of the tests."""
    return any((_ROOT / "tests" / "__pycache__").glob("test_*-pytest-*.pyc"))


def main(arguments: list[str]) -> int:
    """Run the checks in this environment; return the exit code of the first that fails."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each process would compile all of it anew
    for check in _FIRST:
        code = _run(check)
        if code != 0:
            return code
    with ThreadPoolExecutor(len(_BESIDE_THE_TESTS)) as pool:
        beside = [pool.submit(_run_quietly, check) for check in _BESIDE_THE_TESTS]
        if not _is_compiled():
            _run_quietly((*_COLLECT, *arguments))
        tests = _run(("-m", "pytest", *arguments))
        others = [check.result() for check in beside]
    for _, printed in others:
        print(printed, end="")  # noqa: T201 - what a check says is the result of this program
    return next((code for code in (tests, *(code for code, _ in others)) if code != 0), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
