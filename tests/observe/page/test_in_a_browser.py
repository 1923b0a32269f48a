"""The page in Chromium: it loads nothing, says nothing, and is as wide as the screen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from ratedispatch.observe.page.render import render
from tests.observe.page.browser import CHROMIUM, browser
from tests.observe.page.played import HOSTILE, material, outcomes

if TYPE_CHECKING:
    from pathlib import Path

#: Pictures and tables that can be seen, and are wider than the page; and texts beyond a picture.
_BEYOND = """
[...document.querySelectorAll('svg[role=img]')].filter(one => one.clientWidth).flatMap(picture => {
  const frame = picture.getBoundingClientRect();
  return [...picture.querySelectorAll('text')].filter(text => {
    const box = text.getBoundingClientRect();
    return box.left < frame.left - 1 || box.right > frame.right + 1;
  }).map(text => text.textContent);
})
"""
_WIDTHS = "[document.documentElement.scrollWidth, innerWidth]"
_GROUND = "getComputedStyle(document.body).backgroundColor"
_OPEN = "document.querySelectorAll('details').forEach(one => one.open = true)"


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_page_in_chromium(tmp_path: Path) -> None:
    """At 1,280 and 400 pixels, light and dark, with hostile texts and all parts open."""
    page = tmp_path / "page.html"
    text = "\n".join(HOSTILE)
    page.write_text(render(material(outcomes=outcomes(text, text), notes=(text,))), "utf-8")

    async def look() -> None:
        async with asyncio.timeout(30), browser(tmp_path / "profile") as chromium:
            grounds = []
            for width, dark in ((1280, False), (400, False), (400, True)):
                await chromium.open(page, width, dark=dark)
                await chromium.value(_OPEN)
                wide, screen = await chromium.value(_WIDTHS)
                assert wide <= screen == width
                assert await chromium.value(_BEYOND) == []
                grounds.append(await chromium.value(_GROUND))
            assert grounds == ["rgb(255, 255, 255)", "rgb(255, 255, 255)", "rgb(20, 23, 27)"]
            assert await chromium.value("document.scripts.length") == 0
            assert chromium.said == []
            assert set(chromium.requested) == {page.as_uri()}

    asyncio.run(look())
