"""
Asks for the rows of a Ray dataset, and keeps one limit for all actors of a cluster.

``rd.ray.map`` and ``rd.ray.limiter``. Needs the extra ``ray``; importing this needs nothing.
"""

from __future__ import annotations

from ratedispatch.ray.mapping import map_dataset as map  # noqa: A004  (rd.ray.map, as rd says)
from ratedispatch.ray.ray_limiter import Limiter, limiter
from ratedispatch.ray.ray_options import MapOptions

__all__ = ["Limiter", "MapOptions", "limiter", "map"]
