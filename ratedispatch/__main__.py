"""
``python -m ratedispatch`` and the script ``ratedispatch`` are the command line.

While it is still being imported, an interruption ends the process without a traceback.
"""

import os
import signal

#: The exit code of a run that the same command resumes.
_RESUMABLE = 3

signal.signal(signal.SIGINT, signal.SIG_DFL)
# by default it does nothing to the first process of a container, which would be killed later
signal.signal(signal.SIGTERM, lambda *_: os._exit(_RESUMABLE))

from ratedispatch.cli import entry  # noqa: E402 - the import takes most of the start

__all__ = ["entry"]

if __name__ == "__main__":
    entry()
