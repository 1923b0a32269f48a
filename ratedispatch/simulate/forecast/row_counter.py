"""
Counts requests that stand for the rows of a workload: looks their costs up.

Stands in for a counter of `ratedispatch.tokens` in a dispatcher. A request names its row, and has
no text that could be counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratedispatch.request import CHAT, EMBEDDINGS, MODERATIONS, Cost, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ratedispatch.simulate.forecast.workload import Workload
    from ratedispatch.tokens.calibration import Calibration

#: The field of a body that names its row.
ROW = "row"

#: Endpoints that generate nothing.
SILENT = frozenset({EMBEDDINGS, MODERATIONS})


def requests_of(workload: Workload, order: Iterable[int]) -> Iterator[Request]:
    """
    Yield a request for each row of *workload* in *order*.

    All are chats: what an endpoint changes is what a row costs, and that is known.
    """
    models = [kind.model for kind in workload.kinds]
    kinds = workload.kind
    for row in order:
        yield Request({"model": models[kinds[row]], ROW: row}, CHAT, row=row)


class RowCounter:
    """
    Knows what each row costs, and learns the length of answers without a cap as a real one does.

    Args:
        workload: The rows.
        default_output_tokens: What they reserve that name no cap.
    """

    def __init__(self, workload: Workload, default_output_tokens: int) -> None:
        self._rows = workload
        self._default = max(1, default_output_tokens)
        self._is_silent = [kind.endpoint in SILENT for kind in workload.kinds]

    def load(self, model: str, endpoint: str = CHAT) -> Callable[[str], int] | None:
        """Load nothing: there is no text to count."""
        del model, endpoint
        return None

    def estimate(
        self, body: Mapping[str, Any], endpoint: str = CHAT, *, calibration: Calibration, **_: Any
    ) -> Cost:
        """Return what the row costs that *body* names; see `ratedispatch.tokens.Counter`."""
        del endpoint
        row = body[ROW]
        rows = self._rows
        prompt, output, billed, cap = (
            rows.prompt[row], rows.output[row], rows.billed[row], rows.cap[row]
        )  # fmt: skip
        expected, free_output = calibration.apply(body["model"], billed)
        prompt = max(prompt, expected)
        if cap:
            choices = max(1, output // cap)
            return _cost(prompt, output, billed, expected, choices, output or cap, is_capped=True)
        if self._is_silent[rows.kind[row]]:
            return _cost(prompt, 0, billed, expected, 0, 0, is_capped=True)
        choices = max(1, output // self._default)
        learned = free_output * choices
        reserved = learned if output else 0
        return _cost(prompt, reserved, billed, expected, choices, learned, is_capped=False)


def _cost(
    prompt: int,
    output: int,
    billed: int,
    expected: int,
    choices: int,
    expected_output: int,
    *,
    is_capped: bool,
) -> Cost:
    return Cost(
        prompt,
        output,
        counted_tokens=billed,
        expected_tokens=expected,
        choices=choices,
        is_capped=is_capped,
        expected_output_tokens=expected_output,
    )
