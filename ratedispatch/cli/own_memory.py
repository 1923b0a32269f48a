"""The memory of a run: in the user's state folder, unless the run is a trial or asks for none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ratedispatch.cli.console import say

if TYPE_CHECKING:
    from ratedispatch.cli.sending_options import SendingFlags
    from ratedispatch.memory.state_folder import StateFolder


def memory_of(sending: SendingFlags) -> StateFolder | bool:
    """Return where a run keeps what it learns; False if nowhere: a fake server teaches nothing."""
    if sending.no_memory or sending.fake:
        return False
    from ratedispatch.memory.state_folder import StateFolder, state_path

    path = state_path(os.environ)
    return False if path is None else StateFolder(path, say)
