"""The memory of a run: in the user's state folder, except for trials and with --no-memory."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any, Protocol

from ratedispatch.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.cli.sending_options import SendingFlags
    from ratedispatch.dispatch.options import DispatcherOptions
    from ratedispatch.memory.remembered import Remembered


class Teller(Protocol):
    """
    Prints sentences for the user during a run.

    Attributes:
        say: Says a sentence; another one while progress is shown.
    """

    say: Callable[[str], None]


def remembering(
    options: DispatcherOptions,
    sending: SendingFlags,
    account: Any,
    teller: Teller,
    *,
    quiet: bool,
) -> DispatcherOptions:
    """
    Return *options* with the memory of a run; unchanged if it has none, as with a fake server.

    Args:
        options: How it sends.
        sending: With the flags.
        account: The limits, of which some may be learned.
        teller: Tells what is wrong with the folder, and what the run begins with.
        quiet: Whether it is told only what is wrong.
    """
    if sending.no_memory or sending.fake:
        return options
    from ratedispatch.memory.state_folder import StateFolder, state_path

    path = state_path(os.environ)
    if path is None:
        return options

    def say(text: str) -> None:
        """Print *text* by the current `say`: a progress display may be shown by now."""
        teller.say(text)

    def begin(remembered: Remembered) -> None:
        """Tell the limits that a run begins with."""
        text = beginning(remembered, account)
        if text and not quiet:
            say(text)

    folder = StateFolder(path, say, on_recall=begin)
    return dataclasses.replace(options, memory=folder)


def beginning(remembered: Remembered, account: Any) -> str:
    """Return what a run on *account* begins with, in a sentence; empty if it is not a limit."""
    from ratedispatch.dimension import dimension_named

    if not isinstance(account, Limits):
        return ""
    parts = []
    memories = {memory.dimension: memory for memory in remembered.limits}
    for rate in account.rates():
        memory, dimension = memories.get(rate.dimension), dimension_named(rate.dimension)
        if memory is None:
            continue
        if rate.is_auto and memory.per_minute is not None:
            parts.append(f"{memory.per_minute:,.0f} {dimension.phrase}")
        elif rate.is_daily and memory.spent:
            parts.append(f"{memory.spent:,.0f} {dimension.unit} used today")
    if not parts:
        return ""
    return f"learned in earlier runs: {', '.join(parts)}; --no-memory ignores this"
