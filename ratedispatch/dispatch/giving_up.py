"""
The code and the reason with which a circuit breaker gives a route up, in the server's own words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratedispatch.dispatch.streak import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ratedispatch.outcome import Interpretation

#: The code of a stop because of refusals for the rate, which are no failures.
REFUSED = "refused"

#: The code of a stop, where the failure does not say it.
_CODES: Mapping[Kind, str] = {
    Kind.UNREACHABLE: "unreachable",
    Kind.SERVER: "outage",
    Kind.REQUEST: "all_failed",
    Kind.UNPAID: "quota",
}


def code_of(kind: Kind, result: Interpretation) -> str:
    """Return the code of a stop after a failure of *kind* with *result*."""
    return _CODES.get(kind, result.code)


def reason_of(kind: Kind, result: Interpretation, waited: float, rows: int) -> str:
    """
    Return why a route is given up.

    Args:
        kind: The kind of the last failure.
        result: The last failure.
        waited: Seconds since the first one.
        rows: Requests in a row that were not taken.
    """
    said = _said(result)
    if kind is Kind.SERVER:
        return f"nothing was answered for {waited:,.0f} s; the last failure: {said}"
    if kind is Kind.REQUEST:
        return f"{rows:,} requests failed one after another and none was answered: {said}"
    return said


def reason_of_refusals(result: Interpretation, waited: float) -> str:
    """Return why a route is given up that has only refused, *result* the last time."""
    refused = f"nothing was answered for {waited:,.0f} s, and all requests were refused"
    return f"{refused}; the last refusal: {_said(result)}"


def _said(result: Interpretation) -> str:
    return result.message or result.code
