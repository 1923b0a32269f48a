"""The page: what it says, that it holds nothing that acts, and how large it is."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import pytest

from ratedispatch.observe.history import History
from ratedispatch.observe.outcomes import Outcomes
from ratedispatch.observe.page.captions import held_sentence
from ratedispatch.observe.page.material import Predicted, Range, predicted_from, report_from
from ratedispatch.observe.page.render import render
from ratedispatch.observe.report import Report
from tests.observe.page.played import HOSTILE, START, material, outcomes, played_history, report

#: Elements of a page; what acts or loads is none of them.
KNOWN = frozenset(
    [
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "svg",
        "defs",
        "pattern",
        "rect",
        "header",
        "p",
        "h1",
        "h2",
        "h3",
        "main",
        "ul",
        "ol",
        "li",
        "strong",
        "span",
        "small",
        "section",
        "figure",
        "figcaption",
        "div",
        "desc",
        "line",
        "text",
        "path",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "details",
        "summary",
        "code",
        "bdi",
        "time",
        "footer",
    ]
)
#: Elements without an end.
EMPTY = {"meta"}


class Checker(HTMLParser):
    """Holds that elements are known and closed, that names stand once, and finds the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in KNOWN, tag
        for name, value in attrs:
            assert not name.startswith("on"), name
            assert name not in {"src", "href", "style", "action", "srcdoc"}, name
            if name == "id":
                self.ids.append(value or "")
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def checked(html: str) -> str:
    """Return the text of *html*, which is well formed and holds nothing that acts."""
    checker = Checker()
    checker.feed(html)
    checker.close()
    assert checker.open == []
    assert len(set(checker.ids)) == len(checker.ids)
    assert re.search(r"https?://(?!api\.example\.com|www\.w3\.org/2000/svg)", html) is None
    return re.sub(r"\s+", " ", " ".join(checker.words))


def test_what_a_page_says() -> None:
    """The verdict, the limits, refusals and pauses, failures, cost, the command, both runs."""
    text = checked(render(material()))
    for words in (
        "2,000 of 2,100 rows were answered, 3 failed and 97 have no result yet.",
        "The run was bound by requests per minute for 92 % of the time.",
        "The limit was between 300 and 600",
        "Triangles mark the 31 refusals. Hatched bands: the queue paused, 1 time.",
        "Run 2 of 2",
        "27 November 2026, 18:50:00 – 18:54:",
        "stopped: drained",
        "complete",
        "ratedispatch run in.jsonl --output out.jsonl --rpm 600",
        "context_length_exceeded 3 rows",
        "row 1 row-7 : too long",
        "$1.21",
        "Latency in seconds",
        "Length of the answers in tokens",
    ):
        assert words in text.replace("\u00a0", " ")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_are_shown_and_do_nothing(text: str) -> None:
    """In the name of the file, of rows, models, codes, groups; in messages, commands, notes."""
    history = played_history(20)
    run = history.runs[-1]
    run.command = run.version = run.server = text[:5_000]
    run.note(START + 3_005, text)
    run.count_code(text)
    run.steps += [step._replace(group=text, dimension=text) for step in run.steps[:1]]
    found = outcomes(text, text)
    found.add_answer(text, (1, 2))
    found.notes.append(text)
    html = render(
        material(
            name=text,
            outcomes=found,
            history=history,
            report=report(stop_code=text, held_seconds={text: 3.0, "pause": 1.0}, binding=text),
            costs={text: 1.0},
            notes=(text,),
        )
    )
    checked(html)
    assert len(html.encode("utf-8", "replace")) < 300_000
    assert not re.search("[\u202e\u2066\u200f\x00\x07\x1b\x9b\ud800]", html)


def test_a_page_of_little() -> None:
    """Without a timeline; of nothing at all; of a run in which nothing was sent."""
    text = checked(render(material(history=None, report=None, costs={}, cost=None)))
    assert "There is no timeline" in text
    assert "cost" not in text.replace("Models and cost", "").replace("cost in USD", "")
    nothing = material(outcomes=Outcomes(), history=History(), report=Report(), costs={})
    checked(render(nothing))
    empty = History()
    empty.begin(START)
    checked(render(dataclasses.replace(nothing, history=empty)))


@pytest.mark.parametrize(
    ("binding", "words"),
    [
        ("requests", "The run was bound by requests per minute for 92 % of the time."),
        ("cpu", "The run was bound by this process's CPU."),
        ("nothing_waiting", "No limit held the run back for 3 % of the time."),
        (None, ""),
    ],
)
def test_what_held_a_run_back_in_a_sentence(binding: str | None, words: str) -> None:
    """What the report calls the bottleneck, with its share of the time where that is known."""
    held = {"requests": 221.0, "pause": 12.0, "nothing_waiting": 8.0}
    found = held_sentence(report(binding=binding, held_seconds=held))
    assert found.replace("\u00a0", " ") == words


def test_the_log_of_another_job_is_noticed() -> None:
    """It tells of more answers than the output has."""
    text = checked(render(material(outcomes=Outcomes(rows=10, answered=10))))
    assert "The log has 3,778 answers, but the output has 10" in text
    assert "The log tells" not in checked(render(material(history=played_history(20))))


def test_prediction_beside_reality() -> None:
    """With its interval, and how far it was off."""
    predicted = Predicted(
        *(Range(230.0, 220.0, 240.0), Range(1.0, 1.0, 1.0), Range(10, 10, 10)),
        tenths=range(23, 240, 23),
        binding="requests",
    )
    history = played_history()
    del history.runs[0]
    html = render(material(predicted=predicted, history=history))
    text = checked(html).replace("\u00a0", " ")
    assert "time 3 min 50 s (3 min 40 s – 4 min) 4 min 1 s -4.6 %" in text
    assert "cost $1.00 $1.21 -17.4 %" in text
    assert "refused 10 31 -67.7 %" in text
    assert "bound by requests per minute requests per minute as predicted" in text
    assert "predicted 3 min 50 s after the first request" in text


@pytest.mark.parametrize(
    ("values", "predicted"),
    [
        ({"seconds": 5}, Predicted(Range(5, 5, 5))),
        (
            {"seconds": {"value": 5, "low": 4, "high": 7}, "cost_usd": 0.5},
            Predicted(Range(5, 4, 7), Range(0.5, 0.5, 0.5)),
        ),
        ({"tenths": list(range(10))}, Predicted(tenths=list(range(10)))),
        ({"tenths": [1, 2]}, None),
        ({"seconds": -1, "cost": float("nan"), "tenths": [float("inf")] * 10}, None),
        ({"seconds": True}, None),
        ({}, None),
        ([], None),
        ("x", None),
    ],
)
def test_a_forecast_is_data(values: object, predicted: Predicted | None) -> None:
    """What has not the right kind is left out."""
    assert predicted_from(values) == predicted


def test_the_figures_of_a_log_are_data() -> None:
    """Those of a run come back as they were; what has not the right kind is left out."""
    whole = report()
    assert report_from(whole.as_dict()) == whole
    garbage = {"answered": "many", "shares": 7, "held_seconds": {"pause": "long", "x": 1}}
    found = report_from({**garbage, "routes": {"a": {"sent": 3, "shares": {"t": float("nan")}}}})
    assert found is not None
    assert (found.answered, found.shares, found.held_seconds) == (0, {}, {"x": 1})
    assert found.routes["a"].sent == 3
    checked(render(material(report=found)))


@pytest.mark.parametrize("tenths", [[0.0] * 10, [1e17] * 10, [9.0, 1.0] * 5])
def test_tenths_that_cannot_be(tenths: list[float]) -> None:
    """A forecast is a file that anybody may have written."""
    history = played_history(20)
    del history.runs[0]
    predicted = predicted_from({"tenths": tenths, "seconds": tenths[-1]})
    checked(render(material(history=history, predicted=predicted)))
