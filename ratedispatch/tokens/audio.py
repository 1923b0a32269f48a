"""
How long a piece of audio is, and what that costs.

Knows the header of WAV; other formats are told apart by their first bytes and measured by their
size. Decodes only the header.
Source: OpenAI, realtime costs guide: a token of user audio is 100 ms, one of the assistant's 50.
"""

from __future__ import annotations

from ratedispatch.tokens.pixels import read

#: Tokens a second of audio that the user sends, and of what the assistant has said.
USER, ASSISTANT = 10, 20
#: Bytes in which a format shows itself.
HEAD = 12
_WAV_HEAD = 4_096  # bytes searched for the chunks of a WAV file
_LEAST_RATE = 1_000  # bytes a second: a header that says less is taken for damaged


def is_audio(head: bytes) -> bool:
    """
    Whether *head*, the first `HEAD` bytes of a file, says that it is audio.

    WAV, FLAC (RFC 9639), Ogg (RFC 3533), MP3 with ID3v2 or without (ISO/IEC 11172-3, layer III),
    AAC in ADTS (ISO/IEC 13818-7), and AAC in MP4.
    """
    if head[:3] == b"ID3" or head[:4] in (b"fLaC", b"OggS") or head[4:11] == b"ftypM4A":
        return True
    if head[:4] == b"RIFF":
        return head[8:12] == b"WAVE"
    return head[:1] == b"\xff" and len(head) > 1 and (head[1] & 0xE6 == 0xE2 or _is_adts(head[1]))


def _is_adts(second: int) -> bool:
    return second & 0xF6 == 0xF0


def audio_tokens(encoded: str, start: int, *, per_second: int, bytes_per_second: int) -> int:
    """
    Return the tokens of the audio whose base64 begins at *start* of *encoded*.

    Args:
        encoded: Base64, alone or in a data URL.
        start: Where it begins.
        per_second: Tokens a second: `USER` or `ASSISTANT`.
        bytes_per_second: Of a format whose header does not tell.
    """
    size = (len(encoded) - start) * 3 // 4
    rate, skipped = _wav(read(encoded, start, 0, min(size, _WAV_HEAD)))
    return -(-(size - skipped) * per_second // (rate or bytes_per_second))


def _wav(head: bytes) -> tuple[int, int]:
    """Return the bytes per second of a WAV file and the size of its header; zeros if it is none."""
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return 0, 0
    offset, rate = 12, 0
    while offset + 8 <= len(head):
        name = head[offset : offset + 4]
        size = int.from_bytes(head[offset + 4 : offset + 8], "little")
        if name == b"fmt ":
            rate = int.from_bytes(head[offset + 16 : offset + 20], "little")
        if name == b"data":
            return (rate, offset + 8) if rate >= _LEAST_RATE else (0, 0)
        offset += 8 + size + size % 2
    return 0, 0
