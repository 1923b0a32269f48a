"""
Counts requests, and remembers counts of texts between them.

Finds the rules of the endpoint and the model, and lets the module of the endpoint weigh. Keeps the
names of the caller's own, the memory of texts, and the names that were warned about.
May be shared between threads.
"""

from __future__ import annotations

import functools
import os
import threading
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ratedispatch.errors import InvalidRequest
from ratedispatch.providers.openai import CHARGE as OPENAI
from ratedispatch.request import (
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    MODERATIONS,
    RESPONSES,
    Cost,
    Part,
    endpoint_like,
)
from ratedispatch.tokens import chat, fields, models, plain, responses
from ratedispatch.tokens.assumptions import Assumptions
from ratedispatch.tokens.fallback import estimate_text
from ratedispatch.tokens.images import Tiles
from ratedispatch.tokens.notices import (
    MissingVocabularyWarning,
    UnknownModelWarning,
    UnreadValueWarning,
)
from ratedispatch.tokens.text import TextCounter, count_text
from ratedispatch.tokens.token_count import ASSUMED, TEXTS, Scale, TokenCount
from ratedispatch.tokens.vocabulary import ENCODINGS, SHARED, Vocabulary
from ratedispatch.tokens.whole import weigh_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratedispatch.providers.charge import ChargePolicy
    from ratedispatch.tokens.calibration import Calibration

# a job has a handful of models; names beyond this are resolved again each time and not warned about
_MOST_NAMES = 1_000
_LONGEST_NAME = 1_000


_WEIGH: Mapping[str, Callable[[Mapping[str, Any], Scale], TokenCount]] = {
    CHAT: chat.weigh,
    RESPONSES: responses.weigh,
    EMBEDDINGS: plain.weigh_embeddings,
    COMPLETIONS: plain.weigh_completions,
}
#: What reads of a request how long its answer may be.
_READ_OUTPUT: Mapping[str, Callable[[Mapping[str, Any], TokenCount], None]] = {
    CHAT: chat.read_output,
    RESPONSES: responses.read_output,
    EMBEDDINGS: plain.no_output,
    COMPLETIONS: plain.read_output,
}
# OpenAI, moderation guide: "free to use"
_FREE = frozenset({MODERATIONS})


def _with_fidelity(scale: Scale, fidelity: object) -> Scale:
    images = scale.family.images
    if fidelity != "high" or not isinstance(images, Tiles):
        return scale
    family = replace(scale.family, images=replace(images, is_faithful=True))
    return replace(scale, family=family)


def _resolve_endpoint(endpoint: object) -> str:
    """Return the endpoint as the Batch file format writes it, for any path that ends like it."""
    endpoint = fields.text(endpoint, "endpoint")
    known = endpoint_like(endpoint)
    if known is not None:
        return known
    raise InvalidRequest(
        f"endpoint: expected one of {', '.join((*_WEIGH, *_FREE))}, got {endpoint[:100]!r}"
    )


class Counter:
    """
    Counts requests and remembers counts.

    Args:
        models: The caller's own names of models, with the model or encoding to count them as, for
            example ``{"my-deployment": "gpt-4o-mini"}``.
        assumptions: Values assumed for what a request does not state.
        memory: Maximum bytes of texts to remember, and the same for tools, for each encoding.
        vocabulary: The source of encodings; by default shared by the whole process.

    Attributes:
        warned: The kinds of warnings given so far.
    """

    def __init__(
        self,
        *,
        models: Mapping[str, str] | None = None,
        assumptions: Assumptions | None = None,
        memory: int = 16_000_000,
        vocabulary: Vocabulary = SHARED,
    ) -> None:
        self._overrides = dict(models or {})
        self._assumptions = assumptions or Assumptions()
        self._memory = memory
        self._vocabulary = vocabulary
        self._lock = threading.RLock()
        self._scales: dict[tuple[str, str | None], Scale] = {}
        self._counters: dict[str, TextCounter] = {}
        self._warned: set[str] = set()
        self.warned: set[type[Warning]] = set()
        self._has_met_unread = False  # one such value is told of, not each of a million rows

    def renew(self) -> None:
        """Forget what was counted, and take new locks, in a process that was forked."""
        self._lock = threading.RLock()
        self._scales, self._counters = {}, {}

    def check_model(self, model: str, endpoint: str = CHAT) -> None:
        """Warn of *model* as counting a request to *endpoint* would, without a vocabulary."""
        if endpoint in _WEIGH:
            self._family(model)

    def load(self, model: str, endpoint: str = CHAT) -> Callable[[str], int] | None:
        """
        Load what is needed to count requests of *model*; takes a quarter of a second the first
        time.

        Returns:
            What counts a text; None for an endpoint whose requests have no tokens.

        Raises:
            InvalidRequest: There is no such *endpoint*.
        """
        if endpoint not in _WEIGH and _resolve_endpoint(endpoint) in _FREE:
            return None
        return self._scale(model, None).count_once

    def count(
        self, body: Mapping[str, Any], endpoint: str = CHAT, *, encoding: str | None = None
    ) -> int:
        """
        Return the prompt tokens of *body*, a request to *endpoint*, as the tokenizer counts them.

        Raises:
            InvalidRequest: A field has the wrong type; the message names it.
            ValueError: There is no *encoding* of that name.
        """
        return sum(self._weigh(body, endpoint, encoding).parts.values())

    def estimate(
        self,
        body: Mapping[str, Any],
        endpoint: str = CHAT,
        *,
        default_output_tokens: int = 16,
        explain: bool = False,
        policy: ChargePolicy = OPENAI,
        encoding: str | None = None,
        calibration: Calibration | None = None,
    ) -> Cost:
        """
        Return the cost to reserve for *body*: its prompt as *policy* charges it, and its output.

        Args:
            body: The request.
            endpoint: Where it goes.
            default_output_tokens: Reserved for each choice when the request has no output cap.
            explain: Also give the reasons, which add up to the whole.
            policy: How the provider charges.
            encoding: Count with this encoding instead of the model's.
            calibration: What was learned from answers; corrects the count, and replaces
                *default_output_tokens*.

        Raises:
            InvalidRequest: A field has the wrong type; the message names it.
            ValueError: There is no *encoding* of that name, or *default_output_tokens* is no
                integer from 0 to 2**31 - 1.
        """
        if type(default_output_tokens) is not int or not (
            0 <= default_output_tokens <= fields.LARGEST
        ):
            fields.check_default(default_output_tokens)
        total = self._weigh(body, endpoint, encoding)
        counted = expected = sum(total.parts.values())
        if calibration is not None:
            model = body.get("model")
            expected, default_output_tokens = calibration.apply(
                model if isinstance(model, str) else "", counted
            )
        texts = 0
        for part, tokens in total.parts.items():
            if part in TEXTS:
                texts += tokens
        by_characters = 0
        if policy.characters_per_token is not None:
            by_characters = policy.by_characters(total.characters, total.messages)
        estimated = counted - texts + by_characters
        surplus = max(0, estimated - expected)
        expected_output = default_output_tokens if total.cap is None else total.cap
        expected_output *= total.choices
        output = expected_output if policy.output_up_front else 0
        assumed = 0
        if total.is_unread or not ASSUMED.isdisjoint(total.parts):  # seldom
            assumed = total.assumed
        reasons: tuple[Part, ...] = ()
        if explain:
            reasons = tuple(_reasons(total, expected - counted, surplus, output, policy))
        return Cost(
            expected + surplus,
            output,
            parts=reasons,
            counted_tokens=counted,
            expected_tokens=expected,
            choices=total.choices,
            is_capped=total.cap is not None,
            expected_output_tokens=expected_output,
            assumed_tokens=assumed,
            character_tokens=estimated if by_characters else 0,
        )

    def _weigh(self, body: Mapping[str, Any], endpoint: str, encoding: str | None) -> TokenCount:
        weigh = _WEIGH.get(endpoint) if isinstance(endpoint, str) else None
        if weigh is None:
            endpoint = _resolve_endpoint(endpoint)
            weigh = _WEIGH.get(endpoint)
        if encoding is not None and not isinstance(encoding, str):
            fields.refuse("encoding", "a string", encoding)
        if type(body) is not dict and not isinstance(body, Mapping):
            fields.refuse("body", "an object", body)
        model = body.get("model")
        if not isinstance(model, str):
            model = ""  # as where there is none: the server judges
        if weigh is None:  # nothing to count, and so no vocabulary to load
            return TokenCount(choices=0, cap=0)
        scale = self._scales.get((model, encoding)) or self._scale(model, encoding)
        if "input_fidelity" in body:
            scale = _with_fidelity(scale, body["input_fidelity"])
        try:
            total = weigh(body, scale)
        except RecursionError:
            raise InvalidRequest("body: nested too deeply to be counted") from None
        except InvalidRequest as error:
            total = weigh_whole(body, scale, _READ_OUTPUT[endpoint], error)
        if total.unread and not self._has_met_unread:
            self._has_met_unread = True
            self._warn_once(
                f"{total.unread[0]}; such values are sent unchanged and counted as JSON text",
                UnreadValueWarning,
            )
        return total

    def _scale(self, model: str, encoding: str | None) -> Scale:
        if encoding is None:
            family = self._family(model)
        else:  # one is given for models that are not in our tables
            family = replace(models.lookup(model) or models.DEFAULT, encoding=encoding)
        with self._lock:
            texts = self._text_counter(family.encoding)
            scale = Scale(family, texts.count, texts.count_once, texts.documents, self._assumptions)
            if len(self._scales) < _MOST_NAMES and len(model) < _LONGEST_NAME:
                self._scales[model, encoding] = scale
            return scale

    def _family(self, model: str) -> models.Family:
        like = self._overrides.get(model, model)
        if like in ENCODINGS:
            return replace(models.lookup(model) or models.DEFAULT, encoding=like)
        family = models.lookup(like)
        if family is None:
            name, family = models.lookup_within(like) or ("gpt-4o", models.DEFAULT)
            if model:
                self._warn_once(
                    f"model {model!r:.100} is not known; its tokens are counted as those of "
                    f"{name:.100}, with {family.encoding}, which is an approximation",
                    UnknownModelWarning,
                )
        return family

    def _text_counter(self, name: str) -> TextCounter:
        made = self._counters.get(name)
        if made is None:
            encoding = self._vocabulary.encoding(name)
            if encoding is not None:
                count_once = functools.partial(count_text, encoding.encode_ordinary)
            else:
                self._warn_once(
                    f"the rank file of {name} is neither packaged nor in tiktoken's cache; "
                    f"its counts are estimates, rather too high than too low",
                    MissingVocabularyWarning,
                )
                count_once = functools.partial(
                    estimate_text, self._text_counter("cl100k_base").count_once
                )
            made = TextCounter(count_once, self._memory)
            self._counters[name] = made
        return made

    def _warn_once(self, message: str, category: type[Warning]) -> None:
        with self._lock:
            if message in self._warned or len(self._warned) >= _MOST_NAMES:
                return
            self._warned.add(message)
            self.warned.add(category)
        warnings.warn(message, category, stacklevel=2)


#: Shared by the process, so that a caller that counts one request at a time need not hold a
#: Counter to have repeated texts counted once. It loads nothing before it is used.
DEFAULT = Counter()


def _renew() -> None:
    """After a fork: locks may be held by threads that stayed in the parent."""
    SHARED.renew()
    DEFAULT.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def _reasons(
    total: TokenCount, correction: int, surplus: int, output: int, policy: ChargePolicy
) -> list[Part]:
    reasons = [Part(part, tokens) for part, tokens in total.parts.items() if tokens]
    if correction:
        reasons.append(Part("calibration", correction, "as this job's answers were billed"))
    if surplus:
        reasons.append(
            Part("characters", surplus, f"{policy.name} estimates by characters, which is more")
        )
    if output:
        cap = "no cap given" if total.cap is None else total.caps
        reasons.append(Part("output", output, f"{cap}, × {total.choices}"))
    return reasons
