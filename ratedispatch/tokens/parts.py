"""
The parts a message's content can be made of: texts, images, audio, files.

Decides what each kind of part weighs, for chat and for Responses. Base64 is never counted as
text. Of the message around the parts only its role counts: what the assistant said costs more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ratedispatch.tokens import fields
from ratedispatch.tokens.audio import ASSISTANT, USER
from ratedispatch.tokens.blobs import data_start
from ratedispatch.tokens.documents import without_blobs
from ratedispatch.tokens.media import weigh_audio, weigh_blob, weigh_image
from ratedispatch.tokens.token_count import AUDIO, MESSAGES

if TYPE_CHECKING:
    from ratedispatch.tokens.token_count import Scale, TokenCount

_TEXTS = {
    "text": "text",
    "input_text": "text",
    "output_text": "text",
    "summary_text": "text",
    "reasoning_text": "text",
    "refusal": "refusal",
}
_IMAGES = frozenset({"image_url", "input_image", "computer_screenshot"})
_CUT = 2  # as where a long text is cut: two parts may have fewer tokens than the whole
_FILES = frozenset({"file", "input_file"})


def weigh_content(
    content: object, path: str, scale: Scale, total: TokenCount, *, role: str = "user"
) -> None:
    """
    Add what *content* weighs: a string, a list of parts, or null, in a message of *role*.

    Raises:
        InvalidRequest: *content* is something else, or one of its parts is.
    """
    if content is None:
        return
    if isinstance(content, str):
        total.add(MESSAGES, scale.count(content))
        total.characters += len(content)
        return
    if not isinstance(content, list | tuple):
        fields.refuse(path, "a string or a list of parts", content)
    for index, part in enumerate(content):
        if isinstance(part, str):
            weigh_content(part, path, scale, total)
        else:
            where = f"{path}[{index}]"
            _weigh_part(fields.mapping(part, where), where, scale, total, role)


def weigh_text(text: str, scale: Scale, total: TokenCount) -> None:
    """Add *text* to the messages."""
    total.add(MESSAGES, scale.count(text))
    total.characters += len(text)


def weigh_document(
    value: object, path: str, scale: Scale, total: TokenCount, *, role: str = "user"
) -> None:
    """Add *value* as compact JSON, its base64 as what it is: for what has no rule of its own."""
    blocks, found = without_blobs(value, path)
    for blob in found:
        weigh_blob(blob, scale, total, per_second=_rate(role))
    for block in blocks:
        weigh_text(block, scale, total)
    total.add(MESSAGES, _CUT * (len(blocks) - 1))


def weigh_spoken(spoken: object, path: str, scale: Scale, total: TokenCount) -> None:
    """
    Add an answer in audio: its data and its transcript, or what stands in for it.

    Raises:
        InvalidRequest: *spoken* is not an object, or a field of it is not a string.
    """
    spoken = fields.mapping(spoken, path)
    data = fields.optional_text(spoken.get("data"), f"{path}.data")
    weigh_text(fields.optional_text(spoken.get("transcript"), f"{path}.transcript"), scale, total)
    if data:
        weigh_audio(data, scale, total, per_second=ASSISTANT)
    else:
        total.add(AUDIO, scale.assumptions.audio_seconds_elsewhere * ASSISTANT)


def _rate(role: str) -> int:
    return ASSISTANT if role == "assistant" else USER


def _weigh_part(
    part: Mapping[str, Any], path: str, scale: Scale, total: TokenCount, role: str
) -> None:
    kind = fields.text(part.get("type"), f"{path}.type")
    key = _TEXTS.get(kind)
    if key is not None:
        weigh_text(fields.text(part.get(key), f"{path}.{key}"), scale, total)
    elif kind in _IMAGES:
        _weigh_image(part, path, scale, total)
    elif kind == "image" and isinstance(part.get("source"), Mapping):
        _weigh_source(part["source"], f"{path}.source", scale, total)
    elif kind == "input_audio":
        inner = fields.mapping(part.get(kind, part), f"{path}.{kind}")
        data = fields.text(inner.get("data"), f"{path}.{kind}.data")
        weigh_audio(data, scale, total, per_second=_rate(role))
    elif kind == "output_audio":
        weigh_spoken(part, path, scale, total)
    elif kind in _FILES:
        inner = fields.mapping(part.get("file", part), f"{path}.file")
        data = fields.optional_text(inner.get("file_data"), f"{path}.file_data")
        weigh_blob(data, scale, total, per_second=_rate(role))
    else:
        weigh_document(part, path, scale, total, role=role)


def _weigh_image(part: Mapping[str, Any], path: str, scale: Scale, total: TokenCount) -> None:
    image = part.get("image_url")
    detail = part.get("detail")
    if image is None and part.get("type") == "image_url":
        fields.refuse(f"{path}.image_url", "an object with a url", image)
    if not isinstance(image, str) and image is not None:
        inner = fields.mapping(image, f"{path}.image_url")
        image, detail = inner.get("url"), inner.get("detail", detail)
        image = fields.text(image, f"{path}.image_url.url")
    detail = fields.optional_text(detail, f"{path}.detail")
    image = image or ""
    weigh_image(image, data_start(image), detail, scale, total)


def _weigh_source(source: Mapping[str, Any], path: str, scale: Scale, total: TokenCount) -> None:
    """Add an image in Anthropic's shape, whose base64 stands without a header."""
    data = fields.optional_text(source.get("data"), f"{path}.data")
    weigh_image(data, 0 if data else -1, "", scale, total)
