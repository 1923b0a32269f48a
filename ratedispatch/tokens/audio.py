"""
How long a piece of audio is, and what that costs.

Knows the header of WAV; other formats are measured by their size. Decodes only the header.
Source: OpenAI, realtime costs guide: user audio is one token per 100 ms.
"""

from __future__ import annotations

from ratedispatch.tokens.pixels import read

_TOKENS_PER_SECOND = 10
_HEADER = 4_096  # bytes searched for the chunks of a WAV file
_LEAST_RATE = 1_000  # bytes a second: a header that says less is taken for damaged


def audio_tokens(encoded: str, bytes_per_second: int) -> int:
    """Return the tokens of base64 audio; *bytes_per_second* where no header tells."""
    size = len(encoded) * 3 // 4
    rate, skipped = _wav(read(encoded, 0, 0, min(size, _HEADER)))
    return -(-(size - skipped) * _TOKENS_PER_SECOND // (rate or bytes_per_second))


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
