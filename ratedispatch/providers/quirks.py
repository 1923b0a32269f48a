"""
The places where a provider's errors differ from what is common.

Holds functions and data that the modules of the providers fill in and `read` loops over. Gateways
pass on each other's errors, so the quirks of all providers apply to every error body.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratedispatch.limits import Reading
    from ratedispatch.outcome import Decision
    from ratedispatch.providers.read.error_body import ErrorBody
    from ratedispatch.providers.read.refusal import Refusal

Headers = Mapping[str, str]


def _nothing(*_: object) -> None:
    return None


def _no_readings(*_: object) -> tuple[Reading, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Quirks:
    """
    What is particular to the errors of one provider. None of the functions raises.

    Args:
        quota_codes: Codes or types after which no request succeeds until the account is paid for
            or its limit is raised.
        quota_texts: Parts of messages that mean the same where the code does not say it.
        statuses: The HTTP status that a code or type stands for inside an answer with status 200.
        classify: Returns decision and code for a status and an error; None leaves both to the
            common rules.
        read_refusal: Returns the numbers in the text of a refusal; None if the text is not in
            the provider's form.
        refused_dimension: Returns the limit that refused; None if the error does not say.
        refused_limits: Returns readings of the buckets that refused.
        delay: Returns the seconds to wait that a field of the error names.
        reset_delay: Returns the seconds until the limit is reset; asked last.
        window_end: Returns the seconds until the limit is reset, for a provider whose
            ``retry-after`` is always its whole window: the earlier of the two counts.
        retry_after: Other names of the header ``retry-after``.
    """

    quota_codes: frozenset[str] = frozenset()
    quota_texts: tuple[str, ...] = ()
    statuses: Mapping[str, int] = field(default_factory=dict)
    classify: Callable[[int, ErrorBody], tuple[Decision, str] | None] = _nothing
    read_refusal: Callable[[str], Refusal | None] = _nothing
    refused_dimension: Callable[[ErrorBody], str | None] = _nothing
    refused_limits: Callable[[ErrorBody, Headers], tuple[Reading, ...]] = _no_readings
    delay: Callable[[ErrorBody], float | None] = _nothing
    reset_delay: Callable[[ErrorBody, Headers], float | None] = _nothing
    window_end: Callable[[ErrorBody, Headers], float | None] = _nothing
    retry_after: tuple[str, ...] = ()
