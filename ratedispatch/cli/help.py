"""The settings of the help that all commands share."""

from __future__ import annotations

from typing import Any

#: Lines fill the terminal up to 100 columns; longer ones are hard to read. For every command and
#: not only for the group: click caches the help option of a command, so that
#: a command that first runs without the group would never have ``-h``.
HELP: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
