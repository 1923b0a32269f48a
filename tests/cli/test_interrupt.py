"""What a person reads after a Ctrl-C."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ratedispatch.cli.interrupt import Interruptions
from ratedispatch.cli.run import close


class Drained:
    """A job that notes that it is drained; *in_flight* is None before it runs."""

    def __init__(self, in_flight: int | None) -> None:
        self.in_flight = in_flight
        self.timeout: float | None = None

    def drain(self, timeout: float) -> None:
        self.timeout = timeout

    def snapshot(self) -> SimpleNamespace | None:
        return None if self.in_flight is None else SimpleNamespace(in_flight=self.in_flight)


_AWAITED = "stopping: waiting for {}, 60 s at most; interrupt again to cancel {}"


@pytest.mark.parametrize(
    ("in_flight", "sentence"),
    [
        (None, "stopping: nothing is in flight"),
        (0, "stopping: nothing is in flight"),
        (1, _AWAITED.format("1 request in flight", "it")),
        (1_200, _AWAITED.format("1,200 requests in flight", "them")),
    ],
)
def test_the_sentence_agrees_with_the_number(in_flight: int | None, sentence: str) -> None:
    """One request, several, or none."""
    job = Drained(in_flight)
    handler = Interruptions(cast("Any", job), cast("Any", None), 60.0)
    said: list[str] = []
    handler.say = said.append
    handler.interrupt()
    assert (said, job.timeout) == ([sentence], 60.0)


@pytest.mark.parametrize(("asked", "timeout"), [(None, 25.0), (60.0, 60.0)])
def test_what_a_system_stops_ends_before_it_is_killed(asked: float | None, timeout: float) -> None:
    """Within 30 s of a SIGTERM, unless another time was asked for; Ctrl-C has more."""
    job = Drained(1)
    handler = Interruptions(cast("Any", job), cast("Any", None), asked)
    handler.say = lambda _text: None
    handler.terminate()
    assert job.timeout == timeout
    handler = Interruptions(cast("Any", job), cast("Any", None), None)
    handler.say = lambda _text: None
    handler.interrupt()
    assert job.timeout == 120.0


@pytest.mark.parametrize(
    ("number", "is_resumable", "code"),
    [("SIGTERM", True, 3), ("SIGTERM", False, 130), ("SIGINT", True, 130)],
)
def test_what_was_stopped_before_it_began_tells_who_stopped_it(
    number: str, is_resumable: bool, code: int
) -> None:
    """A run that a system stops is to be started again; a person who interrupts knows."""
    program = f"""
import os, signal
from ratedispatch.cli.interrupt import interruptible
with interruptible(is_resumable={is_resumable}):
    os.kill(os.getpid(), signal.{number})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == code
    assert done.stderr == b"cancelled; run the same command again to start over or resume\n"


def test_an_interruption_ends_a_command_that_forgets_an_object_just_then() -> None:
    """Python prints what is raised there, and went on as if nobody had pressed Ctrl-C."""
    script = """
import os, signal, weakref
from ratedispatch.cli.interrupt import interruptible
class Thing: pass
with interruptible():
    thing = Thing()
    watched = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGINT))
    del thing
    for _ in range(1000): pass
    print("went on")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "cancelled; run the same command again to start over or resume\n"


def test_a_second_hangup_cancels_nothing() -> None:
    """A terminal that is closed sends one from the shell, and one from the system."""
    job = Drained(1)
    handler = Interruptions(cast("Any", job), cast("Any", None), 60.0)
    said: list[str] = []
    handler.say = said.append
    handler.hang_up()
    handler.hang_up()
    assert said == [_AWAITED.format("1 request in flight", "it")]


@pytest.mark.parametrize(
    ("rows", "doubt"),
    [
        (0, ""),
        (1, "; 1 row in flight may have been billed"),
        (1_200, "; 1,200 rows in flight may have been billed"),
    ],
)
def test_a_cancelled_run_says_how_many_rows_are_in_doubt(
    capsys: pytest.CaptureFixture[str], rows: int, doubt: str
) -> None:
    """And exits with 130."""
    start = SimpleNamespace(job=SimpleNamespace(in_doubt=rows), page=None)
    with pytest.raises(SystemExit) as left:
        close(cast("Any", None), cast("Any", start), None)
    assert left.value.code == 130
    said = capsys.readouterr().err
    rest = f"cancelled; the files are intact; run the same command again to resume{doubt}\n"
    assert said == rest


def test_an_interruption_while_the_loop_is_closed_ends_the_process() -> None:
    """At once and without a traceback: a loop that is interrupted then cannot be closed."""
    program = """
import os, signal
from ratedispatch.cli.interrupt import end_if_interrupted
from ratedispatch.cli.loop import runner
import contextlib
with contextlib.ExitStack() as stack:
    runs = stack.enter_context(runner())
    stack.callback(lambda: os.kill(os.getpid(), signal.SIGINT))
    stack.push(end_if_interrupted)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (130, b"")
