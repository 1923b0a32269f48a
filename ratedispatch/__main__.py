"""
``python -m ratedispatch`` and the script ``ratedispatch`` are the command line.

While it is still being imported, an interruption ends the process without a traceback.
"""

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)

from ratedispatch.cli import entry  # noqa: E402 - the import takes most of the start

__all__ = ["entry"]

if __name__ == "__main__":
    entry()
