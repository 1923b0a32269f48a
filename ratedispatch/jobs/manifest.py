"""
What a job was made from, and in what another one differs from it.

Values only. What may change between two runs of a job, such as its limits or the address of the
server, is not in here.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.inputs.template import Template
    from ratedispatch.jobs.survey import Survey

_FORMAT = 2

_LONGEST_VALUE = 60


@dataclass(frozen=True, slots=True)
class Manifest:
    """
    What a job is made from.

    Args:
        input: The name of the input.
        size: Bytes of its lines.
        rows: How many rows it has.
        blake2b: The digest of its lines.
        template: What makes requests of its rows, by the names of the flags; empty for requests.
        output_format: ``jsonl``, ``csv`` or ``parquet``.
        billed_twice: Attempts of former runs that may have been billed a second time, as far as
            the journal that follows does not tell.
    """

    input: str
    size: int
    rows: int
    blake2b: str
    template: Mapping[str, Any] = field(default_factory=dict)
    output_format: str = "jsonl"
    billed_twice: int = 0

    def to_line(self) -> bytes:
        """Return it as a line of JSON."""
        return json.dumps({"format": _FORMAT, **asdict(self)}).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Manifest:
        """
        Return the manifest on *line*.

        Raises:
            ValueError: It is none.
        """
        value = json.loads(line)
        try:
            if value.pop("format") != _FORMAT:
                raise ValueError("another format")
            known = cls(**value)
            if not isinstance(known.blake2b, str) or not isinstance(known.size, int):
                raise ValueError("no digest")
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(str(error)) from error
        return known

    def has_input_of(self, other: Manifest) -> bool:
        """Whether both have the same rows."""
        return (self.size, self.blake2b) == (other.size, other.blake2b)

    def differences(self, now: Manifest) -> list[str]:
        """Return in words how *now* differs from this one, but for the input."""
        found = []
        for name in sorted({*self.template, *now.template}):
            before, after = self.template.get(name), now.template.get(name)
            if before != after:
                found.append(f"{name} was {_short(before)} and is {_short(after)}")
        if self.output_format != now.output_format:
            found.append(f"--output-format was {self.output_format} and is {now.output_format}")
        return found

    def renewed(self, now: Manifest) -> Manifest:
        """Return *now*, with what is remembered of former runs."""
        return replace(now, billed_twice=self.billed_twice)


def manifest_of(
    name: str, survey: Survey, template: Template | None, output_format: str
) -> Manifest:
    """Return the manifest of a job."""
    settings: dict[str, Any] = {}
    if template is not None:
        settings = {
            "--prompt": template.prompt,
            "--system": template.system,
            "--model": template.model,
            "--max-tokens": template.max_tokens,
            "--id-column": template.id_column,
            **{f"--param {key}": value for key, value in template.parameters.items()},
        }
    return Manifest(name, survey.size, survey.rows, survey.digest, settings, output_format)


def _short(value: Any) -> str:
    if value is None:
        return "not given"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
