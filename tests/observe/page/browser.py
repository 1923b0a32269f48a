"""A page in Chromium, asked by its DevTools protocol: what it says, loads, and how wide it is."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

#: Without a sandbox, which root has none of, and without what a browser does for itself.
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-extensions"),
    *("--disable-sync", "--no-default-browser-check", "--remote-debugging-pipe"),
)


@dataclass(slots=True)
class Browser:
    """
    A browser with one page.

    Attributes:
        said: Messages of the console, and errors.
        requested: Addresses that the page has asked for.
    """

    reader: asyncio.StreamReader
    writer: Any
    session: str = ""
    number: int = 0
    said: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call *method*, and keep what the page says until its result is there."""
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.writer.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = json.loads((await self.reader.readuntil(b"\0"))[:-1])
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self._hear(answer)

    def _hear(self, event: dict[str, Any]) -> None:
        method, params = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requested.append(params["request"]["url"])
        elif method in {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"}:
            self.said.append(json.dumps(params))

    async def open(self, page: Path, width: int, *, dark: bool = False) -> None:
        """Show *page* on a screen of so many pixels."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        await self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])
        await self.call("Page.navigate", url=page.as_uri())
        await self.value("new Promise(done => addEventListener('load', done))", is_loaded=True)

    async def value(self, expression: str, *, is_loaded: bool = False) -> Any:
        """Return what *expression* is on the page."""
        if is_loaded:
            expression = f"document.readyState === 'complete' || {expression}"
        found = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        return found["result"].get("value")


@contextlib.asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Browser]:
    """Start Chromium, which keeps its files in *folder*."""
    assert CHROMIUM is not None
    to_browser, ours_out = os.pipe()
    ours_in, from_browser = os.pipe()

    def place() -> None:  # it reads from 3 and writes to 4
        os.dup2(to_browser, 63)
        os.dup2(from_browser, 64)
        os.dup2(63, 3)
        os.dup2(64, 4)

    process = await asyncio.create_subprocess_exec(
        *(CHROMIUM, *_FLAGS, f"--user-data-dir={folder}"),
        preexec_fn=place,
        close_fds=False,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    os.close(to_browser)
    os.close(from_browser)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=2**24)
    incoming, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours_in, "rb")
    )
    outgoing, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(ours_out, "wb"))
    try:
        found = Browser(reader, outgoing)
        target = await found.call("Target.createTarget", url="about:blank")
        attached = await found.call(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        found.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            await found.call(f"{domain}.enable")
        yield found
    finally:
        process.kill()
        await process.wait()
        outgoing.close()
        incoming.close()
