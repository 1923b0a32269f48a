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
    other: object = client
    if hasattr(other, "send"):
        return cast("Transport", other)
    import openai

    from ratedispatch.dispatch.transports.sdk import SdkTransport

    if isinstance(other, openai.AsyncOpenAI):
        return SdkTransport(other)
    kind = type(other).__name__
    text = f"expected an openai.AsyncOpenAI or a transport with a send method, got {kind}"
    if isinstance(other, openai.OpenAI):
        text += (
            ", which blocks; give an AsyncOpenAI (in a program without an event loop, to a "
            "SyncDispatcher), or pace the client itself with ratedispatch.wrap"
        )
    raise TypeError(text)
