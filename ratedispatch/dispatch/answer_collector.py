"""
Collects what the events of an answer contain: text, usage, its end, an error.

Pure. Reads decoded JSON and the SDK's objects alike. Knows the chunks of chat completions and of
completions, and the events of a response, of which the last one holds it all.
Source: OpenAI's API reference, "Streaming".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratedispatch.request import COMPLETIONS, RESPONSES, endpoint_like

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Events that hold a whole response, and how it ended.
_LAST = frozenset({"response.completed", "response.incomplete", "response.failed"})


class AnswerCollector:
    """
    The sum of the events of one answer.

    Args:
        endpoint: The endpoint of its request.

    Attributes:
        is_whole: Whether the answer has ended.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint_like(endpoint)
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._head: dict[str, Any] = {}
        self._reason: str | None = None
        self._usage: Any = None
        self._response: Any = None
        self.is_whole = False

    def read(self, event: Any) -> Mapping[str, Any] | None:
        """Take in *event*; return the error in it, if it is one."""
        kind = _field(event, "type")
        error = _field(event, "error")
        if error or kind == "error":
            return _error_in(event if not error or error is True else error)
        if kind in _LAST:
            self._response = _field(event, "response")
            self.is_whole = True
        elif self._endpoint != RESPONSES:
            self._read_chunk(event)
        return None

    def _read_chunk(self, event: Any) -> None:
        groq = _field(event, "x_groq")
        self._usage = _field(event, "usage") or _field(groq, "usage") or self._usage
        if not self._head:
            self._head = {name: _field(event, name) for name in ("id", "created", "model")}
        for choice in _field(event, "choices") or ():
            reason = _field(choice, "finish_reason")
            if reason is not None:
                self.is_whole = reason != "error"
            if not _field(choice, "index"):  # the first one
                self._reason = reason or self._reason
                delta = _field(choice, "delta")
                text = _field(choice, "text") if delta is None else _field(delta, "content")
                if isinstance(text, str):
                    self._texts.append(text)
                refusal = _field(delta, "refusal")
                if isinstance(refusal, str):
                    self._refusals.append(refusal)

    def body(self) -> dict[str, Any]:
        """
        Return what the answer amounts to, as its endpoint gives it in one piece.

        Of chats and completions the text of the first choice alone: whoever wants the calls of
        tools has had them as events.
        """
        if self._response is not None:
            whole: dict[str, Any] = _plain(self._response)
            return whole
        text = "".join(self._texts)
        said: dict[str, Any] = {"message": {"role": "assistant", "content": text}}
        if self._refusals:
            said["message"]["refusal"] = "".join(self._refusals)
        if self._endpoint == COMPLETIONS:
            said = {"text": text}
        choice = {"index": 0, **said, "finish_reason": self._reason}
        return {**self._head, "choices": [choice], "usage": _plain(self._usage)}


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)


def _plain(value: Any) -> Any:
    """Return *value*, or the object that it is, as JSON has it."""
    dump = getattr(value, "to_dict", None)
    return value if dump is None else dump(mode="json")


def _error_in(value: Any) -> Mapping[str, Any]:
    plain = _plain(value)
    return plain if isinstance(plain, dict) else {"message": str(plain)}
