"""
The script that a Redis runs for a note, and what goes to it and comes back.

The text is that of `redis_script.lua` with the constants above it, so that they stand in one place
for it and for the `Record` that it does the same as. Notes and sheets travel as MessagePack, in
which a float arrives as it was.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, field
from importlib import resources
from typing import NamedTuple

import msgspec

from ratedispatch.pacing.shared.record import RecordTuning
from ratedispatch.pacing.shared.store import MOST_LIMITS, MOST_MEMBERS, TOTALS, Note, Sheet


@dataclass(frozen=True, slots=True)
class RedisTuning:
    """
    What can be tuned of a store on a Redis.

    Args:
        record: The constants of the record. A server does not see who lives, so that a member
            that says nothing is forgotten after a minute.
        kept_seconds: Seconds after the last note after which the server drops the state. Two days:
            the budget of a day counts even if nobody sends anything overnight.
        connect_seconds: Seconds that a connection may take.
        reply_seconds: Seconds that a reply may take; after them each process goes on by itself.
        leave_seconds: Seconds that the last note may take, which the end of a process waits for.
    """

    record: RecordTuning = field(default_factory=lambda: RecordTuning(forgotten_seconds=60.0))
    kept_seconds: int = 2 * 24 * 60 * 60
    connect_seconds: float = 1.0
    reply_seconds: float = 1.0
    leave_seconds: float = 0.5


DEFAULT = RedisTuning()

#: What the script returns where it did nothing.
OTHER_EPOCH, NO_ROOM_FOR_LIMIT, NO_ROOM_FOR_MEMBER, OTHER_LAYOUT = range(1, 5)

REASONS = {
    NO_ROOM_FOR_LIMIT: f"it holds {MOST_LIMITS} limits, and there is no room for one more",
    NO_ROOM_FOR_MEMBER: f"it has {MOST_MEMBERS} members, and there is no room for one more",
    OTHER_LAYOUT: "its content was written by another version of ratedispatch",
}


class Script(NamedTuple):
    """
    A script as a server takes it.

    Args:
        text: The source.
        sha: The name under which the server has it once it has run.
    """

    text: str
    sha: str


@functools.cache
def script_for(tuning: RedisTuning = DEFAULT) -> Script:
    """Return the script with the constants of *tuning*."""
    record = tuning.record
    constants = {
        "WANTING_SECONDS": record.wanting_seconds,
        "WAITING_SECONDS": record.waiting_seconds,
        "LOOK_SECONDS": record.look_seconds,
        "FORGOTTEN_SECONDS": record.forgotten_seconds,
        "MOST_LIMITS": MOST_LIMITS,
        "MOST_MEMBERS": MOST_MEMBERS,
        "TOTALS": TOTALS,
        "KEPT_SECONDS": tuning.kept_seconds,
    }
    body = resources.files(__package__).joinpath("redis_script.lua").read_text("utf-8")
    head = "".join([f"local {name} = {value!r}\n" for name, value in constants.items()])
    text = head + body
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Sheet).decode


def packed(member: str, number: int, note: Note, *, is_again: bool, epoch: float) -> bytes:
    """
    Return a note as the script takes it.

    Args:
        member: The key of who sends it.
        number: The number of the note; a number that the script has seen counts once.
        note: What is told.
        is_again: Whether it was sent before.
        epoch: The epoch in which alone it counts; 0 for any.
    """
    return _pack((member, number, is_again, epoch, note))


def unpacked(reply: bytes) -> Sheet:
    """Return the sheet that the script has returned."""
    return _unpack(reply)
