"""
Says what a job was made from, and how another job differs from it. Values only.

What may change between two runs of a job, such as its limits, is not in the manifest.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from ratedispatch.jobs.state.scan import Scan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.jobs.inputs.template import Template
    from ratedispatch.jobs.shard import Shard

_FORMAT = 2

_LONGEST_VALUE = 60

#: With more rows whose name is there already, the input is looked through again.
_MOST_DUPLICATES = 10_000


@dataclass(frozen=True, slots=True)
class Manifest:
    """
    What a job is made from.

    Args:
        input: The name of the input.
        size: Bytes of its lines.
        rows: How many rows it has.
        sha256: The digest of its lines.
        template: What makes requests of its rows, by the names of the flags; empty for requests.
        output_format: ``jsonl``, ``csv`` or ``parquet``.
        billed_twice: Attempts of earlier runs that may have been billed a second time, as far as
            the journal that follows does not tell.
        scan: What was found in the input, so that it need not be looked through again.
        errors: Where failed rows go, seen from the folder of the job file.
        is_rewriting: Whether result files that fit a changed input lie beside those there are,
            and are to be put in their place.
        origin: The server that answers come from; empty if it is not known.
        shard: Which of the rows are this job's, as ``3/16``; empty if all are.
    """

    input: str
    size: int
    rows: int
    sha256: str
    template: Mapping[str, Any] = field(default_factory=dict)
    output_format: str = "jsonl"
    billed_twice: int = 0
    scan: Scan | None = None
    errors: str = ""
    is_rewriting: bool = False
    origin: str = ""
    shard: str = ""

    def to_line(self) -> bytes:
        """Return it as a line of JSON."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["template"] = dict(self.template)
        scan = values.pop("scan")
        values["survey"] = None if scan is None else scan.as_dict()
        return json.dumps({"format": _FORMAT, **values}).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Manifest:
        """
        Return the manifest on *line*.

        Raises:
            ValueError: The line is not a manifest.
        """
        value = json.loads(line)
        try:
            if value.pop("format") != _FORMAT:
                raise ValueError("another format")
            found = value.pop("survey", None)
            known = cls(**value, scan=None if found is None else Scan.from_dict(found))
            if not isinstance(known.sha256, str) or not isinstance(known.size, int):
                raise ValueError("no digest")
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(str(error)) from error
        return known

    def has_input_of(self, other: Manifest) -> bool:
        """Whether both have the same rows."""
        return (self.size, self.sha256) == (other.size, other.sha256)

    def known_scan(self, template: Template | None) -> Scan | None:
        """Return what was found in the input, if it would be examined in the same way now."""
        return self.scan if self.template == settings_of(template) else None

    def differences(self, now: Manifest) -> list[str]:
        """Return in words how *now* differs from this one, but for the input."""
        found = []
        for name in sorted({*self.template, *now.template}):
            before, after = self.template.get(name), now.template.get(name)
            if before != after:
                found.append(f"{name} was {_short(before)} and is {_short(after)}")
        if self.errors != now.errors:
            found.append(f"--errors-file was {self.errors} and is {now.errors}")
        return found


def manifest_of(
    name: str,
    scan: Scan,
    template: Template | None,
    output_format: str,
    errors: str = "",
    origin: str = "",
    shard: Shard | None = None,
) -> Manifest:
    """Return the manifest of a job."""
    has_few = len(scan.duplicates) <= _MOST_DUPLICATES
    return Manifest(
        name,
        scan.size,
        scan.rows,
        scan.digest,
        settings_of(template),
        output_format,
        scan=scan if has_few else None,
        errors=errors,
        origin=origin,
        shard=str(shard or ""),
    )


def settings_of(template: Template | None) -> dict[str, Any]:
    """Return what a template says, by the names of the flags; nothing without one."""
    if template is None:
        return {}
    return {
        "--prompt": template.prompt,
        "--system": template.system,
        "--model": template.model,
        "--max-tokens": template.max_tokens,
        "--id-column": template.id_column,
        **{f"--param {key}": value for key, value in template.parameters.items()},
    }


def template_of(settings: Mapping[str, Any]) -> Template | None:
    """
    Return the template that *settings* were made of; None if there was none.

    Raises:
        JobError: No valid template has these settings.
    """
    if not settings:
        return None
    from ratedispatch.jobs.inputs.template import Template  # its packages are needed for it only

    known = {name: settings.get(f"--{name}") for name in ("system", "max-tokens", "id-column")}
    prefix = "--param "
    return Template(
        settings.get("--prompt") or "",
        model=settings.get("--model") or "",
        parameters={
            name.removeprefix(prefix): value
            for name, value in settings.items()
            if name.startswith(prefix)
        },
        **{name.replace("-", "_"): value for name, value in known.items()},
    )


def _short(value: Any) -> str:
    if value is None:
        return "not given"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
