"""
The errors of a gate, as errors of the openai package.

The SDK passes its own errors on untouched. Any other exception out of its http client it takes
for a broken connection and tries again, or lets through as something that no framework expects.
Imported when the first of them is raised, so that a gate needs no SDK.
"""

from __future__ import annotations

import openai

from ratedispatch import errors


class CostExceedsLimit(openai.OpenAIError, errors.CostExceedsLimit):
    """A call that no waiting can ever make fit into the limit."""


class InvalidLimits(openai.OpenAIError, errors.InvalidLimits):
    """A call to a model for which no limits are given."""


class DeadlineMissed(openai.OpenAIError, errors.DeadlineMissed):
    """A call that was not sent in the time that it may wait, or could not have been."""


_TWINS: dict[type[BaseException], type[openai.OpenAIError]] = {
    errors.CostExceedsLimit: CostExceedsLimit,
    errors.DeadlineMissed: DeadlineMissed,
    errors.InvalidLimits: InvalidLimits,
}


def as_openai_error(error: errors.RateDispatchError) -> Exception:
    """Return *error* as one that the SDK passes on; itself if it is one."""
    if isinstance(error, openai.OpenAIError):
        return error
    kind = _TWINS.get(type(error))
    if kind is None:
        return openai.OpenAIError(str(error))
    twin = kind.__new__(kind)
    twin.args = error.args
    twin.__dict__.update(error.__dict__)
    return twin
