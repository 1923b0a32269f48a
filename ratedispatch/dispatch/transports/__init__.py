"""Transports: the protocol, and those that send through the openai SDK or aiohttp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from ratedispatch.dispatch.transports.protocol import Transport


def as_transport(client: Any) -> Transport:
    """
    Return *client* itself if it is a transport, or a transport that sends through it.

    Raises:
        TypeError: *client* is neither an ``openai.AsyncOpenAI`` nor a transport.
    """
    if hasattr(client, "send"):
        return cast("Transport", client)
    import openai

    from ratedispatch.dispatch.transports.sdk import SdkTransport

    if isinstance(client, openai.AsyncOpenAI):
        return SdkTransport(client)
    raise TypeError(
        f"expected an openai.AsyncOpenAI or a transport with a send method, "
        f"got {type(client).__name__}; the blocking openai.OpenAI cannot be used"
    )
