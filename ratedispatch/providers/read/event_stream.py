"""
Puts a stream of events together to the answer that it would have been in one piece.

Pure. Some gateways stream whatever they are asked; what comes is whole and paid for. Reads
server-sent events and lines of JSON: the chunks of chat completions and of completions, and the
events of a response, of which the last one holds it all. An error among them is kept. A stream
that breaks off is none.

Sources: WHATWG HTML, "Server-sent events" (the format); OpenAI's API reference, "Streaming"
(chunks, and ``response.completed``).
"""

from __future__ import annotations

import re
from typing import Any

from ratedispatch import _json

_LINE_END = re.compile(r"\r\n|\n|\r")
_FIELDS = ("data:", "event:", "id:", "retry:", ":")
_DONE = "[DONE]"

#: Characters in which a stream shows that it is one.
_HEAD_LENGTH = 200

#: Events that hold a whole response, and how it ended.
_LAST = frozenset({"response.completed", "response.incomplete", "response.failed"})

#: Fields of the chunks that describe the whole answer.
_HEAD = ("id", "created", "model", "system_fingerprint", "service_tier", "provider")

#: What the object of a chunk is called where it comes in one piece.
_PIECES = {"chat.completion.chunk": "chat.completion"}

#: Texts of a message that stand only in its first chunk.
_ONCE = frozenset({"role", "id", "type", "name", "object"})


def looks_streamed(text: str) -> bool:
    """Return whether *text* begins as a stream does."""
    head = text[:_HEAD_LENGTH].lstrip("\ufeff \r\n\t")
    return head.startswith((*_FIELDS, "{"))


def read_stream(text: str) -> dict[str, Any] | None:
    """Return the JSON object that the stream *text* amounts to; None if it is not a whole one."""
    events, is_done = _events(text)
    if not events:
        return None
    broken = next((event for event in events if _is_error(event)), None)
    for event in reversed(events):
        if event.get("type") in _LAST and isinstance(event.get("response"), dict):
            return dict(event["response"])
    if any(_is_chunk(event) for event in events):
        return _joined(events, broken, is_done=is_done)
    if broken is not None:
        return broken if broken.get("error") else {"error": broken}
    # one event that is the whole answer
    is_one = len(events) == 1 and "type" not in events[0] and "data:" in text[:_HEAD_LENGTH]
    return events[0] if is_one else None


def _events(text: str) -> tuple[list[dict[str, Any]], bool]:
    """The objects of the events, and whether the last one said that it was the last."""
    events: list[dict[str, Any]] = []
    is_done, name = False, ""
    data: list[str] = []
    for line in (*_LINE_END.split(text.lstrip("\ufeff")), ""):
        if line.startswith("data:"):
            data.append(line[5:].strip())
        elif line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("{"):  # no event, but a line of JSON
            _take(line, "", events)
        elif not line.strip():
            is_done = is_done or _DONE in data
            # a server that leaves out the empty lines has an object on each line
            if not _take("\n".join(data), name, events):
                for part in data:
                    _take(part, name, events)
            data, name = [], ""
    return events, is_done


def _take(text: str, name: str, events: list[dict[str, Any]]) -> bool:
    """Add the object in *text*, of an event called *name*; return whether it could be read."""
    if not text or text == _DONE:
        return True
    try:
        value = _json.loads(text.encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return False
    if isinstance(value, dict):
        if name == "error" and not value.get("error"):
            value = {"error": value}
        elif name in _LAST:
            value.setdefault("type", name)
        events.append(value)
    return True


def _is_error(event: dict[str, Any]) -> bool:
    return (
        bool(event.get("error")) or event.get("type") == "error" or event.get("object") == "error"
    )


def _is_chunk(event: dict[str, Any]) -> bool:
    return isinstance(event.get("choices"), list) and event.get("object") != "chat.completion"


def _joined(
    events: list[dict[str, Any]], broken: dict[str, Any] | None, *, is_done: bool
) -> dict[str, Any] | None:
    """The answer that chunks amount to; with the error among them, if there is one."""
    body: dict[str, Any] = {}
    choices: dict[int, _Choice] = {}
    for event in events:
        for name in _HEAD:
            if body.get(name) is None and event.get(name) is not None:
                body[name] = event[name]
        kind = event.get("object")
        if isinstance(kind, str):
            body.setdefault("object", _PIECES.get(kind, kind))
        parts = event.get("choices")
        for place, part in enumerate(parts if isinstance(parts, list) else ()):
            if isinstance(part, dict):
                index = part.get("index")
                choices.setdefault(index if type(index) is int else place, _Choice()).add(part)
        groq = event.get("x_groq")
        for usage in (event.get("usage"), groq.get("usage") if isinstance(groq, dict) else None):
            if isinstance(usage, dict):
                body["usage"] = usage  # the last one counts them all
    is_whole = bool(choices) and all(choice.has_ended for choice in choices.values())
    body["choices"] = [choices[index].value(index) for index in sorted(choices)]
    if broken is not None and not is_whole:
        body["error"] = broken.get("error") or broken
        for choice in body["choices"]:
            choice["finish_reason"] = "error"
        return body
    # without its end it is not known what is missing
    return body if is_whole or (is_done and choices) else None


class _Choice:
    """One choice, of which the parts come one after the other."""

    def __init__(self) -> None:
        self.reason: Any = None
        self._message: dict[str, Any] | None = None
        self._texts: list[str] = []
        self._fields: dict[str, Any] = {}
        self._joiner = _Joiner()

    @property
    def has_ended(self) -> bool:
        """Whether it has come to an end, and not by an error."""
        return self.reason is not None and self.reason != "error"

    def add(self, part: dict[str, Any]) -> None:
        """Take the next part."""
        for name, value in part.items():
            if value is None:
                continue
            if name == "finish_reason":
                self.reason = value
            elif name == "message" and isinstance(value, dict):
                self._message = value
            elif name == "delta" and isinstance(value, dict):
                self._joiner.add(value)
            elif name == "text" and isinstance(value, str):
                self._texts.append(value)
            elif name == "logprobs" and isinstance(value, dict):
                _extend(self._fields.setdefault(name, {}), value)
            elif name != "index":
                self._fields[name] = value

    def value(self, index: int) -> dict[str, Any]:
        """Return the choice as it would have come in one piece."""
        message = self._message or self._joiner.value()
        said = {"text": "".join(self._texts)} if self._texts else {"message": message}
        return {"index": index, **said, **self._fields, "finish_reason": self.reason}


class _Joiner:
    """An object whose texts come in pieces."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self._lists: dict[str, dict[int, _Joiner]] = {}
        self._inner: dict[str, _Joiner] = {}
        self._plain: dict[str, Any] = {}

    def add(self, delta: dict[str, Any], levels: int = 4) -> None:
        """Take the next piece of each field of *delta*."""
        for name, value in delta.items():
            if isinstance(value, str):
                texts = self._texts.setdefault(name, [])
                if name not in _ONCE or (value and not texts):
                    texts.append(value)
            elif isinstance(value, dict) and levels:
                self._inner.setdefault(name, _Joiner()).add(value, levels - 1)
            elif isinstance(value, list) and levels and _are_numbered(value):
                items = self._lists.setdefault(name, {})
                for item in value:
                    items.setdefault(item["index"], _Joiner()).add(item, levels - 1)
            elif isinstance(value, list) and isinstance(known := self._plain.get(name), list):
                known.extend(value)
            elif name != "index" and (value is not None or name not in self._plain):
                self._plain[name] = list(value) if isinstance(value, list) else value

    def value(self) -> dict[str, Any]:
        """Return the object."""
        value = dict(self._plain)
        value |= {name: "".join(texts) for name, texts in self._texts.items()}
        value |= {name: inner.value() for name, inner in self._inner.items()}
        for name, items in self._lists.items():
            value[name] = [items[index].value() for index in sorted(items)]
        return value


def _are_numbered(items: list[Any]) -> bool:
    """Whether *items* are pieces of the items of a list, each with its place: calls of tools."""
    return bool(items) and all(
        isinstance(item, dict) and type(item.get("index")) is int for item in items
    )


def _extend(fields: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, list) and isinstance(fields.get(name), list):
            fields[name].extend(value)
        else:
            fields[name] = list(value) if isinstance(value, list) else value
