"""What an index shows of the package, and what an installer reads."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.docs.pages import ROOT

PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT: dict[str, Any] = PYPROJECT["project"]
HOME: str = PROJECT["urls"]["Homepage"]
VERSION: str = PROJECT["version"]
FORGE_FILES = sorted((ROOT / ".github").rglob("*.yml"))


def index_readme() -> str:
    """Return the README as the build makes it for an index."""
    text = (ROOT / "README.md").read_text("utf-8")
    hook = PYPROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    for one in hook["substitutions"]:
        text = re.sub(one["pattern"], one["replacement"], text)
    return text.replace("$HFPR_VERSION", VERSION)


def targets(text: str) -> list[str]:
    """Return where the links and pictures of *text* point, in Markdown and in HTML."""
    return re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|srcset|href)="([^"]+)"', text)


def test_the_readme_of_an_index_has_no_relative_link() -> None:
    """An index has no files beside it."""
    relative = [one for one in targets(index_readme()) if not re.match(r"https?:|mailto:|#", one)]
    assert relative == []


def test_a_link_of_the_readme_leads_to_the_file_at_the_tag_of_the_version() -> None:
    """A page keeps fitting the release that links it."""
    before = targets((ROOT / "README.md").read_text("utf-8"))
    for old, new in zip(before, targets(index_readme()), strict=True):
        if new != old:
            owner = HOME.removeprefix("https://github.com/")
            ways = (f"{HOME}/blob/", f"https://raw.githubusercontent.com/{owner}/")
            assert new in {f"{way}v{VERSION}/{old}" for way in ways}


def test_there_is_one_address_of_the_project() -> None:
    """All of pyproject.toml and of the files for a forge are below it."""
    owner = HOME.removeprefix("https://github.com/")
    files = [ROOT / "pyproject.toml", ROOT / "SECURITY.md", ROOT / "CODE_OF_CONDUCT.md"]
    for path in (*files, *FORGE_FILES):
        for found in re.findall(
            r"https://(?:raw\.githubusercontent|github)\.com/([\w./-]+)", path.read_text("utf-8")
        ):
            assert found.startswith(owner), (path.name, found)


def test_every_requirement_has_a_lowest_version() -> None:
    """It is the one that ``nox -s lowest`` tests."""
    extras: dict[str, list[str]] = PROJECT["optional-dependencies"]
    needed = [*PROJECT["dependencies"], *(one for extra in extras.values() for one in extra)]
    without = [one for one in needed if ">=" not in one and not one.startswith("ratedispatch[")]
    assert without == []


def test_every_extra_is_explained() -> None:
    """On the page about installing."""
    page = (ROOT / "docs" / "how-to" / "install.md").read_text("utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(
        PROJECT["optional-dependencies"]
    )


@pytest.mark.parametrize("path", FORGE_FILES, ids=lambda path: path.name)
def test_a_form_has_what_a_forge_asks_for(path: Any) -> None:
    """A name, a description, fields with a label each; and no field twice."""
    form = yaml.safe_load(path.read_text("utf-8"))
    if path.name == "config.yml":
        assert {key for link in form["contact_links"] for key in link} == {"name", "url", "about"}
        return
    assert all(form[key] for key in ("name", "description", "body"))
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert all(field["attributes"]["label"] for field in fields)
    assert len({field["id"] for field in fields}) == len(fields)
