"""
The least there is: a loop that reads a file, posts its rows with aiohttp and writes the answers.

What ``overhead`` holds the program against. No limits, no counting, no retries, nothing kept
safe: a crash loses what is buffered, and a refusal ends it. JSON is read and written where
somebody who wants the same files has to: the body out of its row, and the answer, which may be
spread over lines, onto one. The event loop is asyncio's own unless ``--loop uvloop`` says so.

Run as a child: ``python -m benchmarks.live.parts.bare_loop IN OUT --base-url URL --in-flight N``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

import aiohttp


async def run(arguments: argparse.Namespace) -> None:
    """Post every row of the input, *in_flight* at once, and append its answer to the output."""
    base_url = arguments.base_url.removesuffix("/v1")
    headers = {"Authorization": "Bearer any", "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(limit=arguments.in_flight)
    with (
        arguments.input.open("rb") as rows,
        arguments.output.open("w", encoding="utf-8") as output,
    ):
        async with (
            aiohttp.ClientSession(connector=connector, headers=headers) as session,
            asyncio.TaskGroup() as group,
        ):

            async def work() -> None:
                for line in rows:
                    row = json.loads(line)
                    data = json.dumps(row["body"]).encode()
                    async with session.post(base_url + row["url"], data=data) as response:
                        if response.status != 200:
                            raise RuntimeError(f"status {response.status}")
                        body = json.loads(await response.read())
                    answer = {"status_code": 200, "body": body}
                    found = {"custom_id": row["custom_id"], "response": answer, "error": None}
                    output.write(json.dumps(found) + "\n")

            for _ in range(arguments.in_flight):
                group.create_task(work())


def main() -> None:
    """Run the loop that the arguments describe."""
    parser = argparse.ArgumentParser()
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--in-flight", type=int, required=True)
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    arguments = parser.parse_args()
    factory = None
    if arguments.loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(run(arguments))


if __name__ == "__main__":
    main()
