"""
nginx in front of a model server, limiting requests a second or requests at once.

`limit_req` refuses at once, with an HTML page, what comes faster than its rate and burst. Its
default status is 503; 429 is what most people set. `limit_conn` refuses what is more at once.
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
_PER_SECOND = 10
_BURST = 5
_AT_ONCE = 8
_LATENCY = 0.2

#: The first goes, the burst with it, and the rest one by one.
_IDEAL_BY_RATE = (_ROWS - _BURST) / _PER_SECOND
_IDEAL_AT_ONCE = _ROWS / _AT_ONCE * _LATENCY

_BY_RATE = f"""
limit_req_zone $server_name zone=rate:1m rate={_PER_SECOND}r/s;
limit_req_status {{status}};
"""
_BY_RATE_THERE = f"limit_req zone=rate burst={_BURST} nodelay;"

_AT_ONCE_ZONE = "limit_conn_zone $server_name zone=conn:1m;"
_AT_ONCE_THERE = f"limit_conn conn {_AT_ONCE};"

_CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {zone}
    upstream model {{ server 127.0.0.1:{model}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port};
        server_name model;
        location / {{
            {there}
            proxy_pass http://model;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


@contextlib.contextmanager
def _start(folder: Path, *, zone: str, there: str) -> Iterator[str]:
    path = program("nginx")
    assert path is not None
    port = free_port()
    with upstream(folder, "--latency", str(_LATENCY), "--latency-sigma", "0") as model:
        text = _CONFIGURATION.format(folder=folder, model=model, port=port, zone=zone, there=there)
        configuration = folder / "nginx.conf"
        configuration.write_text(text, encoding="utf-8")
        command = [path, "-c", str(configuration), "-p", str(folder), "-e", f"{folder}/start.log"]
        with running(command, folder, port):
            yield f"http://127.0.0.1:{port}/v1"


def _by_rate(status: int, told: str) -> Trial:
    zone = _BY_RATE.format(status=status)
    start = partial(_start, zone=zone, there=_BY_RATE_THERE)
    name = f"{_PER_SECOND}/s, {status}, --rpm {told}"
    return Trial(name, start, ("--rpm", told, "--tpm", "none"), _IDEAL_BY_RATE, _ROWS)


def _at_once(*flags: str) -> Trial:
    start = partial(_start, zone=_AT_ONCE_ZONE, there=_AT_ONCE_THERE)
    words = ("--rpm", "none", "--tpm", "none", *flags)
    return Trial(
        f"{_AT_ONCE} at once, {' '.join(flags)}", start, words, _IDEAL_AT_ONCE, most_ratio=1.3
    )


NGINX = RealServer(
    "nginx",
    partial(missing_package, "nginx", "nginx-light"),
    (
        *(_by_rate(status, told) for status in (429, 503) for told in ("600", "auto", "none")),
        _at_once("--max-in-flight", str(_AT_ONCE)),
        _at_once("--max-in-flight", "auto"),
    ),
)
