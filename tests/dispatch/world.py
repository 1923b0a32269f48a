"""A provider, a dispatcher and virtual time, for tests of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratedispatch.request import Request
from ratedispatch.simulate.play import Played
from ratedispatch.simulate.play import play as play_against
from ratedispatch.simulate.settings import ProviderSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ratedispatch.groups import LimitGroups
    from ratedispatch.limits import Limits


def chat(name: int | str, words: int = 1, cap: int = 16, model: str = "gpt-4o") -> Request:
    """Return a small chat request with a custom_id."""
    return Request.chat(
        model=model,
        messages=[{"role": "user", "content": f"{name} " + "word " * words}],
        max_tokens=cap,
        custom_id=str(name),
    )


def play(
    requests: Iterable[Request],
    limits: Limits | LimitGroups,
    provider: ProviderSettings | None = None,
    *,
    seed: int = 1,
    **options: Any,
) -> Played:
    """Play with the events kept, and with no bound on the number in flight unless told."""
    options.setdefault("max_in_flight", 10_000)
    return play_against(
        requests,
        limits,
        provider or ProviderSettings(),
        seed=seed,
        keeps_events=True,
        **options,
    )
