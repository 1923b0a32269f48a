"""The example input that ships with the documentation, and the script that makes it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.tokens import count_tokens

if TYPE_CHECKING:
    from types import ModuleType

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
CHAT = "/v1/chat/completions"


def parsed(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def check_batch_format(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        assert list(row) == ["custom_id", "method", "url", "body"]
        assert (row["method"], row["url"]) == ("POST", CHAT)
        assert list(row["body"]) == ["model", "messages", "max_completion_tokens"]
        assert [message["role"] for message in row["body"]["messages"]] == ["system", "user"]
        assert all(message["content"] for message in row["body"]["messages"])
    assert len({row["custom_id"] for row in rows}) == len(rows)
    assert len({json.dumps(row["body"]) for row in rows}) == len(rows)


@pytest.fixture(scope="module")
def shipped() -> list[dict[str, Any]]:
    return parsed((EXAMPLES / "docstrings.jsonl").read_text("utf-8"))


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_requests", EXAMPLES / "make_requests.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def library(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library of one folder in the place of Python's own."""
    monkeypatch.setattr(script, "ROOT", tmp_path / "lib")
    (tmp_path / "lib").mkdir()
    return tmp_path / "lib"


def test_shipped_file_is_300_distinct_rows_in_batch_format(shipped: list[dict[str, Any]]) -> None:
    """Everything in the shipped file can be sent, and each row asks for a docstring."""
    assert len(shipped) == 300
    check_batch_format(shipped)
    assert {row["body"]["model"] for row in shipped} == {"gpt-4.1-mini"}
    assert {row["body"]["max_completion_tokens"] for row in shipped} == {200}
    for row in shipped:
        assert row["body"]["messages"][1]["content"].startswith("Write a docstring for ")


@pytest.mark.slow  # reads the vocabulary
def test_shipped_lengths_span_fifty_to_four_thousand_tokens(
    shipped: list[dict[str, Any]],
) -> None:
    """There are short prompts, long ones and many in between, as in a real workload."""
    lengths = sorted(count_tokens(row["body"], CHAT) for row in shipped)
    assert 40 <= lengths[0] <= 60
    assert 200 <= lengths[150] <= 400
    assert 800 <= lengths[270] <= 1_500
    assert 3_500 <= lengths[-1] <= 4_400


def test_script_makes_distinct_rows_of_the_standard_library(
    script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """The flags arrive in the rows, which go to standard output unless a file is named."""
    flags = ["--rows", "6", "--model", "my-model", "--max-output-tokens", "7"]
    assert script.main(flags) == 0
    rows = parsed(capsys.readouterr().out)
    assert len(rows) == 6
    check_batch_format(rows)
    assert rows[0]["body"]["model"] == "my-model"
    assert rows[0]["body"]["max_completion_tokens"] == 7


def test_same_seed_makes_the_same_file_and_a_longer_one_begins_with_it(
    script: ModuleType, library: Path, tmp_path: Path
) -> None:
    """A file can be made again, and made longer, without changing its first rows."""
    source = "".join(f"def f{i}():\n    return {i}\n" for i in range(40))
    (library / "many.py").write_text(source)
    made = {}
    for name, rows, seed in (("a", 60, 3), ("b", 60, 3), ("longer", 90, 3), ("other", 60, 4)):
        path = tmp_path / name
        assert script.main(["--rows", str(rows), "--seed", str(seed), "-o", str(path)]) == 0
        made[name] = path.read_bytes()
    assert made["a"] == made["b"]
    assert made["longer"].startswith(made["a"])
    assert made["longer"].count(b"\n") == 90
    assert made["other"] != made["a"]


def test_rows_stay_distinct_after_every_function_had_its_turn(
    script: ModuleType, library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two functions are enough for any number of rows."""
    (library / "tiny.py").write_text("def f(): return 1\nclass C:\n    def g(self): return 2\n")
    assert script.main(["--rows", "100"]) == 0
    rows = parsed(capsys.readouterr().out)
    assert len(rows) == 100
    check_batch_format(rows)
    assert {row["custom_id"][:-5] for row in rows} == {"tiny.f", "tiny.C.g"}


def test_docstrings_tests_and_other_peoples_code_are_left_out(
    script: ModuleType, library: Path
) -> None:
    """What is shown is the code alone, of library modules that bear no copyright of their own."""
    (library / "pack").mkdir()
    (library / "pack" / "__init__.py").write_text(
        "class C:\n"
        "    @property\n"
        "    def shown(self):\n"
        '        """\n'
        "        Hidden.\n"
        '        """\n'
        "        # kept\n"
        "        return 1\n"
        '    def empty(self): "Nothing else."\n'
        '    def crowded(self): "Beside"; return 1\n'
    )
    (library / "theirs.py").write_text("# Copyright (c) somebody\ndef f(): return 1\n")
    for folder in ("test", "site-packages", "idlelib"):
        (library / folder).mkdir()
        (library / folder / "mod.py").write_text("def f(): return 1\n")
    assert {path.relative_to(library).as_posix() for path, _ in script.places()} == {
        "pack/__init__.py"
    }
    assert script.functions(library / "pack" / "__init__.py") == [
        ("pack.C.shown", "@property\ndef shown(self):\n    # kept\n    return 1")
    ]


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--rows", "0"], "--rows is 0, but must be at least 1"),
        (["--rows", "-3"], "--rows is -3, but must be at least 1"),
        (["--max-output-tokens", "0"], "--max-output-tokens is 0, but must be at least 1"),
        (["--rows", "many"], "invalid int value: 'many'"),
        (["-o", "no/such/folder/file.jsonl"], "cannot make the file: "),
    ],
)
def test_bad_flags_are_refused_with_a_sentence(
    script: ModuleType, flags: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A flag out of range ends with exit code 2 and says what is wrong."""
    with pytest.raises(SystemExit) as caught:
        script.main(flags)
    assert caught.value.code == 2
    assert sentence in capsys.readouterr().err


def test_python_without_library_sources_is_refused(
    script: ModuleType, library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where there is no source to ask about, the script says so instead of making no rows."""
    with pytest.raises(SystemExit) as caught:
        script.main([])
    assert caught.value.code == 2
    assert f"no library sources in {library}" in capsys.readouterr().err
