"""
Tells whether this is a notebook, and shows a picture there that changes.

Uses what every notebook has: IPython's display and its updates. No widgets are needed. Imports
nothing that is not imported already.
"""

from __future__ import annotations

import sys
from typing import Any


def is_notebook() -> bool:
    """Whether a kernel runs this program, whose cells can show pictures."""
    shell = sys.modules.get("IPython")
    if shell is None:
        return False
    running = shell.get_ipython()
    # a terminal's shell has none, whatever it is called
    return getattr(running, "kernel", None) is not None


class NotebookPicture:
    """A picture in the cell that is running; each one shown replaces the last."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, picture: Any) -> None:
        """Show *picture*, which rich or another library can draw in a notebook."""
        if self._handle is None:
            display = sys.modules["IPython"].display.display
            self._handle = display(picture, display_id=True)
        else:
            self._handle.update(picture)
