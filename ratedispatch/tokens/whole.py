"""
Weighs a request that cannot be read, as its JSON text.

Counting estimates, and the server judges: a value of an unknown shape is no reason to send nothing.
Base64 within it weighs what it is, as elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratedispatch.errors import InvalidRequest
from ratedispatch.tokens.parts import weigh_document
from ratedispatch.tokens.token_count import TokenCount

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ratedispatch.tokens.token_count import Scale


def weigh_whole(
    body: Mapping[str, Any],
    scale: Scale,
    read_output: Callable[[Mapping[str, Any], TokenCount], None],
    error: InvalidRequest,
) -> TokenCount:
    """
    Return the weight of *body*, a field of which could not be read.

    Args:
        body: The request.
        scale: What it is weighed with.
        read_output: Takes in what its answer may have, by the rules of its endpoint.
        error: What could not be read.

    Raises:
        InvalidRequest: It is *error*, which names a field: *body* is not JSON, or too deep.
    """
    total = TokenCount(is_unread=True)
    try:
        weigh_document(body, "body", scale, total)
    except InvalidRequest:
        raise error from None
    total.messages = 1
    read_output(body, total)
    total.unread.append(str(error))
    return total
