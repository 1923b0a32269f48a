"""What the container image promises: an ordinary user, a clean stop, and no files but its own."""

from __future__ import annotations

import ast
import re

from tests.docs.pages import ROOT

INSTRUCTIONS: list[tuple[str, str]] = re.findall(
    r"^([A-Z]+) (.*(?:\\\n.*)*)$", (ROOT / "Containerfile").read_text("utf-8"), re.MULTILINE
)
LAST_STAGE = INSTRUCTIONS[max(i for i, (name, _) in enumerate(INSTRUCTIONS) if name == "FROM") :]


def of(name: str) -> str:
    """Return what the only instruction *name* of the last stage says."""
    (value,) = (value for one, value in LAST_STAGE if one == name)
    return value


def test_the_image_runs_as_an_ordinary_user() -> None:
    """By number, which Kubernetes checks without a list of users."""
    user, group = of("USER").split(":")
    assert int(user) > 0
    assert int(group) > 0


def test_the_program_is_the_first_process() -> None:
    """No shell stands between it and SIGTERM."""
    assert ast.literal_eval(of("ENTRYPOINT")) == ["ratedispatch"]
    assert of("STOPSIGNAL") == "SIGTERM"


def test_nothing_but_the_package_goes_to_the_builder() -> None:
    """A key in a file beside it, an output or the history of git cannot get into a layer."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert lines[0] == "*"
    let_in = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {
        word
        for name, value in INSTRUCTIONS
        if name == "COPY" and "--from" not in value
        for word in value.split()[:-1]
    }
    assert let_in == copied
    assert all((ROOT / one).exists() for one in let_in)


def test_the_base_is_a_version() -> None:
    """Not whichever is the newest on the day of the build."""
    (base,) = (value for name, value in INSTRUCTIONS if name == "ARG" and value.startswith("PYTH"))
    assert re.search(r":3\.\d+-slim-\w+$", base)
