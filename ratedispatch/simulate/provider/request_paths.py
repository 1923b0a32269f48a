"""
Where a request is sent: OpenAI's paths, and Azure's two kinds.

Decides which endpoint a path means, and whether it names the model. Knows nothing of bodies.
Follows: Azure OpenAI's reference, ``/openai/deployments/NAME/…?api-version=…`` and
``/openai/v1/…``.
"""

from __future__ import annotations

import functools
from typing import NamedTuple
from urllib.parse import parse_qs, unquote

from ratedispatch.simulate.provider.calls import Problem

_AZURE = "/openai/"
_DEPLOYMENTS = "/openai/deployments/"


class Target(NamedTuple):
    """
    What a path means.

    Args:
        endpoint: With ``/v1`` in front, without a query.
        deployment: The model, where the path names it; empty where the body does.
    """

    endpoint: str
    deployment: str = ""


# a server is asked the same few paths all the time
@functools.lru_cache(maxsize=256)
def target_of(path: str) -> Target:
    """
    Return what *path* means, with or without ``/v1`` and with or without a query.

    Raises:
        Problem: 404 for a path of Azure's that lacks its ``api-version``.
    """
    path, _, query = path.partition("?")
    if not path.startswith(_AZURE):
        return Target(path if path.startswith("/v1/") else "/v1" + path)
    if path.startswith("/openai/v1/"):
        return Target(path.removeprefix("/openai"))
    if not parse_qs(query).get("api-version"):
        raise Problem(404, "Resource not found", code="404")
    if not path.startswith(_DEPLOYMENTS):
        return Target("/v1/" + path.removeprefix(_AZURE))
    name, _, rest = path.removeprefix(_DEPLOYMENTS).partition("/")
    return Target("/v1/" + rest, unquote(name))
