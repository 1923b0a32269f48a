"""
What a file of shared limits depends on: the boot of the machine, its clock, and its file system.

Reads ``/proc``. Where that has nothing, everything counts as usual.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

#: File systems of a network, by their names in ``/proc/self/mountinfo``. Their locks are those of
#: byte ranges in disguise, or of each machine apart, and other machines have other clocks.
NETWORK_FILE_SYSTEMS = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.s3fs"}
    | {"fuse.sshfs", "gfs2", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "smb3", "smbfs"}
)


class Surroundings(NamedTuple):
    """
    What must be the same for all members of one file.

    Args:
        boot: Which boot of the machine this is: the clock begins again with each.
        clock: Which clock this process has: a container can have one of its own.
    """

    boot: str
    clock: int


def surroundings() -> Surroundings:
    """Return those of this process."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()[:36]
    except OSError:
        boot = ""
    try:
        clock = Path("/proc/self/ns/time").stat().st_ino
    except OSError:
        clock = 0
    return Surroundings(boot, clock)


def file_system(device: int, table: str | None = None) -> str | None:
    """
    Return the kind of file system that *device* is, ``tmpfs`` for example; None if unknown.

    Args:
        device: `st_dev` of a file on it.
        table: What stands in ``/proc/self/mountinfo``; it is read if None.
    """
    if table is None:
        try:
            table = Path("/proc/self/mountinfo").read_text("utf-8", "replace")
        except OSError:
            return None
    place = f"{os.major(device)}:{os.minor(device)}"
    for line in table.splitlines():
        mount, _, kind = line.partition(" - ")
        if mount.split()[2:3] == [place]:
            return kind.split()[0]
    return None


def lock_holder(device: int, inode: int) -> int | None:
    """Return the number of the process that has locked a file; None if it cannot be seen."""
    try:
        table = Path("/proc/locks").read_text("ascii", "replace")
    except OSError:
        return None
    place = f"{os.major(device):02x}:{os.minor(device):02x}:{inode}"
    for line in table.splitlines():
        # 1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF; one that waits has -> behind its number
        words = line.split()
        if words[1:2] == ["FLOCK"] and words[5:6] == [place] and words[4].isdigit():
            return int(words[4]) or None
    return None


def is_stopped(process: int) -> bool | None:
    """Return whether a process is stopped, by SIGSTOP or a debugger; None if it cannot be seen."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text("ascii", "replace")
    except OSError:
        return None
    # the name of the program stands in brackets, and may have brackets itself
    return stat.rpartition(")")[2].split()[0] in {"T", "t"}
