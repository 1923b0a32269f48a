"""The settings of the help that all commands share."""

from __future__ import annotations

#: For every command and not only for the group: click caches the help option of a command, so that
#: a command that first runs without the group would never have ``-h``.
HELP = {"help_option_names": ["-h", "--help"]}
