"""
The command line in this process, which notes each second what its progress display shows.

Run as a child: the first argument is the file that the notes go to, a line of JSON for each look;
the others are those of ``ratedispatch``. Everything else is as on a command line.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ratedispatch.cli import main as command_line
from ratedispatch.observe import progress
from ratedispatch.observe.status import Meter

if TYPE_CHECKING:
    from ratedispatch.observe.status import Status

#: Seconds between two looks.
_EVERY = 1.0


def noting(path: Path) -> type[Meter]:
    """Return a meter that notes in *path* the seconds since the first request, and what is left."""
    file = path.open("w", buffering=1, encoding="utf-8")

    class NotingMeter(Meter):
        """As the meter of a display."""

        def read(self) -> Status:
            """Return the status, and note it."""
            status = super().read()
            first = self._job.tally.first_sent
            if first is not None:
                second = asyncio.get_running_loop().time() - first
                file.write(json.dumps({"second": second, "eta": status.eta}) + "\n")
            return status

    return NotingMeter


def main() -> None:
    """Run the command."""
    vars(progress).update(Meter=noting(Path(sys.argv[1])), _LINE_INTERVAL=_EVERY)
    command_line(args=sys.argv[2:], prog_name="ratedispatch")


if __name__ == "__main__":
    main()
