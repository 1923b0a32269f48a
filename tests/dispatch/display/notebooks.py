"""A notebook that is not there: what IPython is asked to show is kept."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest


class Notebook:
    """
    Pretends that a kernel runs this program.

    Attributes:
        pictures: What each display shows now, as text, in the order in which they were made.
        shown: How many pictures were shown in all.
    """

    def __init__(self, patch: pytest.MonkeyPatch, *, has_kernel: bool = True) -> None:
        self.pictures: list[str] = []
        self.shown = 0
        shell = types.SimpleNamespace(kernel=object() if has_kernel else None)
        module: Any = types.ModuleType("IPython")
        module.get_ipython = lambda: shell
        module.display = types.SimpleNamespace(display=self._display)
        patch.setitem(sys.modules, "IPython", module)

    def _display(self, picture: Any, *, display_id: bool) -> Any:
        assert display_id
        index = len(self.pictures)
        self.pictures.append("")

        def update(picture: Any) -> None:
            bundle = picture._repr_mimebundle_((), ())
            assert "text/html" in bundle
            self.pictures[index] = bundle["text/plain"]
            self.shown += 1

        update(picture)
        return types.SimpleNamespace(update=update)
