"""openai-agents: takes a client as the default of all its models."""

from __future__ import annotations

from agents import (
    Agent,
    Runner,
    set_default_openai_api,
    set_default_openai_client,
    set_tracing_disabled,
)

from benchmarks.drop_in.doors.account import MODEL, async_client


class Door:
    """An agent without tools."""

    def __init__(self, url: str, is_paced: bool) -> None:
        set_tracing_disabled(True)
        set_default_openai_api("chat_completions")
        set_default_openai_client(async_client(url, is_paced), use_for_tracing=False)
        self._agent = Agent(name="one", model=MODEL)

    async def ask(self, text: str) -> str:
        """Return the answer to *text*."""
        return str((await Runner.run(self._agent, text)).final_output)

    async def stream(self, text: str) -> str:
        """Return the same, from a stream."""
        answer = Runner.run_streamed(self._agent, text)
        async for _ in answer.stream_events():
            pass
        return str(answer.final_output)
