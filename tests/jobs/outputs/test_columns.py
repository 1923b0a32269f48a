"""The columns of a table of answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.jobs.outputs.answer import Answer
from ratedispatch.jobs.outputs.columns import OWN, columns_of


@pytest.mark.parametrize(
    ("inputs", "id_column", "own"),
    [
        ((), None, OWN),
        (("id", "text"), None, OWN),
        (("id", "text"), "id", OWN[1:]),
        (("custom_id",), "custom_id", OWN[1:]),
        (("custom_id",), None, ("custom_id_2", *OWN[1:])),
        (("text",), "id", OWN),
        (
            ("answer", "answer_2", "Error"),
            None,
            ("custom_id", "status", "status_code", "answer_3", *OWN[4:6], "error_2"),
        ),
    ],
)
def test_the_inputs_columns_come_first_and_keep_their_names(
    inputs: tuple[str, ...], id_column: str | None, own: tuple[str, ...]
) -> None:
    """An own one whose name is taken has a number, and ids are there once."""
    assert columns_of(inputs, id_column).names == (*inputs, *own)


@given(st.lists(st.sampled_from([*OWN, "answer_2", "ANSWER", "x"]), unique=True))
def test_no_name_is_there_twice(inputs: list[str]) -> None:
    """In any case of its letters, but for what the input has twice itself."""
    names = columns_of(inputs).names
    own = names[len(inputs) :]
    assert len(own) == len(OWN)
    assert len({name.casefold() for name in own}) == len(own)
    assert not {name.casefold() for name in own} & {name.casefold() for name in inputs}


def test_cells_stand_under_their_names() -> None:
    """In the order of the columns, without those that are left out."""
    answer = Answer("failed", 429, None, 5, 6, "slow down")
    assert columns_of(()).own_cells("q", answer) == ["q", "failed", 429, None, 5, 6, "slow down"]
    assert columns_of(("q",), "q").own_cells("q", answer)[0] == "failed"
