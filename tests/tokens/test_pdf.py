"""The pages of a PDF: read by pypdf, by the marks in clear, or assumed by its size."""

from __future__ import annotations

import base64
import io

import pytest

from ratedispatch.tokens import Counter, pdf

pypdf = pytest.importorskip("pypdf")


def plain(pages: int, size: int = 0) -> bytes:
    """Return a PDF whose objects stand in clear, with *size* bytes on each page."""
    kids = " ".join(f"{3 + page} 0 R" for page in range(pages))
    parts = [
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n",
        f"2 0 obj<</Type /Pages /Count {pages} /Kids [{kids}]>>endobj\n".encode(),
    ]
    for page in range(pages):
        parts.append(f"{3 + page} 0 obj<</Type /Page /Parent 2 0 R>>endobj\n".encode())
        parts.append(b"%" + b"x" * size + b"\n")
    return b"".join([*parts, b"trailer<</Root 1 0 R>>\n%%EOF"])


def packed(pages: int) -> bytes:
    """Return a PDF whose objects are packed, so that nothing stands in clear."""
    writer = pypdf.PdfWriter()
    for _ in range(pages):
        writer.add_blank_page(100, 100)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def pages_of(data: bytes) -> int | None:
    return pdf.pages_of(base64.b64encode(data).decode(), 0)


def files(data: bytes) -> int:
    """Return the tokens of a request with *data* as its document."""
    url = "data:application/pdf;base64," + base64.b64encode(data).decode()
    part = {"type": "file", "file": {"file_data": url}}
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": [part]}]}
    return {one.name: one.tokens for one in Counter().estimate(body, explain=True).parts}["files"]


@pytest.mark.parametrize("pages", [1, 10, 250])
def test_pages_are_read_with_and_without_the_library(
    pages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ways give the same number for a file in clear."""
    assert pages_of(plain(pages)) == pages
    assert pages_of(packed(pages)) == pages
    monkeypatch.setattr(pdf, "_has_reader", lambda: False)
    assert pages_of(plain(pages)) == pages


def test_a_file_made_for_the_web_tells_its_pages_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its head says how many there are, although the rest is packed."""
    monkeypatch.setattr(pdf, "_has_reader", lambda: False)
    data = b"%PDF-1.5\n1 0 obj\n<</Linearized 1/L 9/O 3/E 9/N 12/T 9>>\nendobj\n" + bytes(999)
    assert pages_of(data) == 12


@pytest.mark.parametrize("data", [b"%PDF-1.4 nothing", b"%PDF-1.4 /Type/Pages /Count 999999999"])
def test_a_damaged_file_has_no_pages(data: bytes) -> None:
    """Nor has one that says to have more than its bytes could hold."""
    assert pages_of(data) is None


def test_a_scan_weighs_its_pages_and_not_its_bytes() -> None:
    """Ten pages of a megabyte weigh what ten pages of ten bytes weigh."""
    assert files(plain(10, 100_000)) == files(plain(10)) == 10 * files(plain(1))
