"""Requests made of rows."""

from __future__ import annotations

import dataclasses
import datetime
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.errors import InvalidRequest, JobError
from ratedispatch.jobs.batchfile import parse_line
from ratedispatch.jobs.inputs.template import EmptyCellWarning, Template, parse_parameters
from ratedispatch.request import Request

pytestmark = pytest.mark.filterwarnings(
    "ignore::ratedispatch.jobs.inputs.template.EmptyCellWarning"
)


def filled(prompt: str, **row: object) -> str:
    request = Template(prompt, model="m").request(row, 1)
    content: str = request["body"]["messages"][-1]["content"]
    return content


def test_a_row_becomes_a_request() -> None:
    """All that a template can hold is in it, in Batch format."""
    template = Template(
        "Translate to French: {text}",
        system="You know {topic}.",
        model="gpt-4.1-mini",
        max_tokens=50,
        parameters={"temperature": 0, "stop": ["END"]},
        id_column="id",
    )
    assert template.columns == ("topic", "text", "id")
    assert template.request({"id": "q-1", "text": "Hello", "topic": "wine"}, 3) == {
        "custom_id": "q-1",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {
            "model": "gpt-4.1-mini",
            "messages": [
                {"role": "system", "content": "You know wine."},
                {"role": "user", "content": "Translate to French: Hello"},
            ],
            "temperature": 0,
            "stop": ["END"],
            "max_tokens": 50,
        },
    }


def test_rows_without_an_id_are_named_by_their_number() -> None:
    """And a request without a system message has none."""
    assert Template("{a}", model="m").request({"a": "x"}, 17) == {
        "custom_id": "row-17",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "m", "messages": [{"role": "user", "content": "x"}]},
    }


@given(st.dictionaries(st.sampled_from("ab"), st.text()), st.integers(1))
def test_every_request_is_one_that_a_job_reads(row: dict[str, str], number: int) -> None:
    """As a line of a request file it gives back the texts of the row."""
    made = Template("{a}", system="{{{b}}}", model="m").request(row, number)
    request = parse_line(json.dumps(made).encode(), number)
    assert isinstance(request, Request)
    assert request.custom_id == f"row-{number}"
    assert [message["content"] for message in request.body["messages"]] == [
        "{" + row.get("b", "") + "}",
        row.get("a", ""),
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{a} {b}", "{a} {b}"),
        ("", ""),
        (None, ""),
        (float("nan"), ""),
        (7, "7"),
        (1.5, "1.5"),
        (True, "true"),
        ([1, "é"], '[1, "é"]'),
        ({"k": None}, '{"k": null}'),
        ([datetime.date(2024, 1, 2)], '["2024-01-02"]'),
        (datetime.timedelta(seconds=3), "0:00:03"),
        (b"bytes", "bytes"),
    ],
)
def test_cells_are_written_as_text(value: object, expected: str) -> None:
    """Text as it is, braces included; values as JSON; what is missing as nothing."""
    assert filled("<{cell}>", cell=value) == f"<{expected}>"


def test_a_missing_cell_is_empty_text() -> None:
    """The columns were checked before."""
    assert filled("<{cell}>") == "<>"


def test_a_column_with_empty_cells_is_told_once() -> None:
    """Not with each row of a million."""
    with pytest.warns(
        EmptyCellWarning, match="column 'told once' has cells without a value"
    ) as all_:
        filled("{told once} and {told once}", **{"told once": None})
    assert len(all_) == 1


def test_an_empty_prompt_is_refused() -> None:
    """It would be paid for with every row."""
    with pytest.raises(JobError, match="the prompt is empty"):
        Template(" ", model="m")


def test_doubled_braces_are_braces() -> None:
    """As the JSON of an example in a prompt needs them."""
    assert filled('Answer as {{"a": 1}}: {text} }}{{', text="x") == 'Answer as {"a": 1}: x }{'


def test_a_column_may_have_any_name_that_a_field_can_hold() -> None:
    """Blanks and other scripts among them."""
    assert filled("{first name} {größe}", **{"first name": "A", "größe": 2}) == "A 2"


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("{}", r"the field \{\}: it does not name a column"),
        ("{ }", "it does not name a column"),
        ("{0}", r"the field \{0\}: columns are named, not numbered"),
        ("{a.b}", r"the field \{a.b\}: a field names a whole column, not a part of it"),
        ("{a[0]}", "not a part of it"),
        ("{a!r}", r"the field \{a!r\}: .*has no format"),
        ("{a:>9}", r"the field \{a:>9\}: .*has no format"),
        ("{a:{b}}", "has no format"),
        ('{"a": 1}', r"write \{name\} with .* or \{\{ and \}\} for literal braces"),
        ("{a", r"the prompt cannot be read as a template: .* write \{\{ and \}\}"),
        ("a}", "the prompt cannot be read as a template"),
    ],
)
def test_a_field_that_is_no_column_is_refused(prompt: str, said: str) -> None:
    """When the template is made, before there is a row."""
    with pytest.raises(JobError, match=said):
        Template(prompt, model="m")
    with pytest.raises(JobError, match="the system"):
        Template("x", system=prompt, model="m")


def test_a_missing_column_is_named_with_those_there_are() -> None:
    """And with the one that was meant, as far as that can be told."""
    template = Template("{Txt} {lang}", model="m")
    with pytest.raises(JobError) as caught:
        template.check(["id", "text", "lang"])
    assert str(caught.value) == (
        "the template names 'Txt', but there is no such column; did you mean 'text'? "
        "columns are: id, text, lang"
    )
    with pytest.raises(JobError, match=r"no such column; columns are: a, b$"):
        Template("{quite different}", model="m").check(["a", "b"])
    with pytest.raises(JobError, match="the id column names 'key', but"):
        Template("{a}", model="m", id_column="key").check(["a"])
    with pytest.raises(JobError, match=r"c19 and 10 more$"):
        template.check([f"c{number}" for number in range(30)])
    template.check(["lang", "Txt", "more"])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model": ""}, "give --model"),
        ({"max_tokens": 0}, "max_tokens must be at least 1, got 0"),
        ({"max_tokens": 5, "parameters": {"max_tokens": 6}}, "max_tokens is given twice"),
        ({"parameters": {"messages": []}}, "messages cannot be a parameter: --prompt"),
        ({"parameters": {"model": "x"}}, "model cannot be a parameter: --model"),
        ({"parameters": {"stream": True}}, "stream cannot be a parameter"),
    ],
)
def test_a_template_that_contradicts_itself_is_refused(fields: dict[str, Any], said: str) -> None:
    """Before anything is sent."""
    with pytest.raises(JobError, match=said):
        Template(**{"prompt": "{a}", "model": "m", **fields})


def test_a_template_is_a_value() -> None:
    """Nothing in it changes, nor with what it was made of."""
    parameters = {"temperature": 0}
    template = Template("{a}", model="m", parameters=parameters)
    parameters["temperature"] = 1
    assert template.parameters == {"temperature": 0}
    assert template == Template("{a}", model="m", parameters={"temperature": 0})
    with pytest.raises(dataclasses.FrozenInstanceError):
        template.prompt = ""  # type: ignore[misc]
    with pytest.raises(TypeError):
        template.parameters["temperature"] = 1  # type: ignore[index]


def test_bytes_that_are_no_text_make_the_row_invalid() -> None:
    """The row and the column are named, and their length."""
    with pytest.raises(InvalidRequest, match="row 1: column 'cell' holds 2 bytes that are not"):
        filled("{cell}", cell=b"a\xff")


def test_a_cell_nested_too_deeply_makes_the_row_invalid() -> None:
    """Not the job."""
    cell: list[object] = []
    for _ in range(100_000):
        cell = [cell]
    with pytest.raises(InvalidRequest, match="row 1: column 'cell' is nested too deeply"):
        filled("{cell}", cell=cell)


def test_parameters_are_json_or_else_text() -> None:
    """The value may hold further equals signs."""
    texts = ["temperature=0", "stop=END", 'user="7"', "seed = 3", "a={}", "b=x=y", "c="]
    assert parse_parameters(texts) == {
        "temperature": 0,
        "stop": "END",
        "user": "7",
        "seed": 3,
        "a": {},
        "b": "x=y",
        "c": "",
    }
    assert parse_parameters(["e=one, two", "f=1,5 and more", "g=Nano"]) == {
        "e": "one, two",
        "f": "1,5 and more",
        "g": "Nano",
    }


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["temperature"], "--param 'temperature' is not NAME=VALUE"),
        (["=1"], "--param '=1' is not NAME=VALUE"),
        (["a=1", "a=2"], "--param a is given twice"),
        (["stream=true"], "stream cannot be a parameter"),
        (["temperature={"], "--param temperature={ begins like JSON but is not: Expecting"),
        (["temperature=0,5"], r"if it is meant as text, write --param 'temperature=\"0,5\"'"),
        (["temperature=NaN"], "begins like JSON but is not"),
        (['a={"type":"json_object"'], "begins like JSON but is not"),
        (["deep=" + "[" * 100_000], "begins like JSON but is not"),
    ],
)
def test_a_parameter_that_is_none_is_refused(texts: list[str], said: str) -> None:
    """With how it is written."""
    with pytest.raises(JobError, match=said):
        parse_parameters(texts)
