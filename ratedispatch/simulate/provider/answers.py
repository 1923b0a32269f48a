"""
The bodies of a provider's answers.

Decides shapes only: four endpoints, the list of models, the envelope of errors. Knows nothing
of limits, clocks or connections.
"""

from __future__ import annotations

import base64
import json
import struct
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any

from ratedispatch.request import CHAT, COMPLETIONS, EMBEDDINGS, MODERATIONS
from ratedispatch.simulate.provider.shaped_text import content_of

if TYPE_CHECKING:
    from ratedispatch.simulate.provider.calls import Call

#: An instant for fields that want one: answers must not depend on when a test runs.
CREATED = 1_750_000_000

#: Numbers in an embedding when the request does not say; few, since they are not examined.
_DIMENSIONS = 16

#: The JSON of a string, without the microsecond in which `json.dumps` finds out that it is one.
quoted = encode_basestring_ascii

_MODELS = ("gpt-6-luna", "gpt-5-mini", "gpt-4.1-mini", "gpt-4o-mini", "text-embedding-3-small")


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def error_body(
    message: str, *, kind: str, code: str | None = None, param: str | None = None
) -> bytes:
    """Return OpenAI's envelope of an error; *kind* is its ``type``."""
    return _dump({"error": {"message": message, "type": kind, "param": param, "code": code}})


def models_body() -> bytes:
    """Return the list of models: a few names, though every name is accepted."""
    return _dump(
        {
            "object": "list",
            "data": [
                {"id": name, "object": "model", "created": CREATED, "owned_by": "fake"}
                for name in _MODELS
            ],
        }
    )


def answer_body(call: Call, output_tokens: int, finish: str, number: int) -> bytes:
    """
    Return the answer to *call*, with ``usage``.

    Args:
        call: What was asked.
        output_tokens: Tokens reported for each of the ``n`` outputs.
        finish: ``stop`` or ``length``.
        number: The provider's running number of this request; it makes the ids.
    """
    if call.endpoint == CHAT:
        return _chat(call, output_tokens, finish, number)
    if call.endpoint == EMBEDDINGS:
        return _dump(_embeddings(call))
    if call.endpoint == MODERATIONS:
        return _dump(_moderations(call, number))
    if call.endpoint == COMPLETIONS:
        return _dump(_completions(call, output_tokens, finish, number))
    return _dump(response_object(call, output_tokens, finish, number))


def usage_of(call: Call, output_tokens: int) -> dict[str, Any]:
    """Return what a chat or a legacy completion of so many tokens an output has used."""
    output = output_tokens * call.outputs
    return {
        "prompt_tokens": call.prompt_tokens,
        "completion_tokens": output,
        "total_tokens": call.prompt_tokens + output,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def tool_call(function: str, arguments: str, number: int) -> dict[str, Any]:
    """Return the call of *function* as chat has it."""
    called = {"name": function, "arguments": arguments}
    return {"id": f"call_{number:024x}", "type": "function", "function": called}


def _chat(call: Call, output_tokens: int, finish: str, number: int) -> bytes:
    """Return what `_dump` would, put together by hand: nearly every answer is one of these."""
    text, function = content_of(call)
    content, more = quoted(text), ""
    if function:
        content = "null"
        more = f',"tool_calls":[{json.dumps(tool_call(function, text, number))}]'
        finish = "tool_calls" if finish == "stop" else finish
    choices = ",".join(
        f'{{"index":{index},"message":{{"role":"assistant","content":{content},"refusal":null{more}}},'
        f'"logprobs":null,"finish_reason":"{finish}"}}'
        for index in range(call.outputs)
    )
    output = output_tokens * call.outputs
    return (
        f'{{"id":"chatcmpl-{number:024x}","object":"chat.completion","created":{CREATED},'
        f'"model":{quoted(call.model)},"choices":[{choices}],"usage":{{'
        f'"prompt_tokens":{call.prompt_tokens},"completion_tokens":{output},'
        f'"total_tokens":{call.prompt_tokens + output},'
        '"prompt_tokens_details":{"cached_tokens":0},'
        '"completion_tokens_details":{"reasoning_tokens":0}},"service_tier":"default"}'
    ).encode()


def _completions(call: Call, output_tokens: int, finish: str, number: int) -> dict[str, Any]:
    text = content_of(call).text
    return {
        "id": f"cmpl-{number:024x}",
        "object": "text_completion",
        "created": CREATED,
        "model": call.model,
        "choices": [
            {
                "index": index,
                "text": text,
                "logprobs": None,
                "finish_reason": finish,
            }
            for index in range(call.outputs)
        ],
        "usage": usage_of(call, output_tokens),
    }


def response_object(call: Call, output_tokens: int, finish: str, number: int) -> dict[str, Any]:
    """Return the answer to *call* on ``/v1/responses``; arguments as of `answer_body`."""
    complete = finish == "stop"
    return {
        "id": f"resp_{number:048x}",
        "object": "response",
        "created_at": CREATED,
        "status": "completed" if complete else "incomplete",
        "error": None,
        "incomplete_details": None if complete else {"reason": "max_output_tokens"},
        "instructions": call.body.get("instructions"),
        "max_output_tokens": call.body.get("max_output_tokens"),
        "model": call.model,
        "output": [_output_item(call, "completed" if complete else "incomplete", number)],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "service_tier": "default",
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": call.prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": call.prompt_tokens + output_tokens,
        },
        "metadata": {},
    }


def _output_item(call: Call, status: str, number: int) -> dict[str, Any]:
    text, function = content_of(call)
    if function:
        return {
            "type": "function_call",
            "id": f"fc_{number:048x}",
            "call_id": f"call_{number:024x}",
            "name": function,
            "arguments": text,
            "status": status,
        }
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {
        "type": "message",
        "id": f"msg_{number:048x}",
        "status": status,
        "role": "assistant",
        "content": [part],
    }


def _embeddings(call: Call) -> dict[str, Any]:
    dimensions = call.body.get("dimensions")
    size = dimensions if isinstance(dimensions, int) and dimensions > 0 else _DIMENSIONS
    # what the SDK asks for unless told otherwise
    packed = call.body.get("encoding_format") == "base64"
    vectors = [_vector(call.row + index, size) for index in range(call.inputs)]
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": (
                    base64.b64encode(struct.pack(f"<{size}f", *vector)).decode()
                    if packed
                    else vector
                ),
            }
            for index, vector in enumerate(vectors)
        ],
        "model": call.model,
        "usage": {"prompt_tokens": call.prompt_tokens, "total_tokens": call.prompt_tokens},
    }


def _moderations(call: Call, number: int) -> dict[str, Any]:
    scores = {"harassment": 0.0, "violence": 0.0}
    result = {
        "flagged": False,
        "categories": dict.fromkeys(scores, False),
        "category_scores": scores,
    }
    return {"id": f"modr-{number}", "model": call.model, "results": [result] * call.inputs}


def _vector(seed: int, size: int) -> list[float]:
    """Return numbers within ±0.5 that differ from text to text, exact in single precision."""
    return [((seed * 31 + index * 7) % 4096) / 4096 - 0.5 for index in range(size)]
