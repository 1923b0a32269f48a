"""The bar of a map: where it is shown, and what it says."""

from __future__ import annotations

import random
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import ratedispatch as rd
from ratedispatch.dispatch.display.notebook import is_notebook
from ratedispatch.testing import ProviderSettings, ProviderTransport, run_virtual
from tests.dispatch.display.notebooks import Notebook
from tests.dispatch.world import chat

if TYPE_CHECKING:
    import pytest


def run(count: int = 60, takes: int | None = None, **options: Any) -> int:
    """Map over so many requests at 600 a minute; return how many outcomes came."""

    async def main() -> int:
        transport = ProviderTransport(ProviderSettings(latency=0.2), random.Random(1))
        came = 0
        async with rd.Dispatcher(transport, rd.Limits(600), rng=random.Random(1)) as dispatcher:
            source = options.pop("source", [chat(number) for number in range(count)])
            async with aclosing(dispatcher.map(source, **options)) as outcomes:
                async for _ in outcomes:
                    came += 1
                    if came == takes:
                        break
            assert dispatcher.snapshot().in_flight == 0
        return came

    return run_virtual(main())


def test_a_notebook_shows_a_bar_and_nothing_else_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not is_notebook()
    assert run() == 60
    shell = Notebook(monkeypatch, has_kernel=False)  # IPython in a terminal
    assert not is_notebook()
    assert run() == 60
    assert shell.pictures == []
    book = Notebook(monkeypatch)
    assert is_notebook()
    assert run(progress=False) == 60
    assert book.pictures == []
    assert run() == 60
    assert capsys.readouterr() == ("", "")
    (picture,) = book.pictures
    assert "60/60" in picture
    assert "100%" in picture
    assert "0 failed" in picture
    assert "/min" in picture
    assert book.shown > 5  # while it ran


def test_a_bar_has_a_total_where_the_length_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    book = Notebook(monkeypatch)
    assert run(source=(chat(number) for number in range(30))) == 30
    assert "30/?" in book.pictures[0]
    assert run(100, takes=40) == 40
    assert "40/100" in book.pictures[1]
    assert "40%" in book.pictures[1]


def test_it_can_be_asked_for_where_there_is_no_notebook(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On standard error, where nothing but its end is written unless that is a terminal."""
    assert run(progress=True) == 60
    out, err = capsys.readouterr()
    assert (out, err) == ("", "60 of 60 answered or failed, 0 failed\n")


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    written: list[str] = []
    monkeypatch.setattr(sys.stderr, "write", written.append)
    assert run(progress=True) == 60
    assert "60/60" in "".join(written)


def test_failures_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    book = Notebook(monkeypatch)
    bad = rd.Request({"model": "gpt-4o", "messages": {5}})
    assert run(source=[chat(1), bad, chat(2)], ordered=True) == 3
    assert "1 failed" in book.pictures[0]
