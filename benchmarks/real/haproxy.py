"""
HAProxy in front of a model server, limiting requests in ten seconds.

`http_req_rate` weighs the last period by what is left of it, counts what it refuses, and answers
at once with an HTML page.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.real.parts import (
    RealServer,
    Trial,
    free_port,
    missing_package,
    program,
    running,
    upstream,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ROWS = 300
_REQUESTS = 100
_SECONDS = 10
_LATENCY = 0.2

_CONFIGURATION = """
global
    maxconn 4096
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend limited
    bind 127.0.0.1:{port}
    stick-table type ip size 1k expire 60s store http_req_rate({seconds}s)
    http-request track-sc0 src
    http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt {requests} }}
    default_backend model
backend model
    server model 127.0.0.1:{model}
"""


@contextlib.contextmanager
def _start(folder: Path) -> Iterator[str]:
    path = program("haproxy")
    assert path is not None
    port = free_port()
    with upstream(folder, "--latency", str(_LATENCY), "--latency-sigma", "0") as model:
        text = _CONFIGURATION.format(model=model, port=port, seconds=_SECONDS, requests=_REQUESTS)
        configuration = folder / "haproxy.cfg"
        configuration.write_text(text, encoding="utf-8")
        with running([path, "-db", "-f", str(configuration)], folder, port):
            yield f"http://127.0.0.1:{port}/v1"


def _told(told: str, ideal: float) -> Trial:
    flags = ("--rpm", told, "--tpm", "none")
    return Trial(f"{_REQUESTS} in {_SECONDS} s, --rpm {told}", _start, flags, ideal, _ROWS)


#: At the rate that is told, after a second's worth of burst.
_AT_RATE = (_ROWS - _REQUESTS / _SECONDS) / _REQUESTS * _SECONDS

#: A hundred at once, none until the period ends, and then as the hundred fade; or one by one.
_BY_PERIODS = _ROWS / _REQUESTS * _SECONDS

HAPROXY = RealServer(
    "haproxy",
    partial(missing_package, "haproxy"),
    (_told("600", _AT_RATE), _told("auto", _BY_PERIODS), _told("none", _BY_PERIODS)),
)
