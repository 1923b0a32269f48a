"""What every command has in common in asking for help."""

from __future__ import annotations

#: Given to every command and not only to the group: click keeps the option that a command was
#: first asked with, so that one started on its own would lose ``-h`` for good.
HELP = {"help_option_names": ["-h", "--help"]}
