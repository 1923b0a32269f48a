"""
The parts a message's content can be made of: texts, images, audio, files.

Decides what each kind of part weighs, for chat and for Responses. Base64 is never counted as
text. Knows nothing of roles or of the message around the parts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ratedispatch.tokens import fields
from ratedispatch.tokens.audio import audio_tokens
from ratedispatch.tokens.pixels import Size, base64_start, size_of
from ratedispatch.tokens.tally import AUDIO, FILES, IMAGES, MESSAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.tokens.tally import Scale, Tally

_TEXTS = {
    "text": "text",
    "input_text": "text",
    "output_text": "text",
    "summary_text": "text",
    "reasoning_text": "text",
    "refusal": "refusal",
}
_IMAGES = frozenset({"image_url", "input_image", "computer_screenshot"})
_FILES = {"file", "input_file"}
# a data URL, or a run that no language writes; the lookbehind keeps the search linear
_BASE64 = re.compile(
    r"data:[^\"',]{0,200};base64,[A-Za-z0-9+/=]*"
    r"|(?<![A-Za-z0-9+/=])[A-Za-z0-9+/=]{1024,}"
)
# bytes per token of plain text sent as a file; prose has more, so this errs high
_TEXT_BYTES = 3


def weigh_content(content: object, path: str, scale: Scale, tally: Tally) -> None:
    """
    Add what *content* weighs: a string, a list of parts, or null.

    Raises:
        InvalidRequest: *content* is something else, or one of its parts is.
    """
    if content is None:
        return
    if isinstance(content, str):
        tally.add(MESSAGES, scale.count(content))
        tally.characters += len(content)
        return
    if not isinstance(content, list | tuple):
        fields.refuse(path, "a string or a list of parts", content)
    for index, part in enumerate(content):
        if isinstance(part, str):
            weigh_content(part, path, scale, tally)
        else:
            where = f"{path}[{index}]"
            _weigh_part(fields.mapping(part, where), where, scale, tally)


def weigh_text(text: str, scale: Scale, tally: Tally) -> None:
    """Add *text* to the messages."""
    tally.add(MESSAGES, scale.count(text))
    tally.characters += len(text)


def weigh_document(value: object, path: str, scale: Scale, tally: Tally) -> None:
    """Add *value* as compact JSON, its base64 as files: for what has no rule of its own."""
    text = fields.compact(value, path)
    for found in _BASE64.finditer(text):
        tally.add(FILES, _file_tokens(found.group(), scale))
    text = _BASE64.sub("", text)
    weigh_text(text, scale, tally)


def _weigh_part(part: Mapping[str, Any], path: str, scale: Scale, tally: Tally) -> None:
    kind = fields.text(part.get("type"), f"{path}.type")
    key = _TEXTS.get(kind)
    if key is not None:
        weigh_text(fields.text(part.get(key), f"{path}.{key}"), scale, tally)
    elif kind in _IMAGES:
        tally.add(IMAGES, _image_tokens(part, path, scale))
    elif kind == "input_audio":
        inner = fields.mapping(part.get(kind, part), f"{path}.{kind}")
        data = fields.text(inner.get("data"), f"{path}.{kind}.data")
        tally.add(AUDIO, audio_tokens(data, scale.assumptions.audio_bytes_per_second))
    elif kind in _FILES:
        inner = fields.mapping(part.get("file", part), f"{path}.file")
        data = fields.optional_text(inner.get("file_data"), f"{path}.file_data")
        tally.add(FILES, _file_tokens(data, scale))
    else:
        weigh_document(part, path, scale, tally)


def _image_tokens(part: Mapping[str, Any], path: str, scale: Scale) -> int:
    image = part.get("image_url")
    detail = part.get("detail")
    if image is None and part.get("type") == "image_url":
        fields.refuse(f"{path}.image_url", "an object with a url", image)
    if not isinstance(image, str) and image is not None:
        inner = fields.mapping(image, f"{path}.image_url")
        image, detail = inner.get("url"), inner.get("detail", detail)
        image = fields.text(image, f"{path}.image_url.url")
    detail = fields.optional_text(detail, f"{path}.detail")
    assumed = Size(scale.assumptions.image_width, scale.assumptions.image_height)
    size = (size_of(image) if image else None) or assumed
    return scale.family.images.tokens(size.width, size.height, detail)


def _file_tokens(data: str, scale: Scale) -> int:
    """Return the tokens of a file: text by its bytes, anything else by pages."""
    assumed = scale.assumptions
    pages = assumed.pages_elsewhere
    if data:
        start = max(base64_start(data), 0)
        size = (len(data) - start) * 3 // 4
        if data[:10].lower() == "data:text/":
            return -(-size // _TEXT_BYTES)
        pages = -(-size // assumed.file_bytes_per_page)
    page = scale.family.images.tokens(assumed.image_width, assumed.image_height, "high")
    return pages * (assumed.page_tokens + page)
