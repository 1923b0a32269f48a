"""Images, audio and files: measured from their first bytes, never counted as text."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from ratedispatch.tokens import Assumptions, Counter, count_tokens, estimate
from ratedispatch.tokens.blobs import data_start
from ratedispatch.tokens.images import Patches, Tiles, count_patches
from ratedispatch.tokens.models import lookup
from ratedispatch.tokens.pixels import Size, measure

from . import pictures
from .pictures import data_url

# gpt-4o: 800 tokens of text and an image with detail low
PAGE = 800 + 85
UNKNOWN = 85 + 8 * 170  # gpt-4o, an image that cannot be measured: 2048 × 768 px, 8 tiles


def parts(*content: dict[str, Any], model: str = "gpt-4o") -> dict[str, int]:
    """Return the reasons for a message of *content*."""
    request = {"model": model, "messages": [{"role": "user", "content": list(content)}]}
    return {part.name: part.tokens for part in estimate(request, explain=True).parts}


def image(url: str, detail: str | None = "high") -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, "detail": detail}}


@pytest.mark.parametrize(
    "data",
    [
        pictures.png(1_024, 700),
        pictures.gif(1_024, 700),
        pictures.jpeg(1_024, 700),
        pictures.jpeg(1_024, 700, metadata=1),
        pictures.jpeg(1_024, 700, metadata=2, marker=0xC2),
        pictures.jpeg(1_024, 700, metadata=200_000),
        pictures.webp(b"VP8", 1_024, 700),
        pictures.webp(b"VP8L", 1_024, 700),
        pictures.webp(b"VP8X", 1_024, 700),
    ],
    ids=["png", "gif", "jpeg", "exif", "progressive", "large exif", "vp8", "vp8l", "vp8x"],
)
def test_sizes_are_read_from_headers(data: bytes) -> None:
    """Each format tells its size; line breaks within base64 do not matter."""
    lines = base64.encodebytes(data).decode()
    for url in (data_url(data), f"data:image/x;base64,{lines}"):
        assert measure(url, data_start(url)) == Size(1_024, 700)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/cat.png",
        "data:image/png,plain",
        "data:image/png;base64",
        "data:image/png;base64,",
        "data:image/png;base64,AAAA",
        "data:image/png;base64,\u00e9\u00e9\u00e9\u00e9",
        "data:image/png;base64,A",
        data_url(pictures.png(0, 5)),
        data_url(pictures.png(5, 5)[:20]),
        data_url(b"RIFF\x00\x00\x00\x00WEBPVP8?" + bytes(40)),
        data_url(b"RIFF\x00\x00\x00\x00AVI VP8 " + bytes(40)),
        data_url(b"\xff\xd8" + b"\xff\xe0\x00\x02" * 2_000),
        data_url(b"\xff\xd8\x00\x00" + bytes(40)),
        data_url(pictures.jpeg(9, 9)[:-15]),
        data_url(b"BM" + bytes(60)),
    ],
)
def test_unreadable_images_have_no_size(url: str) -> None:
    """What is elsewhere, damaged or of another kind is not measured, and costs the most."""
    assert parts(image(url))["images"] == UNKNOWN


def test_large_images_are_not_decoded_and_not_text() -> None:
    """Ten megabytes of base64 cost what the picture costs, not what the text would."""
    url = data_url(pictures.png(1_024, 1_024, size=8_000_000))
    for content in (image(url), {"type": "input_image", "image_url": url, "detail": "high"}):
        found = parts(content)
        assert found["images"] == 765
        assert found["messages"] < 10


@pytest.mark.parametrize(
    ("model", "detail", "tokens"),
    [
        ("gpt-4o", None, 765),
        ("gpt-4o", "auto", 765),
        ("gpt-4o", "low", 85),
        ("gpt-4o-mini", "low", 2_833),
        ("gpt-5", "high", 70 + 4 * 140),
        ("o3", "high", 75 + 4 * 150),
        ("computer-use-preview", "high", 65 + 4 * 129),
        ("gpt-5-mini", "high", 1_659),  # 1024 × 1.62 = 1658.88
        ("gpt-5-nano", "low", 2_520),  # 1024 × 2.46 = 2519.04; low is not for this model
        ("o4-mini", "high", 1_762),  # 1024 × 1.72 = 1761.28
        ("gpt-5.4", "high", 1_229),  # 1024 × 1.2 = 1228.8
        ("gpt-5.4", "original", 1_229),
        ("gpt-5.4", "low", 308),  # 512 px: 256 × 1.2 = 307.2
        ("gpt-6", "auto", 1_229),
    ],
)
def test_each_family_has_its_rule(model: str, detail: str | None, tokens: int) -> None:
    """The same picture costs each family by its own table row."""
    url = data_url(pictures.png(1_024, 1_024))
    assert parts(image(url, detail), model=model)["images"] == tokens


def test_original_detail_has_its_own_budget() -> None:
    """Large pictures keep more patches with detail original, which newer models take for auto."""
    old, new = lookup("gpt-5.4"), lookup("gpt-6")
    assert old is not None
    assert new is not None
    # 4000 × 3000 px: 125 × 94 = 11,750 patches; fitted to 2048 px, 64 × 48 = 3,072
    assert new.images.tokens(4_000, 3_000, "auto") == 14_100
    assert new.images.tokens(4_000, 3_000, "high") <= 3_000
    assert old.images.tokens(4_000, 3_000, "original") <= 12_000
    assert old.images.tokens(4_000, 3_000, "auto") <= 3_000


@pytest.mark.parametrize("size", [(1, 1), (1, 100_000), (2**31, 2**31), (7, 9_999_999), (33, 31)])
def test_every_shape_costs_something_bounded(size: tuple[int, int]) -> None:
    """No shape, however odd, costs less than one unit or more than the budget."""
    assert 1 <= count_patches(*size, 1_536) <= 1_536
    assert 85 + 170 <= Tiles(85, 170).tokens(*size, "high") <= UNKNOWN
    assert 1 <= Patches(1_536, 100, side=2_048).tokens(*size, "high") <= 1_536


def test_assumptions_can_be_replaced() -> None:
    """What stands in for an unknown size is the caller's to choose."""
    counter = Counter(assumptions=Assumptions(image_width=512, image_height=512))
    request = {"model": "gpt-4o", "messages": [{"role": "user", "content": [image("https://x")]}]}
    usual = Counter().count(request)
    assert usual - counter.count(request) == 7 * 170
    with pytest.raises(ValueError, match="page_tokens must be at least 1"):
        Assumptions(page_tokens=0)


def audio(data: bytes | str, kind: str = "wav") -> dict[str, Any]:
    encoded = data if isinstance(data, str) else base64.b64encode(data).decode()
    return {"type": "input_audio", "input_audio": {"data": encoded, "format": kind}}


@pytest.mark.parametrize(
    ("data", "least", "most"),
    [
        (pictures.wav(3), 30, 31),
        (pictures.wav(3, rate=44_100), 30, 31),
        (pictures.wav(3, extra=b"LIST\x03\x00\x00\x00abc\x00"), 30, 31),
        (b"ID3" + bytes(16_000), 20, 21),  # two seconds at the assumed 8,000 bytes a second
        (pictures.wav(0.1)[:30] + bytes(8_000), 10, 11),  # a header cut off
        (pictures.wav(0, rate=1) + bytes(8_000), 10, 11),  # two bytes a second: not believed
        (b"", 0, 0),
    ],
)
def test_audio_costs_ten_tokens_a_second(data: bytes, least: int, most: int) -> None:
    """The header of a WAV tells its length; other formats are measured by their size."""
    assert least <= parts(audio(data)).get("audio", 0) <= most


def test_damaged_audio_is_measured_by_size() -> None:
    """Text that is no base64 costs what so much audio would."""
    assert parts(audio("é" * 80_000))["audio"] == 75


def test_files_are_counted_by_pages() -> None:
    """A document costs its text and an image of each page, a text file its bytes."""
    pdf = data_url(b"%PDF-1.7" + bytes(60_000), "application/pdf")
    for kind, content in (
        ("file", {"file": {"file_data": pdf, "filename": "a.pdf"}}),
        ("input_file", {"file_data": pdf}),
    ):
        found = parts({"type": kind, **content})
        assert found["files"] == 2 * PAGE
        assert found["messages"] < 10
    assert parts({"type": "file", "file": {"file_id": "file-1"}})["files"] == 10 * PAGE
    text = data_url(b"word " * 300, "text/plain")
    assert parts({"type": "file", "file": {"file_data": text}})["files"] == 500
    raw = base64.b64encode(bytes(32_768)).decode()
    assert parts({"type": "file", "file": {"file_data": raw}})["files"] == 2 * PAGE


def test_base64_in_unknown_parts_is_no_text() -> None:
    """Parts of other providers are counted as JSON, their base64 as files."""
    video = {"type": "video_url", "video_url": {"url": data_url(bytes(60_000), "video/mp4")}}
    source = {"type": "base64", "data": base64.b64encode(bytes(60_000)).decode()}
    for part in (video, {"type": "document", "source": source}):
        found = parts(part)
        assert found["messages"] < 40
        assert 2 * PAGE <= found["files"] <= 3 * PAGE


def test_a_picture_in_a_responses_item_is_a_picture() -> None:
    """Screenshots that a tool returns are images too."""
    url = data_url(pictures.png(1_024, 1_024))
    output = {"type": "computer_screenshot", "image_url": url}
    request = {"model": "gpt-4o", "input": [{"type": "computer_call_output", "output": output}]}
    cost = estimate(request, "/v1/responses", explain=True)
    assert {part.name: part.tokens for part in cost.parts}["images"] == 765
    by_id = {"model": "gpt-4o", "input": [{"role": "user", "content": [{"type": "input_image"}]}]}
    assert count_tokens(by_id, "/v1/responses") > UNKNOWN


PNG = data_url(pictures.png(1_024, 1_024, size=60_000))
BARE = PNG.partition(",")[2]


@pytest.mark.parametrize(
    "item",
    [
        {"type": "image_generation_call", "id": "ig_1", "result": BARE},
        {"role": "user", "content": [{"type": "input_file", "file_data": PNG}]},
        {"role": "user", "content": [{"type": "input_file", "file_data": BARE}]},
        {"type": "mcp_call", "output": f"see {PNG}"},
    ],
    ids=["generated", "file", "bare file", "in a text"],
)
def test_a_picture_is_a_picture_wherever_it_stands(item: dict[str, Any]) -> None:
    """Its first bytes say so, whatever the part that holds it is called."""
    cost = estimate({"model": "gpt-4o", "input": [item]}, "/v1/responses", explain=True)
    found = {part.name: part.tokens for part in cost.parts}
    assert found["images"] == 765
    assert "files" not in found
    assert found["messages"] < 40


def test_pictures_in_the_shape_of_anthropic() -> None:
    """Base64 is measured, an address has the assumed size."""
    source = {"type": "base64", "media_type": "image/png", "data": BARE}
    assert parts({"type": "image", "source": source})["images"] == 765
    by_url = {"type": "url", "url": "https://example.com/a.png"}
    assert parts({"type": "image", "source": by_url})["images"] == UNKNOWN
    assert parts({"type": "image", "image": PNG})["images"] == 765


def test_what_data_is_may_be_stated() -> None:
    """An address that states its type is believed where the first bytes say nothing."""
    for kind, part in (("image/x", "images"), ("audio/x", "audio"), ("text/x", "files")):
        found = parts({"type": "file", "file": {"file_data": data_url(bytes(3_000), kind)}})
        assert {name for name in found if name in {"images", "audio", "files"}} == {part}


@pytest.mark.parametrize(
    "head",
    [
        b"ID3\x04",
        b"fLaC\x00",
        b"OggS\x00",
        b"\xff\xfb\x90\x00",
        b"\xff\xf1\x50\x80",
        b"\x00\x00\x00\x20ftypM4A ",
        b"RIFF\x00\x00\x00\x00WAVE",
    ],
    ids=["id3", "flac", "ogg", "mp3", "aac", "m4a", "wav"],
)
def test_audio_is_known_by_its_head(head: bytes) -> None:
    """Sent as a file it is audio all the same, at the assumed 8,000 bytes a second."""
    raw = base64.b64encode(head + bytes(15_999 - len(head))).decode()
    assert parts({"type": "file", "file": {"file_data": raw}})["audio"] == 20


@pytest.mark.parametrize("head", [b"\xff\xfe", b"\xff", b"RIFF\x00\x00\x00\x00AVI ", b"%PDF-1.7"])
def test_other_files_are_no_audio(head: bytes) -> None:
    """UTF-16, videos and documents are counted by pages."""
    raw = base64.b64encode(head).decode()
    assert parts({"type": "file", "file": {"file_data": raw}})["files"] == PAGE


def test_a_file_elsewhere_costs_what_can_be_sent() -> None:
    """A page is its text and an image with detail low, also where images are dear."""
    part = {"type": "file", "file": {"file_id": "file-1"}}
    assert parts(part, model="gpt-4o-mini")["files"] == 10 * (800 + 2_833)
    # no rule for low: 512 px are 256 patches, × 1.62
    assert parts(part, model="gpt-4.1-mini")["files"] == 10 * (800 + 415)
    request = {"model": "gpt-4o", "messages": [{"role": "user", "content": [part]}]}
    dear = Counter(assumptions=Assumptions(page_side=2_048))
    assert dear.count(request) - Counter().count(request) == 10 * (765 - 85)


def test_what_the_assistant_said_costs_twice_as_much() -> None:
    """Its audio has a token for 50 ms, in chat and in Responses, by data or by id."""
    data = base64.b64encode(pictures.wav(3)).decode()

    def heard(message: dict[str, Any]) -> int:
        request = {"model": "gpt-audio", "messages": [message], "input": [message]}
        endpoint = "/v1/responses" if message.get("content") else "/v1/chat/completions"
        cost = estimate(request, endpoint, explain=True)
        return {part.name: part.tokens for part in cost.parts}["audio"]

    spoken = {"type": "output_audio", "data": data, "transcript": "hello"}
    assert heard({"role": "user", "content": [audio(data)]}) == 31
    assert heard({"role": "assistant", "content": [audio(data)]}) == 61
    assert heard({"role": "assistant", "content": [spoken]}) == 61
    assert heard({"role": "assistant", "audio": {"data": data}}) == 61
    # 30 s stand in for what only the server has
    assert heard({"role": "assistant", "audio": {"id": "audio_1"}}) == 600


@pytest.mark.parametrize(
    ("width", "height", "tiles"),
    [
        (2_076, 8_302, 8),  # 512.1 × 2048 px: rounded down it would be 4 tiles
        (8_302, 2_076, 8),
        (2_048, 512, 4),
        (770, 768, 4),
        (1, 9_000, 4),
    ],
)
def test_scaling_never_loses_a_tile(width: int, height: int, tiles: int) -> None:
    """A part of a pixel above the edge of a tile is another tile."""
    assert Tiles(0, 1).tokens(width, height, "high") == tiles
