"""
LiteLLM's proxy in front of a model server, limiting requests in a clock minute.

Its router refuses what arrives beyond the limit of a model in a minute of its clock, with
``retry-after: 60``; its headers count a request only when that is answered. So what a run can do
depends on the second of the minute in which it begins.

The program is that of ``pip install 'litellm[proxy]'``, best into an environment of its own, on
the path or named in the variable LITELLM.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.real.parts import RealServer, Trial, free_port, running, upstream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MODEL = "gpt-4o-mini"  # that of the rows
_ROWS = 900
_RPM = 600
_LATENCY = 0.2

#: Seconds in which the program starts, before its first request.
_STARTING = 1.0

#: Requests that the proxy answers in a second at most, on a core it shares with the program.
_PER_SECOND = 80.0

_UNTIL_IT_LISTENS = 90.0

_CONFIGURATION = """
model_list:
  - model_name: {name}
    litellm_params:
      model: openai/{name}
      api_base: http://127.0.0.1:{model}/v1
      api_key: none
      rpm: {rpm}
router_settings:
  optional_pre_call_checks: ["enforce_model_rate_limits"]
  num_retries: 0
general_settings:
  dangerously_permit_weak_or_unset_master_key: true  # on the loopback, for a minute
litellm_settings:
  num_retries: 0
"""


def ideal(second: float) -> float:
    """
    Return the seconds that the rows take at least if the first is sent in *second* of a minute.

    The limit goes in the first minute, and the rest after its end as fast as the proxy answers.
    And a bucket of the limit that the program is told, a minute deep and full at the start, has
    to hold them all.
    """
    by_user = (_ROWS - _RPM) / _RPM * 60
    return max(60 - second + (_ROWS - _RPM) / _PER_SECOND, by_user + _LATENCY)


def _program() -> str | None:
    return os.environ.get("LITELLM") or shutil.which("litellm")


def _missing() -> str | None:
    if _program() is not None:
        return None
    return "litellm is not installed: pip install 'litellm[proxy]', and name it in LITELLM"


@contextlib.contextmanager
def _start(folder: Path, *, second: float) -> Iterator[str]:
    path = _program()
    assert path is not None
    port = free_port()
    with upstream(folder, "--latency", str(_LATENCY), "--latency-sigma", "0.3") as model:
        text = _CONFIGURATION.format(name=_MODEL, model=model, rpm=_RPM)
        configuration = folder / "litellm.yaml"
        configuration.write_text(text, encoding="utf-8")
        command = ["/usr/bin/env", "LITELLM_LOCAL_MODEL_COST_MAP=True", path]  # no download
        command += ["--config", str(configuration), "--port", str(port), "--host", "127.0.0.1"]
        with running(command, folder, port, seconds=_UNTIL_IT_LISTENS):
            now = datetime.now(UTC)
            time.sleep((second - _STARTING - now.second - now.microsecond / 1e6) % 60)
            yield f"http://127.0.0.1:{port}/v1"


def _from(second: float) -> Trial:
    return Trial(
        f"{_RPM} in a clock minute, --rpm {_RPM}, from second {second:g} on",
        partial(_start, second=second),
        ("--rpm", str(_RPM), "--tpm", "none"),
        ideal(second),
        _ROWS,
        most_ratio=1.1,
        most_refused=0.02,
        seconds=180.0,
    )


LITELLM = RealServer("litellm", _missing, tuple(_from(second) for second in (1, 15, 30, 45)))
