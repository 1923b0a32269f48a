"""
A transport for requests that stand for rows: to a provider that knows what each row costs.

The provider decides as behind a real socket. Answers hold nothing but their usage, since nobody
reads them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ratedispatch.outcome import Response
from ratedispatch.simulate.forecast.row_counter import SILENT
from ratedispatch.simulate.provider.calls import DEFAULT_OUTPUT, Call
from ratedispatch.simulate.provider.provider import Provider
from ratedispatch.simulate.transport import ProviderTransport, Visit

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from ratedispatch.request import Request
    from ratedispatch.simulate.forecast.scene import Scene
    from ratedispatch.simulate.forecast.workload import Workload
    from ratedispatch.simulate.provider.reply import Reply

#: What every answer says.
_CHOICES = [{"message": {"content": "a"}, "finish_reason": "stop"}]

_NO_HEADERS: Mapping[str, str] = {}


class RowTransport(ProviderTransport):
    """
    Sends the rows of a workload to the provider of a scene.

    Must be made while the loop runs.

    Args:
        workload: The rows.
        scene: With the provider, and how far it is.
        rng: Draws lengths, latencies and faults.
        spend: Called for each request: lets the time pass that it takes the processor.
    """

    def __init__(
        self, workload: Workload, scene: Scene, rng: random.Random, spend: Callable[[], None]
    ) -> None:
        self._spend = spend
        now = asyncio.get_running_loop().time()
        self.provider = Provider(scene.provider, rng=rng, now=now, count=_nothing, answer=_empty)
        self._referees = ()
        self._travel = scene.travel
        self._rows = workload
        self._default = scene.default_output_tokens
        self._by_characters = scene.provider.charge == "characters"

    async def _arrive(self, request: Request, body: Mapping[str, Any]) -> Visit:
        del body
        self._spend()
        if self._travel:
            await asyncio.sleep(self._travel)
        now = asyncio.get_running_loop().time()
        row = request.row
        assert row is not None
        reply = self.provider.serve(lambda: self._call(row), _NO_HEADERS, now)
        return Visit(self.provider, (), reply, now)

    def _call(self, row: int) -> Call:
        """Return what *row* asks for, as the provider counts it."""
        rows = self._rows
        kind = rows.kinds[rows.kind[row]]
        cap, output = rows.cap[row], rows.output[row]
        prompt = rows.prompt[row] if self._by_characters else rows.billed[row]
        if kind.endpoint in SILENT:
            outputs, reserved = 1, 0
        elif cap:
            outputs, reserved = max(1, output // cap), cap
        else:
            outputs, reserved = max(1, output // max(1, self._default)), DEFAULT_OUTPUT
        return Call(
            kind.endpoint, kind.model, {}, prompt, reserved, outputs, 1, row, "",
            is_capped=cap > 0,
        )  # fmt: skip

    def _response(self, reply: Reply) -> Response:
        if reply.kind != "answer" or reply.call is None:
            return super()._response(reply)
        prompt = reply.call.prompt_tokens
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": reply.actual - prompt,
            "total_tokens": reply.actual,
        }
        return Response(reply.status, reply.headers, {"choices": _CHOICES, "usage": usage})


def _nothing(body: Mapping[str, Any], endpoint: str) -> int:
    """Do nothing: there is no body to count."""
    raise AssertionError((body, endpoint))


def _empty(call: Call, output_tokens: int, finish: str, number: int) -> bytes:
    """Write no answer."""
    del call, output_tokens, finish, number
    return b""
