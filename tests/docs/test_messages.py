"""The page of messages has an entry for everything that the program raises, says and warns of."""

from __future__ import annotations

import re

import pytest

from docs.check_messages import PAGE, compare, corrected, lines_of
from docs.collect_messages import Message, Module, collect, messages_of

TEXT = PAGE.read_text("utf-8")


def test_every_message_has_an_entry() -> None:
    """When this fails: python -m docs.check_messages --write, or write an entry for a new one."""
    assert compare(TEXT, collect()).sentence() == ""


def test_every_entry_says_what_to_do() -> None:
    """Below the messages of an entry there are sentences, and no line has two."""
    for entry in re.split(r"^### ", TEXT, flags=re.MULTILINE)[1:]:
        title, *lines = entry.partition("\n## ")[0].splitlines()
        sentences = [line for line in lines if line and not line.startswith("- ")]
        assert lines_of("\n".join(lines)), title
        assert sentences, title
        assert all(line.endswith((".", ":")) for line in sentences), title


def test_every_heading_stands_once() -> None:
    """A link to an entry leads to one place."""
    headings = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    assert len(headings) == len(set(headings))


def test_a_message_on_the_page_has_words_of_its_own() -> None:
    """A line that covers anything would hide a new message without an entry."""
    for line in lines_of(TEXT):
        assert len(re.findall(r"[A-Za-z]{2,}", line.text)) >= 2, line


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ('raise ValueError(f"the file {path} is not there")', ["the file … is not there"]),
        ('say("take one way" if quick else "take the other")', ["take one way", "take the other"]),
        ('WHY = "it is old"\nraise JobError("too old: " + WHY)', ["too old: it is old"]),
        ('def f():\n    why = "it is old"\n    say(f"no use: {why}")', ["no use: it is old"]),
        (
            'def why(x):\n    return "it is new"\ndef f(x):\n    say(f"no use: {why(x)}")',
            ["no use: it is new"],
        ),
        ("raise NotImplementedError", []),
        ('raise AssertionError("this is never to be seen by anybody")', []),
        ('"""A docstring with more words than five."""', []),
        ('HINT = "give it a file that is there"', ["give it a file that is there"]),
    ],
)
def test_messages_are_found_where_they_are_made(source: str, texts: list[str]) -> None:
    """What is raised and said is followed to names and functions of the module."""
    found = [text for _, text in messages_of([Module.parse(source)])]
    assert [text for text in found if text in texts] == texts
    assert bool(found) is bool(texts)


def test_an_edited_message_is_corrected_on_the_page() -> None:
    """The most similar text takes its place; a new one is left to a person."""
    page = "### A file\n\n- `the file … is not there`\n\nGive another one.\n"
    edited = Message("the file … does not exist there", "a.py:1")
    new = Message("a limit of zero lets nothing through", "b.py:1")
    difference = compare(page, [edited, new])
    assert [one.text for one in difference.stale] == ["the file … is not there"]
    assert difference.missing == [edited, new]
    assert "a.py:1: no entry for 'the file … does not exist there'" in difference.sentence()
    after = corrected(page, difference)
    assert after == page.replace("the file … is not there", edited.text)
    assert compare(after, [edited, new]).missing == [new]
