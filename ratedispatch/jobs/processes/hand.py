"""
A process that sends for a job whose files another process has.

Run as ``python -m ratedispatch.jobs.processes.hand DESCRIPTOR``, of one end of a pair of sockets.
Ends immediately when the other end is gone, whatever it is doing: then nothing more is sent, and
the lock of the journal is released. Modules that take long to import are therefore imported later.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import threading


def main(descriptor: int) -> None:
    """Send for the process at the other end of *descriptor*, until it is gone."""
    threading.Thread(target=_end_with, args=(descriptor,), daemon=True).start()
    end = socket.socket(fileno=descriptor)
    import traceback

    from ratedispatch.errors import SharingError
    from ratedispatch.jobs.processes.wire import receive_first
    from ratedispatch.jobs.processes.work import Work

    found = receive_first(end)
    if found is None:
        _end()
        return
    setup, journal = found
    os.environ.clear()
    os.environ.update(setup.environment)
    try:
        with setup.running() as runner:
            runner.run(Work(setup, journal, _end).run(end))
    except SharingError as error:  # a server that is gone for now: no fault of the program
        print(error, file=sys.__stderr__)
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)  # the other one leads over a loop that has ended
    os._exit(1)


def _end_with(descriptor: int) -> None:
    """
    End this process as soon as the other end of *descriptor* is gone.

    In a thread: the main one may be counting a long text just then.
    """
    waiting = select.poll()
    waiting.register(descriptor, 0)  # a hang-up is told whatever is requested
    while not waiting.poll():
        pass
    _end()


def _end() -> None:
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
