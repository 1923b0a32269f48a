"""Transports: the protocol, and those that send through the openai SDK or aiohttp."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

if TYPE_CHECKING:
    import openai

    from ratedispatch.dispatch.transports.protocol import Transport

#: What a program may send through, for those who check types.
Client: TypeAlias = "openai.AsyncOpenAI | Transport"


def as_transport(client: Client) -> Transport:
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
