"""What became of the rows of a job, from its files alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ratedispatch.jobs.retold.result_lines import read_outcomes
from ratedispatch.jobs.state.paths import JobFiles
from ratedispatch.observe.outcomes import Example, ModelSums

if TYPE_CHECKING:
    from pathlib import Path


def answer(row: int, model: Any = "gpt-4o", **usage: Any) -> bytes:
    body = {"model": model, "usage": usage or None}
    response = {"status_code": 200, "request_id": None, "body": body}
    return line(row, response=response, error=None)


def line(row: int, **values: Any) -> bytes:
    value = {"id": f"batch_req_{row:012}", "custom_id": f"row-{row}", **values}
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def outcomes_of(folder: Path, answers: bytes, errors: bytes = b"") -> Any:
    files = JobFiles("-", folder / "out.jsonl", folder / "errors.jsonl")
    files.output.write_bytes(answers)
    files.errors.write_bytes(errors)
    return read_outcomes(files)


def test_models_lengths_and_reasons_are_added_up(tmp_path: Path) -> None:
    """With examples; of a refusal the code stands in the response."""
    refusal = {"error": {"code": "context_length", "message": "too long"}}
    response = {"status_code": 400, "request_id": None, "body": refusal}
    outcomes = outcomes_of(
        tmp_path,
        answer(1, prompt_tokens=10, completion_tokens=5)
        + answer(2, prompt_tokens=30, completion_tokens=15)
        + answer(3, "other")
        + answer(4, None),
        line(5, response=response, error=None)
        + line(6, response=None, error={"code": "invalid_line", "message": "no body", "line": 6}),
    )
    assert (outcomes.answered, outcomes.failed, outcomes.unread) == (4, 2, 0)
    assert outcomes.models == {
        "gpt-4o": ModelSums(2, 40, 20),
        "other": ModelSums(1, without_usage=1),
        "unknown": ModelSums(1, without_usage=1),
    }
    assert outcomes.outputs.count == 2
    reasons = {code: (one.rows, one.examples) for code, one in outcomes.reasons.items()}
    assert reasons == {
        "context_length": (1, [Example(5, "row-5", "too long")]),
        "invalid_line": (1, [Example(6, "row-6", "no body")]),
    }
    assert len(outcomes.notes) == 1
    assert outcomes.rows is None


def test_torn_lines_garbage_and_long_names(tmp_path: Path) -> None:
    """A torn last line is of a job that still writes; the rest is counted; names are cut."""
    name = "n" * 100_000
    failure = {"id": "x", "custom_id": name, "response": None, "error": {"code": name}}
    outcomes = outcomes_of(
        tmp_path,
        b"garbage\n[]\n{}\n" + answer(1, "m" * 100_000) + answer(2)[:40],
        json.dumps(failure).encode() + b"\n",
    )
    assert (outcomes.answered, outcomes.failed, outcomes.unread) == (1, 1, 3)
    assert {len(model) for model in outcomes.models} == {200}
    ((code, reason),) = outcomes.reasons.items()
    assert (len(code), len(reason.examples[0].custom_id)) == (200, 200)


def test_as_many_models_and_reasons_as_rows_stay_bounded(tmp_path: Path) -> None:
    """They are the provider's words."""
    failures = b"".join(
        line(n, response=None, error={"code": f"c{n}", "message": ""}) for n in range(1, 500)
    )
    answers = b"".join(answer(n, f"m{n}") for n in range(1, 500))
    outcomes = outcomes_of(tmp_path, answers, failures)
    assert (outcomes.answered, outcomes.failed) == (499, 499)
    assert len(outcomes.models) == len(outcomes.reasons) == 101
    assert outcomes.reasons["other"].rows == 399
