"""
Send a file with one peer; run by the peer's own interpreter.

Reads a job as JSON from standard input, calls ``send(rows, job, keep)`` of the module that it
names, writes what is kept in Batch output format, and prints how often each failure was returned.
Imports nothing but the standard library
and that module, because the peers' environments have neither this project nor its packages.

The job: ``runner`` (the module), ``packages`` (whose versions to print), ``input``, ``output``,
``base_url``, ``model``, ``rpm``, ``tpm``, ``in_flight`` and ``folder`` (for what a peer stores).
With ``"check": true`` it only imports the module and prints the versions.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import platform
import sys
from collections import Counter
from pathlib import Path
from typing import Any


def main() -> None:
    """Do the job on standard input."""
    job = json.load(sys.stdin)
    runner = importlib.import_module(job["runner"])
    if job.get("check"):
        versions = {name: importlib.metadata.version(name) for name in job["packages"]}
        print(json.dumps({"python": platform.python_version(), **versions}))
        return
    lines = Path(job["input"]).read_text(encoding="utf-8").splitlines()
    rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
    with Path(job["output"]).open("w", encoding="utf-8") as output:

        def keep(custom_id: str, answer: str) -> None:
            """Write down an answer at once, so that what is lost in a crash can be counted."""
            response = {"status_code": 200, "body": {"answer": answer}}
            line = {"custom_id": custom_id, "response": response, "error": None}
            output.write(json.dumps(line) + "\n")
            output.flush()

        failures = runner.send(rows, job, keep)
    print(json.dumps({"failures": Counter(failures)}))


if __name__ == "__main__":
    main()
