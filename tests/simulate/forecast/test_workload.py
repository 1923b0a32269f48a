"""The rows of a job by what they cost."""

from __future__ import annotations

from ratedispatch.simulate.forecast.workload import Kind, Row, Workload


def _workload() -> Workload:
    workload = Workload()
    for number, model in enumerate(("a", "b", "a")):
        kind = workload.index_of(Kind("/v1/chat/completions", model))
        workload.add(Row(kind, 10 + number, 5, 9, 5))
    return workload


def test_rows_come_back_as_they_were_added() -> None:
    workload = _workload()
    assert len(workload) == 3
    assert list(workload) == [Row(0, 10, 5, 9, 5), Row(1, 11, 5, 9, 5), Row(0, 12, 5, 9, 5)]
    assert workload[1] == Row(1, 11, 5, 9, 5)
    assert [kind.model for kind in workload.kinds] == ["a", "b"]
    assert workload.tokens == 48


def test_chosen_rows_keep_their_kinds() -> None:
    chosen = _workload().chosen([2, 1])
    assert list(chosen) == [Row(0, 12, 5, 9, 5), Row(1, 11, 5, 9, 5)]
    assert chosen.index_of(Kind("/v1/chat/completions", "b")) == 1
