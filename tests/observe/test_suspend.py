"""A display that is suspended with Ctrl-Z."""

from __future__ import annotations

import os
import signal

import pytest

from ratedispatch.observe.suspend import hidden_while_suspended


@pytest.mark.skipif(not hasattr(signal, "SIGTSTP"), reason="there is no Ctrl-Z")
def test_it_leaves_the_terminal_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """As often as the process is suspended, which is left to the system's own handler."""
    done: list[str] = []

    def suspend(process: int, number: int) -> None:
        assert (process, number) == (os.getpid(), signal.SIGTSTP)
        done.append(f"suspended by {signal.getsignal(number)!r}")

    monkeypatch.setattr(os, "kill", suspend)
    before = signal.getsignal(signal.SIGTSTP)
    with hidden_while_suspended(lambda: done.append("hidden"), lambda: done.append("shown")):
        signal.raise_signal(signal.SIGTSTP)
        signal.raise_signal(signal.SIGTSTP)
    assert done == ["hidden", f"suspended by {before!r}", "shown"] * 2
    assert signal.getsignal(signal.SIGTSTP) is before
