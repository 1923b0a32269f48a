"""Takes a display off the terminal while the process is suspended with Ctrl-Z."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


@contextlib.contextmanager
def hidden_while_suspended(hide: Callable[[], None], show: Callable[[], None]) -> Iterator[None]:
    """
    Call *hide* before Ctrl-Z suspends the process, and *show* when it continues.

    A display hides the cursor, and the shell would be left without one.
    """
    stop = getattr(signal, "SIGTSTP", None)  # there is none on Windows
    if stop is None or signal.getsignal(stop) is signal.SIG_IGN:
        yield
        return

    def suspend(_number: int, _frame: FrameType | None) -> None:
        hide()
        signal.signal(stop, before)
        os.kill(os.getpid(), stop)  # goes on behind this line when it is continued
        signal.signal(stop, suspend)
        show()

    before = signal.signal(stop, suspend)
    try:
        yield
    finally:
        signal.signal(stop, before)
