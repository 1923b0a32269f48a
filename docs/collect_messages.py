"""
Collect the messages of the program from its source: what it raises, says, warns of and fails with.

A message is a template: what is known only when the program runs is ``…`` in it. A part that comes
from a function or a name of the package is followed there; where that leads to several texts, each
of them is a message. Every other text of some words counts as a message too, unless it stands in a
help text or in a module that draws tables and pages. Nothing is imported and nothing is run.

``python -m docs.collect_messages`` lists the messages and where they stand.
"""

from __future__ import annotations

import ast
import functools
import itertools
import re
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "ratedispatch"

#: What stands for a part that only a run knows.
GAP = "…"

#: Functions and methods whose texts a user reads.
_SAYS = {
    "Failed", "Note", "complain", "exception", "fail", "failure_line", "halt", "refuse", "_refuse",
    "say", "_say", "say_plainly", "stop", "warn", "_warn_once", "warning",
}  # fmt: skip

#: Where only what is raised and said counts: modules of help texts, tables, pages and charts.
_DRAWN = (
    "cli/*_options.py", "cli/*_text.py", "cli/command.py", "cli/fake_words.py", "cli/merge.py",
    "cli/tune_plot.py", "dispatch/display/*", "jobs/plan/prices.py",
    "jobs/tuning/services.py", "observe/human.py", "observe/page/*", "observe/summary.py",
    "pacing/bottleneck.py", "providers/anthropic.py", "providers/litellm.py",
    "providers/read/statuses.py", "simulate/fit/*", "simulate/forecast/unmodelled.py",
    "tokens/typescript.py", "tokens/vocabulary.py",
)  # fmt: skip

#: Where nothing counts: what the fake provider answers, and errors that the same room catches.
_NEVER_SHOWN = (
    "jobs/retold/log_reader.py", "jobs/workload/counts_file.py", "simulate/provider/*",
)  # fmt: skip

#: Texts of errors in whose place the same module raises another one.
_REPLACED = frozenset({"no number of rows"})

#: Arguments of a call that are no messages: texts for the help, and names.
_NO_TEXTS = frozenset(
    {"envvar", "epilog", "help", "metavar", "missing", "short_help", "show_default"}
)

#: Words of a text that is raised or said, and of one that stands elsewhere, to count as a message.
_FEWEST_TOLD = 3
_FEWEST_ELSEWHERE = 5

#: A part that leads to more texts than these stays a gap.
_MOST_OF_A_PART = 6

#: How far a part is followed from function to function.
_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Message:
    """A message, and where it stands."""

    text: str
    place: str


@functools.cache
def _nodes(tree: ast.AST) -> tuple[ast.AST, ...]:
    """Return all nodes of a module or a function, which are gone through many times."""
    return tuple(ast.walk(tree))


class Module:
    """A module of the package, and what its names stand for."""

    def __init__(self, path: Path, source: str) -> None:
        self.path = path
        self.tree = ast.parse(source)
        self.functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
        self.values: dict[str, ast.expr] = {}
        self.imports: dict[str, tuple[str, str]] = {}
        self.owners: dict[ast.AST, ast.FunctionDef | ast.AsyncFunctionDef] = {}
        for node in _nodes(self.tree):
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    self.functions.setdefault(node.name, node)
                    self.owners.update(dict.fromkeys(_nodes(node), node))
                case ast.ImportFrom(module=str(module)) if module.startswith("ratedispatch"):
                    for alias in node.names:
                        self.imports[alias.asname or alias.name] = (module, alias.name)
        for node in self.tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self.values[name] = value
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    self.values[name] = value

    @classmethod
    @functools.cache
    def read(cls, path: Path) -> Module:
        """Return the module in the file *path*."""
        return cls(path, path.read_text("utf-8"))

    @classmethod
    def parse(cls, source: str) -> Module:
        """Return a module of *source* that is in no file."""
        return cls(PACKAGE / "nowhere.py", source)

    def place(self, line: int) -> str:
        """Return where *line* of it is."""
        return f"{self.path.relative_to(ROOT).as_posix()}:{line}"


@functools.cache
def _module(name: str) -> Module | None:
    path = ROOT.joinpath(*name.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return Module.read(file)
    return None


def _texts(node: ast.AST | None, module: Module, depth: int = 0) -> list[str]:
    """Return what *node* may be as a text; a gap where nothing is known of it."""
    found = [GAP]
    if depth > _DEEPEST:
        return found
    match node:
        case ast.Constant(value=str(text)):
            found = [text]
        case ast.JoinedStr(values=parts):
            found = _joined([_part(part, module, depth) for part in parts])
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            found = _joined([_few(_texts(one, module, depth)) for one in (left, right)])
        case ast.IfExp(body=body, orelse=orelse):
            found = _texts(body, module, depth) + _texts(orelse, module, depth)
        case ast.BoolOp(op=ast.Or(), values=values):
            found = [text for value in values for text in _texts(value, module, depth)]
        case ast.Name(id=name):
            found = _named(name, node, module, depth + 1)
        case ast.Call(func=ast.Name(id=name)):
            found = _returned(name, module, depth + 1)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name)):
            found = _returned(name, module, depth + 1)
        case ast.Call(func=ast.Attribute(value=value, attr="format" | "rstrip" | "removesuffix")):
            found = _texts(value, module, depth)
    return found


def _part(node: ast.AST, module: Module, depth: int) -> list[str]:
    """Return what a part of a text may be; only few possibilities are told apart."""
    if isinstance(node, ast.FormattedValue):
        return [GAP] if node.format_spec else _few(_texts(node.value, module, depth))
    return _texts(node, module, depth)


def _few(texts: list[str]) -> list[str]:
    return list(dict.fromkeys(texts)) if len(set(texts)) <= _MOST_OF_A_PART else [GAP]


def _joined(parts: list[list[str]]) -> list[str]:
    while len(list(itertools.product(*parts))) > _MOST_OF_A_PART:
        longest = max(range(len(parts)), key=lambda index: len(parts[index]))
        parts[longest] = [GAP]
    return ["".join(one) for one in itertools.product(*parts)]


def _named(name: str, node: ast.AST, module: Module, depth: int) -> list[str]:
    """Return what the name may be that *node* reads."""
    owner = module.owners.get(node)
    if owner is not None:
        texts = [
            text for value in _values_given(owner, name) for text in _texts(value, module, depth)
        ]
        if texts:
            return texts
    if name in module.values:
        return _texts(module.values[name], module, depth)
    if name in module.imports:
        where, original = module.imports[name]
        other = _module(where)
        if other is not None and original in other.values:
            return _texts(other.values[original], other, depth)
    return [GAP]


def _values_given(owner: ast.AST, name: str) -> list[ast.expr | None]:
    """Return what the name is set to in the function *owner*; None where that is not simple."""
    found: list[ast.expr | None] = []
    simple: set[ast.expr] = set()
    for node in _nodes(owner):  # a statement comes before the names in it
        match node:
            case ast.Assign(targets=[ast.Name(id=target) as one], value=value) if target == name:
                simple.add(one)
                found.append(value)
            case ast.AugAssign(target=ast.Name(id=target) as one) if target == name:
                simple.add(one)
            case ast.Name(id=target, ctx=ast.Store()) if target == name and node not in simple:
                found.append(None)
            case ast.arg(arg=target) | ast.ExceptHandler(name=target) if target == name:
                found.append(None)
    return found


def _returned(name: str, module: Module, depth: int) -> list[str]:
    """Return what the function may return that is called *name* in *module*."""
    if name not in module.functions and name in module.imports:
        where, name = module.imports[name]
        other = _module(where)
        if other is None:
            return [GAP]
        module = other
    if name not in module.functions:
        return [GAP]
    function = module.functions[name]
    returns = [
        text
        for one in _nodes(function)
        if isinstance(one, ast.Return) and one.value is not None
        for text in _texts(one.value, module, depth)
    ]
    return returns or [GAP]


@functools.cache
def _errors() -> frozenset[str]:
    """Return the names of all classes of errors and warnings that the package has or raises."""
    own = {
        node.name
        for path in PACKAGE.rglob("*.py")
        for node in _nodes(Module.read(path).tree)
        if isinstance(node, ast.ClassDef)
        and any(re.search(r"(Error|Exception|Warning)$", ast.unparse(base)) for base in node.bases)
    }
    inherited = {"RowsMissing", "NotBegun", "AnswerTooLarge", "AttemptTimeout", "BadParameter"}
    return frozenset(own | inherited | {"UsageError"})


def _is_error(name: str) -> bool:
    return (name in _errors() or name.endswith("Error")) and name != "AssertionError"


def _called(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _spoken(node: ast.Call) -> Iterator[ast.expr]:
    """Yield the arguments of *node* that are messages."""
    name = _called(node)
    is_told = _is_error(name) or name in _SAYS
    if name in {"append", "__init__"}:  # of notes, and of an error
        is_told = ast.unparse(node.func).endswith(("notes.append", "super().__init__"))
    if name == "echo":
        is_told = any(word.arg == "err" for word in node.keywords)
    if is_told:
        yield from node.args
    for word in node.keywords:
        if word.arg in {"message", "reason", "advice"}:
            yield word.value


def _is_among(path: Path, patterns: tuple[str, ...]) -> bool:
    inside = PurePosixPath(path.relative_to(PACKAGE).as_posix())
    return any(inside.match(pattern) for pattern in patterns)


def _is_message(text: str, fewest: int) -> bool:
    """Whether *text* is a sentence of *fewest* words, or a part of one, and no pattern or name."""
    plain = text.replace(GAP, " ")
    is_pattern = "(?" in text or "|" in text or "\\b" in text
    return (
        len(re.findall(r"[A-Za-z]{2,}", plain)) >= fewest
        and " " in plain.strip()
        and not is_pattern
    )


def _left_out(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what of *node* is no message: docstrings, texts for the help, parts of other texts."""
    match node:
        case ast.Expr(value=ast.Constant() as text):
            yield text
        case ast.Call(func=ast.Name(id="AssertionError")):
            yield from ast.walk(node)
        case ast.Call(keywords=words):
            for word in words:
                if word.arg in _NO_TEXTS:
                    yield from ast.walk(word.value)
        case ast.Assert(msg=ast.expr() as text):
            yield from ast.walk(text)
        case ast.JoinedStr():
            yield from (one for one in ast.walk(node) if one is not node)
        case ast.BinOp(left=left, right=right):
            yield from (left, right)


def _sentences(module: Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of every string of *module* that may be a message."""
    nodes = _nodes(module.tree)
    left_out = {one for node in nodes for one in _left_out(node)}
    for node in nodes:
        if node not in left_out and isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp):
            for text in _texts(node, module):
                yield node.lineno, text


def messages_of(modules: Iterable[Module]) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of each message of *modules*; one that is a part only once."""
    modules = list(modules)
    found: set[str] = set()
    for module in modules:
        for node in _nodes(module.tree):
            if isinstance(node, ast.Call):
                for argument in _spoken(node):
                    for text in _texts(argument, module):
                        plain = " ".join(text.split())
                        if plain not in found and _is_message(plain, _FEWEST_TOLD):
                            found.add(plain)
                            yield module.place(node.lineno), plain
    known = "\n".join(found)
    for module in modules:
        if not _is_among(module.path, _DRAWN):
            for line, text in _sentences(module):
                plain = " ".join(text.split())
                if plain not in known and _is_message(plain, _FEWEST_ELSEWHERE):
                    yield module.place(line), plain


def collect() -> list[Message]:
    """Return the messages of the package, each text once."""
    paths = [path for path in sorted(PACKAGE.rglob("*.py")) if not _is_among(path, _NEVER_SHOWN)]
    found = {text: place for place, text in messages_of(Module.read(path) for path in paths)}
    return [Message(text, place) for text, place in found.items() if text not in _REPLACED]


if __name__ == "__main__":
    for message in collect():
        sys.stdout.write(f"{message.place}: {message.text}\n")
