"""What is read of the system."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ratedispatch.sharing.file_locks import lock, unlock
from ratedispatch.sharing.surroundings import (
    NETWORK_FILE_SYSTEMS,
    file_system,
    is_stopped,
    lock_holder,
    surroundings,
)

if TYPE_CHECKING:
    from pathlib import Path

TABLE = """\
22 1 254:0 / / rw,relatime - ext4 /dev/root rw
30 22 0:45 / /home/a\\040-\\040b rw shared:1 master:2 - nfs4 server:/home rw,vers=4.2
"""


def test_a_file_system_is_found_by_its_device() -> None:
    """In the table of mounts, whose lines have more or fewer fields before the hyphen."""
    assert file_system(os.makedev(254, 0), TABLE) == "ext4"
    assert file_system(os.makedev(0, 45), TABLE) == "nfs4"
    assert file_system(os.makedev(9, 9), TABLE) is None
    assert "nfs4" in NETWORK_FILE_SYSTEMS


def test_this_system_is_told_from_others(tmp_path: Path) -> None:
    """The boot has a name, and it is the same for all who ask."""
    assert surroundings() == surroundings()
    assert len(surroundings().boot) == 36


def test_a_lock_is_seen_with_its_holder(tmp_path: Path) -> None:
    """For as long as it is held; a process that runs is not stopped."""
    path = tmp_path / "x"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    found = os.fstat(fd)
    assert lock_holder(found.st_dev, found.st_ino) is None
    lock(fd, is_patient=True)
    assert lock_holder(found.st_dev, found.st_ino) == os.getpid()
    unlock(fd)
    os.close(fd)
    assert is_stopped(os.getpid()) is False
    assert is_stopped(2**22 + 1) is None
