"""What a round of the benchmark of sharing has: a folder, a store, fake servers and a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.live.parts.shared_member import Place
from ratedispatch.simulate.server.child import FakeServerProcess

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.live.parts.fleet import Redis

#: Seconds that the server takes for an answer.
LATENCY = 0.3

_SHALLOW = ("--burst-seconds", "1", "--latency", str(LATENCY))


class Scene:
    """
    What a round has: a folder, a place to share at, and a seed.

    Args:
        folder: Empty, and gone afterwards.
        redis: The server, if it is by Redis.
        seed: Of all chance.
    """

    def __init__(self, folder: Path, redis: Redis | None, seed: int) -> None:
        self.folder = folder
        self.redis = redis
        self.seed = seed
        self.store = "local" if redis is None else "redis"
        self.share = "local" if redis is None else redis.url

    def server(self, *flags: str) -> FakeServerProcess:
        """Return a fake server, not started yet."""
        return FakeServerProcess(*_SHALLOW, "--seed", str(self.seed), *flags)

    def place(self, name: str) -> Place:
        """Return where processes of the round *name* share."""
        return Place(self.store, str(self.folder) if self.redis is None else self.redis.url, name)


def judged(stats: dict[str, Any]) -> dict[str, Any]:
    """Return what every round tells of the server's *stats*."""
    return {
        "sent": stats["arrived"],
        "refused_share": round(stats["refused_share"], 5),
        "above_limit": round(max(0.0, stats["excess"]["offered"]["requests"] or 0.0), 1),
    }
