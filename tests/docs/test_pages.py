"""What the pages show runs, what they name exists, and where they point there is something."""

from __future__ import annotations

import inspect
import json
import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

import ratedispatch
from docs.site_pages import ROOT_PAGES
from ratedispatch import errors
from ratedispatch.cli import main
from ratedispatch.limits import BURST_SECONDS
from ratedispatch.simulate.server.child import FakeServerProcess
from tests.docs.pages import DOCS, PAGES, ROOT, anchors, blocks, name_of, run_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Run as one program each; the tutorial has a test of its own.
PROGRAMS = [page for page in PAGES if blocks(page, "python") and page != DOCS / "tutorial.md"]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServerProcess]:
    with FakeServerProcess("--latency", "0.01") as child:
        yield child


@pytest.mark.parametrize("page", PROGRAMS, ids=name_of)
@pytest.mark.filterwarnings("ignore::ratedispatch.tokens.CountingWarning")
def test_the_python_of_a_page_runs(
    page: Path, server: FakeServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its blocks are one program that ends well against a server without limits."""
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    monkeypatch.chdir(tmp_path)
    # what run-a-file.md picks its failed rows from, and the table of outputs.md
    failed = json.dumps({"id": "batch_req_000000000002", "custom_id": "row-2"})
    Path("answers.errors.jsonl").write_text(failed + "\n", "utf-8")
    Path("answers.jsonl").write_text("", "utf-8")
    Path("in.csv").write_text("id,text\nq-1,Hello\n", "utf-8")
    run_blocks(page)
    if page.stem == "run-a-file":
        (again,) = Path("again.jsonl").read_text("utf-8").splitlines()
        assert json.loads(again)["custom_id"] == "row-2"
        assert len(Path("from-python.jsonl").read_text("utf-8").splitlines()) == 2


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_all_python_compiles(page: Path) -> None:
    """No block of any page has a syntax error."""
    for number, (code, _) in enumerate(blocks(page, "python"), 1):
        assert compile(code, f"{name_of(page)}, block {number}", "exec")


def commands(page: Path) -> list[list[str]]:
    """Return the arguments of every use of the program in the console blocks of *page*."""
    found = []
    for text, _ in blocks(page, "console"):
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            words = words[: words.index(">")] if ">" in words else words
            for index, word in enumerate(words):
                if word in {"ratedispatch", ".venv/bin/ratedispatch"}:
                    rest = words[index + 1 :]
                    found.append(rest[: rest.index("&")] if "&" in rest else rest)
    return found


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=name_of)
def test_the_flags_of_every_command_exist(page: Path) -> None:
    """Each ratedispatch command of a page is accepted by the parser."""
    for name, *arguments in commands(page):
        command = main.get_command(click.Context(main), name)
        assert command is not None, name
        command.make_context(name, list(arguments))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file that is there, and a heading that is on it."""
    for target in LINK.findall(page.read_text("utf-8")):
        if not target.startswith(("http://", "https://")):
            name, _, anchor = target.partition("#")
            file = page.parent / name if name else page
            assert file.exists(), target
            if anchor and file.suffix == ".md":
                assert anchor in anchors(file), target


def test_a_block_in_a_list_is_a_block(tmp_path: Path) -> None:
    """Only a comment that says what it needs, or what runs it instead, leaves it out."""
    page = tmp_path / "page.md"
    fence = "   ```python\n   if True:\n       run()\n   ```\n"
    reasons = ["", "   <!-- not run -->\n", "   <!-- not run: needs an account -->\n"]
    page.write_text("1. Do:\n\n" + "\n".join(one + fence for one in reasons), "utf-8")
    assert blocks(page, "python") == [
        ("if True:\n    run()\n", is_run) for is_run in (True, True, False)
    ]


def test_anchors_are_made_of_headings(tmp_path: Path) -> None:
    """A second heading of the same words has a number, and a comment in a block is no heading."""
    page = tmp_path / "page.md"
    page.write_text("# Run `a` file\n## Stop\n## Stop\n\n```bash\n# no heading\n```\n", "utf-8")
    assert anchors(page) == {"run-a-file", "stop", "stop-1"}


def test_an_index_lists_every_page() -> None:
    """Nobody has to look into folders: ``index.md`` of docs, or of a folder, lists the page."""
    linked = {
        (index.parent / target).resolve()
        for index in DOCS.rglob("index.md")
        for target in LINK.findall(index.read_text("utf-8"))
    }
    for page in DOCS.rglob("*.md"):
        root_page = ROOT_PAGES.get(page.relative_to(DOCS).with_suffix("").as_posix())
        if page != DOCS / "index.md":
            assert (ROOT / root_page if root_page else page) in linked, name_of(page)


def test_the_library_reference_names_every_public_name() -> None:
    """A name is public when it is documented, and the other way round."""
    text = (DOCS / "reference" / "library.md").read_text("utf-8")
    rows = set(re.findall(r"^\| `(\w+)", text, re.MULTILINE))
    assert set(ratedispatch.__all__) <= rows
    assert f"burst_seconds={BURST_SECONDS:g})" in text


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in ratedispatch.__all__
        if f"`{name}(" in (DOCS / "reference" / "library.md").read_text("utf-8")
    ],
)
def test_the_signatures_in_the_library_reference_are_real(name: str) -> None:
    """The arguments shown are those of the program, in their order, with their defaults."""
    text = (DOCS / "reference" / "library.md").read_text("utf-8")
    match = re.search(rf"^\| `{name}\((.*?)\)`", text, re.MULTILINE)
    assert match is not None
    shown = [part.strip() for part in match[1].split(",")]
    real = []
    parameters = list(inspect.signature(getattr(ratedispatch, name)).parameters.values())
    for before, parameter in pairwise([None, *parameters]):
        assert parameter is not None
        starred = before is None or before.kind is not inspect.Parameter.KEYWORD_ONLY
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and starred:
            real.append("*")
        prefix = "**" if parameter.kind is inspect.Parameter.VAR_KEYWORD else ""
        default = parameter.default
        suffix = "" if default is inspect.Parameter.empty else f"={json.dumps(default)}"
        suffix = suffix.replace("null", "None").replace("false", "False").replace("[]", "()")
        suffix = suffix.replace("true", "True")
        real.append(prefix + parameter.name + suffix)
    assert shown == real


def test_the_tree_of_errors_is_that_of_the_module() -> None:
    """The tree in the reference is the one in the docstring, and has every error."""
    (tree,) = (text for text, _ in blocks(DOCS / "reference" / "errors.md", "text"))
    docstring = inspect.getdoc(errors) or ""
    assert inspect.cleandoc(tree) in inspect.cleandoc(docstring.replace("\n    ", "\n"))
    for name, member in vars(errors).items():
        if isinstance(member, type) and issubclass(member, errors.RateDispatchError):
            assert name in tree


def test_the_codes_of_failures_are_documented() -> None:
    """Every code that the program gives on its own stands in the reference."""
    text = (DOCS / "reference" / "errors.md").read_text("utf-8")
    documented = set(re.findall(r"`(\w+)`", text))
    package = ROOT / "ratedispatch"
    files = [
        "dispatch/dispatcher.py",
        "dispatch/breaker.py",
        "jobs/job.py",
        "jobs/batchfile.py",
        "jobs/source.py",
    ]
    files += [str(path.relative_to(package)) for path in (package / "providers").rglob("*.py")]
    source = "".join((package / name).read_text("utf-8") for name in files)
    given = re.findall(
        r"(?:Decision\.\w+|Failed\(request|stop\(|BadRow\(\w+, \w+),\s*\"(\w+)\"", source
    )
    given += re.findall(r"(?:self\._stop|\.stop)\(\"(\w+)\"", source)
    assert len(set(given)) > 10
    assert not set(given) - documented
