"""How the processes of a job are waited for at its end."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from ratedispatch.jobs.processes import crew
from ratedispatch.jobs.processes.crew import Hand

if TYPE_CHECKING:
    import pytest


def test_processes_that_were_let_go_together_are_waited_for_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a run with many of them would not end before the system kills it after a SIGTERM."""
    monkeypatch.setattr(crew, "_ENDING", 0.2)
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    hands = [Hand(subprocess.Popen(command), None) for _ in range(4)]
    begin = time.perf_counter()
    for hand in hands:
        hand.let_go()
    assert [hand.wait() for hand in hands] == [-9] * 4
    # 0.2 s for all, and what it takes to kill them; one after the other it would be 0.8 s
    assert time.perf_counter() - begin < 0.7
