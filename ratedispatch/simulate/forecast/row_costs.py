"""
Computes what the engine and the provider charge for the rows of a workload, as arrays.
"""

from __future__ import annotations

from array import array
from operator import add
from typing import TYPE_CHECKING

from ratedispatch.pacing.limit.account import BY_TOKENS
from ratedispatch.simulate.forecast.row_counter import SILENT
from ratedispatch.simulate.forecast.workload import MOST_TOKENS
from ratedispatch.simulate.provider.calls import DEFAULT_OUTPUT
from ratedispatch.tokens.calibration import Calibration

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.pacing.limit.charge_rule import ChargeRule
    from ratedispatch.simulate.forecast.scene import Scene
    from ratedispatch.simulate.forecast.workload import Workload

#: Stands for the cap of a row that names none.
UNCAPPED = 2**32 - 1


class RowCosts:
    """
    What each row costs, by its number.

    Args:
        workload: The rows.
        scene: How they are charged.

    Attributes:
        kind: The kind of each.
        kinds: How many kinds there are.
        sizes: What the engine expects each to be charged.
        charges: What the provider charges.
        prompts: Tokens that the provider bills for the prompt of each.
        has_free: Whether there are rows that name no cap.
        caps: The most tokens of each of its outputs; 0 where it generates nothing, `UNCAPPED`
            where it names none.
        outputs: How many outputs each has; None if each has one.
    """

    __slots__ = (
        "_asked",
        "_by_tokens",
        "_calibration",
        "_models",
        "_workload",
        "caps",
        "charges",
        "has_free",
        "kind",
        "kinds",
        "outputs",
        "prompts",
        "sizes",
    )

    def __init__(self, workload: Workload, scene: Scene) -> None:
        self._workload = workload
        self._by_tokens: array[int] | None = None
        self._calibration: Calibration | None = None
        self._asked = -1, 0  # the row without a cap that was counted last, and what is reserved
        self.has_free = False
        self._models = [one.model for one in workload.kinds]
        self.kind, self.kinds = workload.kind, len(workload.kinds)
        self.sizes = array("I", map(add, workload.prompt, workload.output))
        by_characters = scene.provider.charge == "characters"
        self.prompts = workload.prompt if by_characters else workload.billed
        self.caps = workload.cap
        self.outputs: array[int] | None = None
        is_silent = [one.endpoint in SILENT for one in workload.kinds]
        if workload.output != workload.cap or any(is_silent):
            self._fit(workload, is_silent, scene.default_output_tokens)
        else:
            self.charges = self.sizes
            if self.prompts != workload.prompt:
                self.charges = array("I", map(add, self.prompts, workload.output))

    def output(self, row: int) -> int:
        """
        Return what is reserved for the output of *row*.

        Of a row without a cap that is what is known when it is counted: when it is asked for first.
        """
        reserved = self._workload.output[row]
        if self._calibration is None or not reserved or self.caps[row] != UNCAPPED:
            return reserved
        if row != self._asked[0]:
            assert self.outputs is not None
            model = self._models[self.kind[row]]
            learned = self._calibration.output_tokens(model) * self.outputs[row]
            self._asked = row, learned
        return self._asked[1]

    def parts(self, row: int) -> tuple[int, int, int]:
        """Return the prompt of *row* by tokens and as a limit is charged, and its output."""
        rows = self._workload
        return rows.billed[row], rows.prompt[row], self.output(row)

    def sizes_by(self, rule: ChargeRule | None) -> Callable[[int], int]:
        """Return what tells the size of a row by *rule*; None for that of the beginning."""
        rows = self._workload
        prompts = rows.billed if rule is not None and rule.prompt == BY_TOKENS else rows.prompt
        is_reserved = rule is None or rule.output
        if not is_reserved:
            return prompts.__getitem__
        if self._calibration is not None:
            return lambda row: prompts[row] + self.output(row)
        if rule is None or prompts is rows.prompt:
            return self.sizes.__getitem__
        found = self._by_tokens
        if found is None:
            found = self._by_tokens = array("I", map(add, prompts, rows.output))
        return found.__getitem__

    def learn(self, row: int, length: int) -> None:
        """Take in that the outputs of *row*, which names no cap, had *length* tokens each."""
        if self._calibration is not None and self.caps[row] == UNCAPPED:
            model = self._models[self.kind[row]]
            self._calibration.learn(model, counted=0, billed=0, output=length, choices=1, cut=False)

    def _fit(self, workload: Workload, is_silent: list[bool], default: int) -> None:
        """Do the same for rows of several outputs, of none, and without a cap."""
        caps, outputs, charged = array("I"), array("I"), array("I")
        for kind, prompt, output, cap in zip(
            workload.kind, self.prompts, workload.output, workload.cap, strict=True
        ):
            reserved = 0 if is_silent[kind] else cap or DEFAULT_OUTPUT
            count = 1 if is_silent[kind] else max(1, output // max(1, cap or default))
            caps.append(reserved if cap or not reserved else UNCAPPED)
            outputs.append(count)
            charged.append(prompt + min(reserved * count, MOST_TOKENS))
        self.caps, self.outputs, self.charges = caps, outputs, charged
        if UNCAPPED in caps:
            self.has_free = True
            self._calibration = Calibration(default)
        elif charged == self.sizes:
            self.charges = self.sizes
