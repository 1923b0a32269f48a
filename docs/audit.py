"""
Looks at the built site in a browser: ``python -m docs.audit``.

Needs Chromium, Node and npm. Lighthouse judges three kinds of pages as a desktop and a phone see
them; axe-core looks at every page, light and dark, wide and narrow. The pages come from a server on
this machine that compresses as a host would; nothing else is loaded, which is checked too.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from http import HTTPStatus
from pathlib import Path
from typing import Any

from docs.build import SITE

#: The tools from npm, each in the version that was tried.
TOOLS = ("lighthouse@12.2.3", "axe-core@4.14.1", "puppeteer-core@22.15.0")

PAGES = ("index.html", "how-to/run-a-file.html", "reference/api/dispatching.html")
CATEGORIES = ("performance", "accessibility", "best-practices")
LEAST_SCORE = 95

_COMPRESSED = (".html", ".css", ".js", ".svg")
_BROWSER = Path(__file__).with_name("audit_pages.mjs")


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files, compressed where that helps."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Send the file."""
        path = Path(self.translate_path(self.path))
        if path.is_dir():
            path /= "index.html"
        if not path.is_file():
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        body = path.read_bytes()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", self.guess_type(str(path)))
        if path.suffix in _COMPRESSED:
            body = gzip.compress(body)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=31536000")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base
        """Say nothing."""


def lighthouse(url: str, tools: Path, chromium: str, *, phone: bool) -> dict[str, Any]:
    """Return what Lighthouse says about the page at *url*."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            str(tools / "node_modules" / ".bin" / "lighthouse"),
            url,
            "--quiet",
            "--output=json",
            f"--output-path={folder}/report.json",
            f"--only-categories={','.join(CATEGORIES)}",
            "--chrome-flags=--headless=new --no-sandbox --disable-gpu",
            *([] if phone else ["--preset=desktop"]),
        ]
        environment = {**os.environ, "CHROME_PATH": chromium}
        subprocess.run(command, check=True, env=environment)
        found: dict[str, Any] = json.loads(Path(folder, "report.json").read_text("utf-8"))
        return found


def judged_by_lighthouse(base: str, tools: Path, chromium: str) -> bool:
    """Print the scores of each page; return whether all are high enough."""
    is_good = True
    for page in PAGES:
        for phone in (False, True):
            found = lighthouse(base + page, tools, chromium, phone=phone)
            scores = [round(100 * found["categories"][name]["score"]) for name in CATEGORIES]
            size = found["audits"]["total-byte-weight"]["numericValue"]
            told = ", ".join(
                f"{name} {score}" for name, score in zip(CATEGORIES, scores, strict=True)
            )
            kind = "phone" if phone else "desktop"
            print(f"{page} ({kind}): {told}; {size / 1000:.0f} KB", flush=True)
            is_good = is_good and min(scores) >= LEAST_SCORE
            used = {
                ref["id"] for name in CATEGORIES for ref in found["categories"][name]["auditRefs"]
            }
            for name in sorted(used):
                audit = found["audits"][name]
                if audit["score"] is not None and audit["score"] < 1 and min(scores) < LEAST_SCORE:
                    print(f"  {name}: {audit['title']}")
    return is_good


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m docs.audit", description="Look at the site.")
    parser.add_argument("folder", nargs="?", type=Path, default=SITE, help="the built site")
    tools = SITE.with_name("audit-tools")
    parser.add_argument("--tools", type=Path, default=tools, help="where npm installs the tools")
    parser.add_argument("--screenshots", type=Path, help="a folder for pictures of some pages")
    parser.add_argument("--only", choices=["axe", "lighthouse"], help="one of the two")
    return parser


def main(arguments: list[str]) -> int:
    """Look at the site as *arguments* say; return 0 if nothing is wrong with it."""
    options = _parser().parse_args(arguments)
    if not (options.folder / "index.html").exists():
        print(f"{options.folder}: no site; python -m docs.build writes it", file=sys.stderr)
        return 2
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None or shutil.which("npm") is None:
        print("this needs chromium (or google-chrome), node and npm on the path", file=sys.stderr)
        return 2
    options.tools.mkdir(parents=True, exist_ok=True)
    if not (options.tools / "node_modules").exists():
        command = ["npm", "install", "--silent", "--no-save", "--prefix", str(options.tools)]
        subprocess.run([*command, *TOOLS], check=True)
    handler = functools.partial(_Handler, directory=str(options.folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}/"
    is_good = True
    if options.only != "lighthouse":
        pages = [path.relative_to(options.folder) for path in options.folder.rglob("*.html")]
        names = sorted(path.as_posix() for path in pages)
        words = ["node", str(_BROWSER), str(options.tools), chromium, base]
        pictures = str(options.screenshots.absolute()) if options.screenshots else ""
        if pictures:
            options.screenshots.mkdir(parents=True, exist_ok=True)
        is_good = subprocess.run([*words, pictures, *names], check=False).returncode == 0
    if options.only != "axe":
        is_good = judged_by_lighthouse(base, options.tools, chromium) and is_good
    server.shutdown()
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
