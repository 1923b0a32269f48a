"""A row, a folder and the command `run` on it, for the tests of this folder."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from ratedispatch.cli import main

if TYPE_CHECKING:
    from pathlib import Path

KEY = "sk-very-secret-key-0123456789"
ENDPOINTS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 5},
    "/v1/responses": {"input": "hi", "max_output_tokens": 16},
    "/v1/embeddings": {"input": ["hi", "there"]},
    "/v1/completions": {"prompt": "hi", "max_tokens": 5},
}
MODELS = {"/v1/embeddings": "text-embedding-3-small", "/v1/completions": "gpt-3.5-turbo-instruct"}


def row(name: str, url: str = "/v1/chat/completions", **body: Any) -> str:
    content = {"model": MODELS.get(url, "gpt-4o"), **ENDPOINTS[url], **body}
    return json.dumps({"custom_id": name, "method": "POST", "url": url, "body": content})


def run(folder: Path, *flags: str, env: dict[str, str] | None = None) -> Any:
    """Run the command in this process on in.jsonl of *folder*."""
    arguments = ["run", str(folder / "in.jsonl"), "-o", str(folder / "out.jsonl"), *flags]
    for flag in ("--rpm", "--tpm"):
        if flag not in flags:
            arguments += [flag, "60k" if flag == "--rpm" else "10M"]
    variables = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": None}
    return CliRunner().invoke(main, arguments, env={**variables, **(env or {})})


def make_pipe(folder: Path) -> None:
    (folder / "in.jsonl").unlink()
    os.mkfifo(folder / "in.jsonl")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_text().splitlines()]


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))  # noqa: PTH208  (names are what is compared)
