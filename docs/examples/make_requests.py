"""
Make a request file in OpenAI Batch format from the functions of Python's standard library.

Each row shows one function without its docstring and asks for one. Each draws a length and is
filled up to it with other functions of the module, so that lengths spread as in a real workload.
When every function had its turn, a new round asks something else: a file of any size has distinct
rows. One seed and one Python make one file, and a longer file begins with the shorter one.
"""

from __future__ import annotations

import argparse
import ast
import functools
import itertools
import json
import os
import random
import re
import sys
import sysconfig
import textwrap
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(sysconfig.get_path("stdlib"))
# Tests, programs, tables, installed and vendored packages: not library code.
SKIPPED = re.compile(
    "test|config-|_sysconfigdata|.*-packages|idlelib|lib2to3|turtledemo|ensurepip|encodings|pydoc_"
)
SYSTEM = "You document Python code, tersely and exactly."
TASKS = (
    "Write a docstring for",
    "Explain, step by step,",
    "Name three edge cases of",
    "Write a pytest test for",
    "Add type annotations to",
    "Find the likeliest bug in",
)
CHARS = 4  # per token: the usual rule of thumb, good enough to aim with and needs no tokenizer
LONGEST = 3_900  # tokens of a prompt; the true count may be a tenth off
MEDIAN, SIGMA = 270, 1.05  # of the log-normal distribution of lengths, in tokens


class Function(NamedTuple):
    """A function or method: its dotted name, its source without the docstring."""

    name: str
    source: str


def read(path: Path) -> str:
    """Return the source of *path*; nothing if it bears a copyright, hence terms, of its own."""
    with tokenize.open(path) as file:
        text = file.read()
    return "" if "copyright" in text.lower() else text


def places() -> Iterator[tuple[Path, int]]:
    """Yield (file, ordinal) of each function there may be; parses nothing, so it is quick."""
    for folder, subfolders, names in os.walk(ROOT):
        subfolders[:] = sorted(name for name in subfolders if not SKIPPED.match(name))
        for name in sorted(names):
            if name.endswith(".py") and not SKIPPED.match(name):
                path = Path(folder, name)
                yield from ((path, i) for i in range(read(path).count("def ")))


@functools.cache
def functions(path: Path) -> list[Function]:
    """Return the functions of the module *path* and the methods of its classes, in order."""
    text = read(path)
    lines = text.split("\n")  # not splitlines: a form feed is no new line to ast
    found: dict[Function, None] = {}  # a set that keeps the order

    def visit(nodes: Sequence[ast.stmt], prefix: str) -> None:
        for node in nodes:
            if isinstance(node, ast.ClassDef):
                visit(node.body, f"{prefix}.{node.name}")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = min(n.lineno for n in (node, *node.decorator_list)) - 1
                shown = lines[first : node.end_lineno]
                if ast.get_docstring(node, clean=False) is not None:
                    doc, *rest = node.body
                    if not rest or rest[0].lineno == doc.end_lineno:
                        continue  # there is nothing but the docstring, or code beside it
                    shown = lines[first : doc.lineno - 1] + lines[doc.end_lineno : node.end_lineno]
                source = textwrap.dedent("\n".join(shown))
                if len(source) < (LONGEST - 100) * CHARS:
                    found[Function(f"{prefix}.{node.name}", source)] = None

    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    visit(ast.parse(text).body, module.removesuffix(".__init__"))
    return list(found)


def prompts(rng: random.Random) -> Iterator[tuple[str, str]]:
    """Yield (name of a function, what is asked about it), all distinct, without end."""
    if not (order := list(places())):
        raise FileNotFoundError(f"this Python has no library sources in {ROOT}")
    rng.shuffle(order)
    for turn in itertools.count():
        limit = f" Use at most {20 + turn} words." if turn >= len(TASKS) else ""
        for path, i in order:
            if i < len(siblings := functions(path)):  # else "def " was in a comment or a function
                prompt = f"{TASKS[turn % len(TASKS)]} `{siblings[i].name}`.{limit}"
                size = min(rng.lognormvariate(0, SIGMA) * MEDIAN, LONGEST) * CHARS - len(SYSTEM)
                yield siblings[i].name, fill(prompt, siblings[i:] + siblings[:i], size)


def fill(prompt: str, siblings: Sequence[Function], size: float) -> str:
    """Return *prompt*, the first of *siblings*, and as many others as fit in *size* characters."""
    parts = [prompt, siblings[0].source, "Other functions of the module, for context:"]
    room = size - sum(len(part) + 2 for part in parts)
    for _, source in siblings[1:]:
        if len(source) + 2 <= room:
            room -= len(source) + 2
            parts.append(source)
        elif room < 60:  # hardly any is so short: do not search a large module for it
            break
    return "\n\n".join(parts if len(parts) > 3 else parts[:2])


def rows(args: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of the file that *args* asks for."""
    asked = itertools.islice(prompts(random.Random(args.seed)), args.rows)
    for number, (name, prompt) in enumerate(asked, 1):
        roles = (("system", SYSTEM), ("user", prompt))
        body = {
            "model": args.model,
            "messages": [{"role": role, "content": text} for role, text in roles],
            "max_completion_tokens": args.max_output_tokens,
        }
        row = {"custom_id": f"{name}-{number:04}", "method": "POST", "url": "/v1/chat/completions"}
        yield json.dumps({**row, "body": body}) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file; exit with 2 if a flag is out of range or the file cannot be written."""
    parser = argparse.ArgumentParser(description="Make a request file in OpenAI Batch format.")
    parser.add_argument("--rows", type=int, default=300, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="of order and lengths (default 1)")
    parser.add_argument("--model", default="gpt-4.1-mini", help="default %(default)s")
    parser.add_argument("--max-output-tokens", type=int, default=200, help="default %(default)s")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: stdout")
    args = parser.parse_args(argv)
    for flag, value in (("rows", args.rows), ("max-output-tokens", args.max_output_tokens)):
        if value < 1:
            parser.error(f"--{flag} is {value}, but must be at least 1")
    try:
        if args.output is None:
            sys.stdout.writelines(rows(args))
            sys.stdout.flush()
        else:
            with args.output.open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(rows(args))
    except BrokenPipeError:  # whoever reads our output has enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        parser.error(f"cannot make the file: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
