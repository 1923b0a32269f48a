"""
What data in a request costs: images, audio, documents.

Decides by the first bytes which of them it is, else by the type that its address states. Knows
nothing of the part, the message or the item that holds the data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.tokens.audio import HEAD, audio_tokens, is_audio
from ratedispatch.tokens.blobs import data_start
from ratedispatch.tokens.memory import key_of
from ratedispatch.tokens.pdf import is_pdf, pages_of
from ratedispatch.tokens.pixels import Size, measure, read
from ratedispatch.tokens.token_count import AUDIO, FILES, IMAGES

if TYPE_CHECKING:
    from ratedispatch.tokens.token_count import Scale, TokenCount

# bytes per token of plain text sent as a file; prose has more, so this errs high
_TEXT_BYTES = 3
_TYPE_END = 16  # longer than data:image/
# images guide: detail "low" is the image in 512 × 512 px
_LOW_SIDE = 512
_PDF_HEAD = 1_024  # bytes; some programs put a few lines before the PDF


def weigh_image(data: str, start: int, detail: str, scale: Scale, total: TokenCount) -> None:
    """
    Add the image whose base64 begins at *start* of *data*; below 0 it is elsewhere.

    One that cannot be measured has the assumed size.
    """
    _add_image(measure(data, start) if start >= 0 else None, detail, scale, total)


def weigh_audio(encoded: str, scale: Scale, total: TokenCount, *, per_second: int) -> None:
    """Add base64 audio, alone or in a data URL, at *per_second* tokens."""
    tokens = audio_tokens(
        encoded,
        max(data_start(encoded), 0),
        per_second=per_second,
        bytes_per_second=scale.assumptions.audio_bytes_per_second,
    )
    total.add(AUDIO, tokens)


def weigh_blob(data: str, scale: Scale, total: TokenCount, *, per_second: int) -> None:
    """
    Add base64 of any kind, alone or in a data URL; an empty one stands for a file elsewhere.

    Source: developers.openai.com/api/docs/guides/pdf-files: "both the extracted text and an image
    of each page" enter the context.
    """
    start = max(data_start(data), 0)
    stated = data[5:_TYPE_END].lower() if data[:5].lower() == "data:" else ""
    size = measure(data, start)
    if size is not None or stated.startswith("image/"):
        _add_image(size, "", scale, total)
    elif stated.startswith("audio/") or is_audio(read(data, start, 0, HEAD)):
        weigh_audio(data, scale, total, per_second=per_second)
    elif stated.startswith("text/"):
        total.add(FILES, -(-_size(data, start) // _TEXT_BYTES))
    else:
        total.add(FILES, _pages(data, start, scale) * _page_tokens(scale))


def _pages(data: str, start: int, scale: Scale) -> int:
    """Return the pages of a document: as it says itself, or as is assumed of its size."""
    if not data:
        return scale.assumptions.pages_elsewhere
    by_size = -(-_size(data, start) // scale.assumptions.file_bytes_per_page)
    if not is_pdf(read(data, start, 0, _PDF_HEAD)):
        return by_size
    known = key_of(f"pages of {data}")  # of many questions about a document, one reads it
    pages = scale.documents.get(known)
    if pages is None:
        pages = pages_of(data, start) or by_size
        scale.documents.put(known, pages)
    return pages


def _size(data: str, start: int) -> int:
    return (len(data) - start) * 3 // 4


def _add_image(size: Size | None, detail: str, scale: Scale, total: TokenCount) -> None:
    if size is None:
        size = Size(scale.assumptions.image_width, scale.assumptions.image_height)
    total.add(IMAGES, scale.family.images.tokens(size.width, size.height, detail))


def _page_tokens(scale: Scale) -> int:
    side = scale.assumptions.page_side
    detail = "low" if side <= _LOW_SIDE else "high"
    return scale.assumptions.page_tokens + scale.family.images.tokens(side, side, detail)
