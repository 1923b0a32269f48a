"""What `rd.ray.map` refuses, and what it says without Ray."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import pytest

import ratedispatch as rd
from ratedispatch.outcome import Completed, Failed, Response, Usage
from ratedispatch.ray.asker import Work, cell_of
from ratedispatch.ray.ray_columns import Cell
from ratedispatch.ray.ray_options import MapOptions
from ratedispatch.request import Cost

LIMITS = rd.Limits(60)


def test_importing_needs_no_ray() -> None:
    """Neither the package nor its room, whose functions say what to install."""
    code = (
        "import sys; sys.modules['ray'] = None\n"
        "import ratedispatch as rd\n"
        "assert 'ratedispatch.ray' not in sys.modules\n"
        "try:\n    rd.ray.limiter('x', rd.Limits(5))\n"
        "except ImportError as error: print(error)\n"
        "try:\n    rd.ray.map(None, limits=rd.Limits(5), request=print)\n"
        "except ImportError as error: print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (
        said.stdout.splitlines()
        == [
            (
                "ratedispatch.ray needs ray, which is not installed; install it with: "
                "pip install 'ray[data]'"
            )
        ]
        * 2
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either a template or a function"),
        ({"template": "x", "request": print}, "either a template or a function"),
        ({"template": "x"}, "needs a model"),
        ({"request": print, "model": "m"}, "model is for a template given as text"),
        ({"template": "x", "model": "m", "actor": 2}, "did you mean actors"),
    ],
)
def test_arguments_that_do_not_belong_together_are_refused(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        rd.ray.map(None, limits=LIMITS, **arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"actors": 0}, "actors must be a whole number of at least 1, not 0"),
        ({"batch_rows": 1.5}, "batch_rows must be a whole number of at least 1, not 1.5"),
        ({"num_cpus": -1}, "num_cpus must not be negative, not -1"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MapOptions(**options)


def test_limits_have_to_be_limits() -> None:
    with pytest.raises(TypeError, match="limits must be"):
        rd.ray.map(None, limits=60, template="x", model="m")


def test_a_template_goes_to_another_process() -> None:
    template = rd.Template("{a}", "s", "m", 5, {"temperature": 0}, "id")
    assert pickle.loads(pickle.dumps(template)) == template


def work(**changes: Any) -> Work:
    template = rd.Template("say {word}", model="m")
    fields = {"template": template, "request": None, "limiter": None}
    return Work(**{**fields, "options": MapOptions(), "memory": None, **changes})


def test_rows_become_requests() -> None:
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"word": ["a", "b"], "other": [1, 2]})
    made = work().requests_for(table)
    assert [one.body["messages"][0]["content"] for one in made if isinstance(one, rd.Request)] == [
        "say a",
        "say b",
    ]
    with pytest.raises(rd.JobError, match="names 'word', but there is no such column"):
        work().requests_for(table.drop_columns(["word"]))
    with pytest.raises(rd.JobError, match="already has a column 'usage'"):
        work().requests_for(table.append_column("usage", pa.array([1, 2])))


def test_a_row_that_makes_no_request_fails_alone() -> None:
    """And one request that is handed out for two rows is two of them."""
    pa = pytest.importorskip("pyarrow")
    same = rd.Request({"model": "m"})

    def request(row: Any) -> rd.Request:
        if row["word"] == "b":
            raise rd.InvalidRequest("b is no word")
        return same

    made = work(template=None, request=request).requests_for(pa.table({"word": ["a", "b", "c"]}))
    assert made == [same, Cell(None, error_code="invalid_request", error="b is no word"), same]
    assert made[0] is not made[2]
    with pytest.raises(TypeError, match="expected a Request, got int"):
        work(template=None, request=lambda row: 5).requests_for(pa.table({"word": ["a"]}))


def test_an_outcome_becomes_a_cell() -> None:
    """The text of an answer, the JSON where there is none or all is wanted, or the failure."""
    request = rd.Request({"model": "m"})
    chat = {"choices": [{"message": {"content": "hé"}}]}
    done = Completed(request, Response(200, {}, chat), Cost(1), Usage(3, 4))
    assert cell_of(done, whole=False) == Cell("hé", 3, 4)
    assert cell_of(done, whole=True).answer == '{"choices": [{"message": {"content": "hé"}}]}'
    vectors = {"data": [{"embedding": [0.5]}], "object": "list"}
    embedding = rd.Request({"model": "m", "input": "x"}, "/v1/embeddings")
    other = Completed(embedding, Response(200, {}, vectors), Cost(1))
    assert (
        cell_of(other, whole=False).answer == '{"data": [{"embedding": [0.5]}], "object": "list"}'
    )
    failed = Failed(request, "content_filter", "it was filtered")
    assert cell_of(failed, whole=False) == Cell(
        None, error_code="content_filter", error="it was filtered"
    )
