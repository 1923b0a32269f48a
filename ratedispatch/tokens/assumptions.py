"""
Values that are assumed where a request does not state them.

Every number here is a choice, rather too high than too low, and each can be replaced.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Assumptions:
    """
    Stand-ins for what cannot be read from a request.

    Args:
        image_width: Of an image that cannot be measured, such as one behind a remote URL, in px.
        image_height: Its height. 2048 × 768 px is the dearest shape of the tile models (8 tiles)
            and the whole budget of the models with 1,536 patches.
        audio_bytes_per_second: Of audio without a readable header: 64 kbit/s, speech as MP3.
        file_bytes_per_page: Of a document that is sent along; a text page of a PDF has 30 to
            100 kB once fonts are counted in.
        page_tokens: Text of one page, a full page of prose; the image of the page comes on top.
        page_side: The image of a page counts as a square of this side, in px; up to 512 with
            detail ``low``, above with ``high``. Which detail pages have is not published.
        pages_elsewhere: Pages of a document named by id or URL only.
        audio_seconds_elsewhere: Of an earlier answer in audio that is named by id only.
    """

    image_width: int = 2_048
    image_height: int = 768
    audio_bytes_per_second: int = 8_000
    file_bytes_per_page: int = 32_768
    page_tokens: int = 800
    page_side: int = 512
    pages_elsewhere: int = 10
    audio_seconds_elsewhere: int = 30

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value < 1:
                raise ValueError(f"{field.name} must be at least 1, got {value}")
