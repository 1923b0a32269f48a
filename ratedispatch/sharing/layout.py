"""
What stands where in a file of shared limits.

::

       0  head      magic, format, boot, clock, epoch: the same for as long as the file is
                    not started over; its checksum; then the news, and for each of the two
                    slots its sequence, length and checksum
     128  marks     for each member: the note for which all that it held was sent
    4096  slot 0    the record, as MessagePack
  135168  slot 1    the record

A record is written into the slot that has the older one, and then into the head, so that whoever
is killed in between leaves the other one. The number of a member is that of the record with which
it came, times `PLACES`, plus its place among the marks: it is never used a second time.

In every format the first 128 bytes begin with magic and format, and `IDENTITY` with its checksum
stays where it is: so a file of another format is told from a damaged one.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

import msgspec

from ratedispatch.pacing.shared.record import Record
from ratedispatch.sharing.surroundings import Surroundings

#: Grows with every change of this module or of `Record`; a test holds the two together.
FORMAT = 1

MAGIC = b"rdlimits"

#: Magic, format, boot, clock, epoch.
IDENTITY = struct.Struct("<8sI4x36s4xQd")
IDENTITY_CHECK = struct.Struct("<I4x")

#: News; sequence, length and checksum of each slot.
STATE = struct.Struct("<dQIIQII")
STATE_AT = IDENTITY.size + IDENTITY_CHECK.size
NEWS = struct.Struct("<d")

MARKS_AT = 128
#: More than there are members, so that one that comes need not wait for one that is dead.
PLACES = 128
#: Number of the member, instant of its note.
MARK = struct.Struct("<Qd")

SLOTS_AT = 4096
#: What the longest record needs, with room: 64 members, 8 limits, names of 48 bytes.
SLOT = 128 * 1024
#: What is reserved of each slot when the file is made; longer ones are rare.
RESERVED = 8 * 1024

_LAST_SEQUENCE = 1 << 50

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Record)


class Identity(NamedTuple):
    """What is the same for as long as a file is not started over."""

    format: int
    surroundings: Surroundings
    epoch: float


class Slot(NamedTuple):
    """Where a record is; of sequence 0 if it was never written."""

    number: int
    sequence: int
    length: int
    check: int

    @property
    def at(self) -> int:
        """Its first byte in the file."""
        return SLOTS_AT + self.number * SLOT


def pack_identity(identity: Identity) -> bytes:
    """Return the first bytes of a file."""
    boot, clock = identity.surroundings
    packed = IDENTITY.pack(MAGIC, identity.format, boot.encode("ascii"), clock, identity.epoch)
    return packed + IDENTITY_CHECK.pack(zlib.crc32(packed))


def read_identity(head: bytes) -> Identity | None:
    """Return what the first bytes of a file say; None if it is damaged, or of something else."""
    if len(head) < MARKS_AT:
        return None
    packed = head[: IDENTITY.size]
    magic, number, boot, clock, epoch = IDENTITY.unpack(packed)
    (check,) = IDENTITY_CHECK.unpack_from(head, IDENTITY.size)
    if magic != MAGIC or check != zlib.crc32(packed):
        return None
    return Identity(number, Surroundings(boot.rstrip(b"\0").decode("latin-1"), clock), epoch)


def read_slots(head: bytes) -> tuple[Slot, Slot]:
    """Return the two slots, that of the newest record first."""
    _, *numbers = STATE.unpack_from(head, STATE_AT)
    first, second = Slot(0, *numbers[:3]), Slot(1, *numbers[3:])
    return (first, second) if first.sequence > second.sequence else (second, first)


def pack_state(news: float, slots: tuple[Slot, Slot]) -> bytes:
    """Return what stands in the head behind the identity."""
    first, second = slots if slots[0].number == 0 else (slots[1], slots[0])
    return STATE.pack(news, *first[1:], *second[1:])


def checksum(payload: bytes, sequence: int) -> int:
    """Return that of a record in a slot; its sequence is part of it."""
    return zlib.crc32(payload, sequence & 0xFFFFFFFF)


def is_possible(slot: Slot) -> bool:
    """Whether there can be a record in *slot*, by what the head says about it."""
    return 0 < slot.sequence < _LAST_SEQUENCE and 0 < slot.length <= SLOT


def pack_record(record: Record) -> bytes:
    """Return the bytes of *record*."""
    return _encoder.encode(record)


def read_record(payload: bytes, slot: Slot) -> Record | None:
    """Return the record that *payload* is; None if it is damaged."""
    if len(payload) != slot.length or checksum(payload, slot.sequence) != slot.check:
        return None
    try:
        return _decoder.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
