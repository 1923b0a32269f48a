"""What is remembered of the answers of a dataset, and for whom."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ratedispatch import Request
from ratedispatch.ray.ray_answers import AnswerMemory, Task, digest_of, digest_of_batch
from ratedispatch.ray.ray_columns import Cell

DIGESTS = [bytes([number]) * 16 for number in range(4)]


def task(execution: str = "1", number: str = "a", batch: bytes = b"x") -> Task:
    return Task(execution, number, batch)


def test_a_batch_that_is_asked_for_again_gets_its_answers() -> None:
    """What was answered when its actor died; the others are not known."""
    memory = AnswerMemory(10_000)
    memory.keep([(task(), 1, DIGESTS[1], Cell("one")), (task(), 2, DIGESTS[2], Cell("two"))])
    assert memory.fetch(task(), DIGESTS) == [None, Cell("one"), Cell("two"), None]
    assert memory.fetch(task(), DIGESTS) == [None, Cell("one"), Cell("two"), None]


def test_the_same_request_in_another_row_gets_an_answer_of_its_own() -> None:
    """Whoever asks ten times the same wants ten answers."""
    memory = AnswerMemory(10_000)
    memory.keep([(task(), 0, DIGESTS[0], Cell("one"))])
    assert memory.fetch(task(), [DIGESTS[0], DIGESTS[0]]) == [Cell("one"), None]
    assert memory.fetch(task(number="b"), [DIGESTS[0]]) == [None]


def test_another_execution_takes_over_each_answer_once() -> None:
    """Two rows with one request had two answers; a third has none."""
    memory = AnswerMemory(10_000)
    memory.keep([(task(), row, DIGESTS[0], Cell(str(row))) for row in range(2)])
    later = task("2", "b", b"y")
    assert memory.fetch(later, [DIGESTS[0]] * 3) == [Cell("0"), Cell("1"), None]
    assert memory.fetch(later, [DIGESTS[0]] * 3) == [Cell("0"), Cell("1"), None]


def test_a_row_without_a_request_is_not_looked_for() -> None:
    memory = AnswerMemory(10_000)
    assert memory.fetch(task(), [None]) == [None]


def test_the_oldest_are_forgotten() -> None:
    """Each takes 200 bytes and its text."""
    memory = AnswerMemory(700)
    memory.keep([(task(), row, DIGESTS[row], Cell("x" * 100)) for row in range(4)])
    assert memory.fetch(task(), DIGESTS) == [None, None, Cell("x" * 100), Cell("x" * 100)]


# ten tests at once on two cores are slow
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.lists(
        st.tuples(
            st.booleans(), st.integers(0, 2), st.integers(0, 3), st.integers(0, 2), st.booleans()
        ),
        max_size=20,
    )
)
def test_memory_holds_no_more_than_it_may_and_no_answer_of_another_request(
    steps: list[tuple[bool, int, int, int, bool]],
) -> None:
    """Whatever is kept, asked for and taken over, in any order."""
    memory = AnswerMemory(1_000)
    for is_kept, execution, row, number, is_large in steps:
        at = task(str(execution))
        digest = DIGESTS[number]
        if is_kept:
            cell = Cell(str(number) + "x" * (900 if is_large else 0))
            memory.keep([(at, row, digest, cell)])
        else:
            found = memory.fetch(at, [None] * row + [digest])[-1]
            assert found is None or (found.answer or "").startswith(str(number))
        assert memory._bytes == sum(one.cell.size for one in memory._by_place.values()) <= 1_000
        assert sum(map(len, memory._by_digest.values())) == len(memory)


def test_digests_tell_requests_apart() -> None:
    """By all that is sent, whatever the order of the fields."""
    one = Request({"model": "m", "n": 1})
    assert digest_of(one) == digest_of(Request({"n": 1, "model": "m"}))
    others = [
        Request({"model": "m", "n": 2}),
        Request({"model": "m", "n": 1}, "/v1/responses"),
        Request({"model": "m", "n": 1}, headers={"x-a": "b"}),
        Request({"model": "m", "n": 1, "s": "\ud800"}),
    ]
    assert len({digest_of(one), *map(digest_of, others)}) == 5
    a, b = digest_of(one), digest_of(others[0])
    assert len({digest_of_batch(each) for each in ([a], [a, b], [b, a], [a, None])}) == 4
