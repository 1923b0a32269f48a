"""
Runs the program on a real server, and reads from its log what became of every attempt.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

from benchmarks.frame.workload import short

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.real.parts import Trial

#: Seconds from the signal to stop until the program is killed.
_STOP_SECONDS = 10.0

#: Statuses of a refusal, whatever it is about.
_REFUSED = (429, 503, 529)


def measure(trial: Trial, folder: Path, seed: int) -> dict[str, Any]:
    """Return the figures of one run of *trial* in the empty *folder*."""
    server = folder / "server"
    server.mkdir()
    short(trial.rows, seed).write(folder / "in.jsonl")
    with trial.start(server) as url:
        start = time.perf_counter()
        code = _run(trial, folder, url)
        wall = time.perf_counter() - start
    return {"wall_s": round(wall, 2), "exit_code": code, **figures_of(trial, folder)}


def _run(trial: Trial, folder: Path, url: str) -> int | None:
    """Run the program; return its exit code, or None if it had to be stopped."""
    command = [sys.executable, "-m", "ratedispatch", "run", "in.jsonl", "-o", "out.jsonl"]
    command += ["--base-url", url, "--log-json", "log.jsonl", "--quiet", *trial.flags]
    kept = {name: text for name, text in os.environ.items() if not name.lower().endswith("_proxy")}
    environment = {**kept, "OPENAI_API_KEY": "key-of-the-benchmark"}
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said)
    try:
        return process.wait(trial.seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return None


def figures_of(trial: Trial, folder: Path) -> dict[str, Any]:
    """Return what the files say."""
    attempts = [line for line in _lines(folder / "log.jsonl") if line["event"] == "attempt"]
    statuses = Counter(line["status"] for line in attempts)
    refused = sum(statuses[status] for status in _REFUSED)
    answered = _lines(folder / "out.jsonl")
    ids = {line["custom_id"] for line in answered}
    latencies = sorted(line["latency"] for line in attempts if line["status"] == 200)
    seconds = _seconds(attempts)
    return {
        "rows": trial.rows,
        "answered": len(ids),
        "failed": len(_lines(folder / "out.errors.jsonl")),
        "doubled": len(answered) - len(ids),
        "attempts": len(attempts),
        "refused": refused,
        "refused_share": round(refused / max(1, len(attempts)), 4),
        "seconds": seconds,
        "ratio": None if trial.ideal is None else round(seconds / trial.ideal, 3),
        "latency_p50_s": latencies[len(latencies) // 2] if latencies else None,
        "per_second": round(len(ids) / seconds, 2) if seconds else None,
    }


def is_met(trial: Trial, figures: dict[str, Any]) -> bool:
    """Return whether *figures* are what was asked for."""
    is_whole = figures["answered"] == trial.rows and not figures["failed"]
    is_quick = figures["ratio"] is None or figures["ratio"] <= trial.most_ratio
    return is_whole and is_quick and figures["refused_share"] <= trial.most_refused


def _seconds(attempts: list[dict[str, Any]]) -> float:
    """Return the seconds from the first sending to the last end."""
    if not attempts:
        return 0.0
    ends = [_instant(line["at"]) for line in attempts]
    begins = [end - float(line["latency"]) for end, line in zip(ends, attempts, strict=True)]
    return round(max(ends) - min(begins), 3)


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
