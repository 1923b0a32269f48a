"""Decides whether a `map` shows a bar."""

from __future__ import annotations

from collections.abc import Sized
from typing import TYPE_CHECKING

from ratedispatch.dispatch.display.notebook import is_notebook

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from ratedispatch.outcome import Outcome


def with_optional_bar(
    outcomes: AsyncGenerator[Outcome, None],
    requests: object,
    wish: bool | None,
    binding: Callable[[], str],
) -> AsyncGenerator[Outcome, None]:
    """
    Return *outcomes* with a bar, or as they are.

    Args:
        outcomes: What is counted.
        requests: Whose outcomes they are; how many there are is known if they have a length.
        wish: None for a bar in a notebook only.
        binding: Names what holds the queue back.
    """
    if wish is False or (wish is None and not is_notebook()):
        return outcomes
    from ratedispatch.dispatch.display.map_bar import with_bar  # rich is loaded for it

    return with_bar(outcomes, len(requests) if isinstance(requests, Sized) else None, binding)
