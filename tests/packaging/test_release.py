"""The release checklist names the commands that there are."""

from __future__ import annotations

import ast
import re

from tests.docs.pages import ROOT
from tests.packaging.test_metadata import PROJECT

NOXFILE = ast.parse((ROOT / "noxfile.py").read_text("utf-8"))
CHECKLIST = (ROOT / "docs" / "contribute" / "release.md").read_text("utf-8")


def sessions() -> set[str]:
    """Return the functions of noxfile.py that are sessions."""
    return {
        node.name
        for node in NOXFILE.body
        if isinstance(node, ast.FunctionDef)
        if any(ast.unparse(one).startswith("nox.session(") for one in node.decorator_list)
    }


def pythons() -> tuple[str, ...]:
    """Return the versions that noxfile.py tests."""
    for node in NOXFILE.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PYTHONS":
            versions: tuple[str, ...] = ast.literal_eval(node.value)
            return versions
    raise AssertionError("noxfile.py has no PYTHONS")


def test_the_checklist_has_every_session() -> None:
    """And none that there is not."""
    assert set(re.findall(r"`nox -s (\w+)`", CHECKLIST)) == sessions()


def test_the_metadata_names_the_pythons_that_are_tested() -> None:
    """No more and no fewer."""
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert tuple(named) == pythons()
    assert PROJECT["requires-python"] == f">={pythons()[0]}"
    page = (ROOT / "docs" / "how-to" / "install.md").read_text("utf-8")
    assert f"| Python | {', '.join(pythons())} |" in page
