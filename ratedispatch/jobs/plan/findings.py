"""Keeps the rows that cannot be sent for a plan, with a bound, and writes their messages."""

from __future__ import annotations

from ratedispatch.jobs.plan.model import Finding

#: Rows that cannot be sent of which a plan keeps the line and the reason; all are counted.
MOST_FINDINGS = 1_000

#: Pairs of endpoint and model that a plan tells apart; the others are counted together.
MOST_GROUPS = 1_000
#: The model of the group of those others.
OTHERS = "(other models)"

#: Characters of a name that are kept.
LONGEST_NAME = 200
_LONGEST_REASON = 500

#: Why a row cannot be sent, as `run` writes it to the errors file.
UNCOUNTABLE = "invalid_request"
TOO_LARGE = "cost_exceeds_limit"
UNLIMITED = "no_limits"


def finding_of(line: int, custom_id: str | None, code: str, message: str) -> Finding:
    """Return what is kept of a row that cannot be sent; long names and reasons are cut."""
    prefix = f"line {line}: "
    message = message if message.startswith(prefix) else prefix + message
    name = custom_id[:LONGEST_NAME] if custom_id is not None else None
    return Finding(line, name, code, message[:_LONGEST_REASON])


def without_limits(model: str) -> str:
    """Return why a row of *model* cannot be sent that no limits are for."""
    return (
        f"no group of limits names the model {model[:LONGEST_NAME]!r}, and there are no limits "
        f"for other models; name it in a group, or give limits under [default]"
    )
