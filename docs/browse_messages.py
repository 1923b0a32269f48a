"""
Look for messages in the built site, as somebody does who has met one.

Provokes messages by commands that cannot work, and takes those that the page on what happens shows.
Each is typed, as it was printed, into the search of the site in a browser. The first result must be
the page of messages; it is clicked, and the entry must be in view.

``python -m docs.build``, then ``python -m docs.browse_messages``. Needs Chromium, on the path or
named by ``CHROME_PATH``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import gzip
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from docs.check_messages import PAGE, lines_of
from docs.what_happens import PAGE as WHAT_HAPPENS
from docs.what_happens import ROOT, rows, scenarios_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

#: Commands that end with a message before anything is sent, and what is set in the environment.
MISTAKES = """
run rows.jsonl -o out.jsonl                                     OPENAI_API_KEY=
run rows.jsonl -o out.jsonl                                     OPENAI_API_KEY=“key”
run rows.jsonl -o out.jsonl --api-key-env sk-proj-4711
run missing.jsonl -o out.jsonl
run . -o out.jsonl
run array.jsonl -o out.jsonl
run lines.jsonl -o out.jsonl
run cut.jsonl.gz -o out.jsonl
run table.csv -o out.jsonl
run table.csv -o out.csv --prompt {city} --model gpt-4.1-mini
run table.csv -o out.csv --prompt {name --model gpt-4.1-mini
run table.csv -o out.csv --prompt {name} --model gpt-4.1-mini --param temperature
run windows.csv -o out.csv --prompt {name} --model gpt-4.1-mini
run sheet.xlsx -o out.csv --prompt {name} --model gpt-4.1-mini
run rows.jsonl -o rows.jsonl
run rows.jsonl -o -
run rows.jsonl -o folder/out.jsonl
run rows.jsonl -o notes.jsonl
run rows.jsonl -o out.jsonl --base-url localhost:8000
run rows.jsonl -o out.jsonl --base-url=
run rows.jsonl -o out.jsonl --fake --base-url http://localhost/v1
run rows.jsonl -o out.jsonl --rpm fast
run rows.jsonl -o out.jsonl --rpm 0
run rows.jsonl -o out.jsonl --limits missing.toml
run rows.jsonl -o out.jsonl --limits broken.toml
run rows.jsonl -o out.jsonl --limits empty.toml
run rows.jsonl -o out.jsonl --shard 3/3
run rows.jsonl -o out.jsonl --shard three
run rows.jsonl -o out.jsonl --share everywhere
run rows.jsonl -o out.jsonl --share redis://
run rows.jsonl -o out.jsonl --price-in 1
run rows.jsonl -o out.jsonl --model-alias mine=yours
run rows.jsonl -o out.jsonl --log-json folder/log.jsonl
run rows.jsonl -o out.jsonl                                     SSL_CERT_FILE=missing.pem
run rows.jsonl -o out.jsonl                                     HTTPS_PROXY=socks5://proxy:1080
run rows.jsonl -o out.jsonl                                     RATEDISPATCH_RUN_RPMS=600
plan rows.jsonl
simulate rows.jsonl
simulate rows.jsonl --rpm 600 --like missing.jsonl
simulate rows.jsonl --rpm 600 --probe 5
tune rows.jsonl --rpm 600 --spend 1
status missing.jsonl
report rows.jsonl
merge missing-0.jsonl missing-1.jsonl -o all.jsonl
memory forget nobody
fake-server --fault 500
fake-server --outage soon
""".strip()

#: Characters of a message that are typed; nobody types more.
MOST_TYPED = 200


def prepare(folder: Path) -> None:
    """Make *folder*, with the files that the commands name."""
    folder.mkdir()
    (folder / "rows.jsonl").write_text(rows(5), "utf-8")
    (folder / "array.jsonl").write_text(f"[{','.join(rows(2).splitlines())}]", "utf-8")
    (folder / "lines.jsonl").write_text(json.dumps(json.loads(rows(1)), indent=2), "utf-8")
    (folder / "cut.jsonl.gz").write_bytes(gzip.compress(rows(50).encode())[:200])
    (folder / "table.csv").write_text("name,size\nBern,1\n", "utf-8")
    (folder / "windows.csv").write_bytes("name,size\nZürich,1\n".encode("cp1252"))
    (folder / "sheet.xlsx").write_bytes(b"PK")
    (folder / "notes.jsonl").write_text('{"note": "mine"}\n', "utf-8")
    (folder / "broken.toml").write_text("[groups.a\n", "utf-8")
    (folder / "empty.toml").write_text("", "utf-8")


def provoked(folder: Path) -> Iterator[str]:
    """Run the commands in *folder*, and yield the message of each."""
    prepare(folder)
    for line in MISTAKES.splitlines():
        words, _, setting = line.partition("    ")
        name, _, value = setting.strip().partition("=")
        environment = {
            **{key: text for key, text in os.environ.items() if "RATEDISPATCH" not in key},
            "OPENAI_API_KEY": "a-key",
            "XDG_STATE_HOME": str(folder / "state"),
            "PYTHONPATH": str(ROOT),
            **({name: value} if name else {}),
        }
        done = subprocess.run(
            [sys.executable, "-m", "ratedispatch", *words.split()],
            check=False,
            capture_output=True,
            cwd=folder,
            env=environment,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
        printed = [
            line for line in done.stderr.splitlines() if not line.startswith(("Usage", "Try"))
        ]
        if done.returncode == 0 or not printed:
            raise RuntimeError(f"no mistake: ratedispatch {words}")
        yield printed[-1].removeprefix("Error: ")


def shown() -> Iterator[str]:
    """Yield the messages on the page of what happens."""
    for scenario in scenarios_of(WHAT_HAPPENS.read_text("utf-8")):
        for step in scenario.steps:
            for line in step.printed.splitlines():
                if re.match(r"(Error|stopped|note|limit in force|\d+ rows? (that|failed))", line):
                    yield line.removeprefix("Error: ")


class Browser:
    """A page of a browser, told what to do over the DevTools protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._count = 0

    async def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Do *method* and return its result."""
        self._count += 1
        await self._socket.send_json({"id": self._count, "method": method, "params": parameters})
        while True:
            reply = await self._socket.receive_json()
            if reply.get("id") == self._count:
                result: dict[str, Any] = reply["result"]
                return result

    async def value(self, script: str) -> Any:
        """Return what *script* comes to."""
        done = await self.call("Runtime.evaluate", expression=script, returnByValue=True)
        return done["result"].get("value")

    async def wait(self, script: str) -> Any:
        """Return what *script* comes to once that is something; None after ten seconds."""
        for _ in range(100):
            with contextlib.suppress(KeyError):
                if value := await self.value(script):
                    return value
            await asyncio.sleep(0.1)
        return None


_FIRST_RESULT = "document.querySelector('#search-results li a')?.href"
_SUMMARY = "document.querySelector('.search-summary')?.textContent.includes('found')"
_LINES_IN_VIEW = """[...document.querySelectorAll('article li')]
  .filter((line) => {
    const box = line.getBoundingClientRect();
    return box.top >= 0 && box.bottom <= innerHeight;
  })
  .map((line) => line.textContent.trim())"""


async def is_found(browser: Browser, site: str, message: str) -> str:
    """Look for *message*; return an empty text, or what is wrong."""
    query = urllib.parse.quote(message[:MOST_TYPED])
    await browser.call("Page.navigate", url=f"{site}/search.html?q={query}")
    await browser.wait(_SUMMARY)
    first = await browser.wait(_FIRST_RESULT)
    if first is None or "/reference/messages.html" not in first:
        return f"the first result is {first}"
    await browser.value("document.querySelector('#search-results li a').click()")
    covering = [line.text for line in lines_of(PAGE.read_text("utf-8")) if line.is_in(message)]
    if not covering:
        return "no entry has it"
    in_view = f"""location.pathname.endsWith('messages.html') && {_LINES_IN_VIEW}
        .some((line) => {json.dumps(covering)}.includes(line))"""
    return "" if await browser.wait(in_view) else "not in view"


@contextlib.asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Browser]:
    """Start a browser with its files in *folder*, and yield a page of it."""
    program = (
        os.environ.get("CHROME_PATH") or shutil.which("chromium") or shutil.which("google-chrome")
    )
    if program is None:
        raise FileNotFoundError("no Chromium; install it, or name it in CHROME_PATH")
    process = await asyncio.create_subprocess_exec(
        program,
        "--headless=new",
        "--no-sandbox",
        "--remote-debugging-port=0",
        f"--user-data-dir={folder}",
        "--window-size=1280,900",
        "about:blank",
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert process.stderr is not None
    try:
        address = ""
        while not address:
            line = (await process.stderr.readline()).decode()
            if not line:
                raise RuntimeError("the browser has ended")
            if match := re.search(r"ws://([^/]+)/", line):
                address = match[1]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://{address}/json/list") as reply:
                pages = [one for one in await reply.json() if one["type"] == "page"]
            async with session.ws_connect(
                pages[0]["webSocketDebuggerUrl"], max_msg_size=0
            ) as socket:
                yield Browser(socket)
    finally:
        process.terminate()
        await process.wait()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


async def look(site: Path) -> int:
    """Look for all messages in the site in the folder *site*; return how many are not found."""
    handler = functools.partial(_Quiet, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    wrong = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        messages = list(dict.fromkeys([*provoked(Path(name, "work")), *shown()]))
        async with opened(Path(name, "browser")) as browser:
            for message in messages:
                fault = await is_found(browser, address, message)
                wrong += bool(fault)
                sys.stdout.write(f"{fault or 'found'}: {message}\n")
    server.shutdown()
    sys.stdout.write(f"{len(messages) - wrong} of {len(messages)} messages found\n")
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m docs.browse_messages")
    parser.add_argument("site", nargs="?", type=Path, default=ROOT / "build" / "site")
    sys.exit(min(asyncio.run(look(parser.parse_args().site)), 1))
