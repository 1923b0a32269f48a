"""
Limits for some models and other limits for others.

Tells which limits the name of a model falls under. Values only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ratedispatch.errors import InvalidLimits

if TYPE_CHECKING:
    from ratedispatch.limits import Limits


@dataclass(frozen=True, slots=True)
class LimitGroup:
    """
    Models that share limits.

    Args:
        name: The name of the group in messages and reports; not empty.
        models: Names of models; ``*`` at the end stands for any ending: ``gpt-4.1-mini*``.
        limits: The limits that all of them share.
        max_in_flight: Maximum number of their requests in flight; None for no separate maximum.

    Raises:
        InvalidLimits: The name or a model is empty, there are no models, a ``*`` stands before
            the end of one, or *max_in_flight* is below 1.
    """

    name: str
    models: tuple[str, ...]
    limits: Limits
    max_in_flight: int | None = None

    def __post_init__(self) -> None:
        if not self.name:
            raise InvalidLimits("a group of limits has an empty name; give it one")
        models: object = self.models
        if isinstance(models, str):  # the comma of a tuple of one is easily forgotten
            raise InvalidLimits(
                f"group {self.name!r}: models must be a tuple of names, such as "
                f"({models!r},), not a string"
            )
        if not self.models:
            raise InvalidLimits(f"group {self.name!r} has no models; name at least one")
        for pattern in self.models:
            if not pattern:
                raise InvalidLimits(f"group {self.name!r}: the name of a model is empty")
            if "*" in pattern[:-1]:
                raise InvalidLimits(
                    f"group {self.name!r}: {pattern!r} has a * before its end; "
                    f"a * can only stand at the end, as in 'gpt-4.1*'"
                )
        if self.max_in_flight is not None and self.max_in_flight < 1:
            raise InvalidLimits(
                f"group {self.name!r}: max_in_flight must be at least 1, not {self.max_in_flight}"
            )

    def matches(self, model: str) -> bool:
        """Whether this group names *model*."""
        return self.closeness(model) is not None

    def closeness(self, model: str) -> int | None:
        """
        Return how closely a pattern of this group matches *model*; None if none does.

        A full name is closer than any prefix, and a longer prefix is closer than a shorter one.
        """
        if model in self.models and not model.endswith("*"):
            return len(model) + 1
        prefixes = (pattern[:-1] for pattern in self.models if pattern.endswith("*"))
        return max((len(prefix) for prefix in prefixes if model.startswith(prefix)), default=None)


@dataclass(frozen=True, slots=True)
class LimitGroups:
    """
    The limits of an account that limits models separately.

    Args:
        groups: At least one; no two groups have the same name or a pattern in common.
        default: The limits that all other models share; None if their requests cannot be sent.

    Raises:
        InvalidLimits: There is no group, or two have a name or a pattern in common.
    """

    groups: tuple[LimitGroup, ...]
    default: Limits | None = None

    def __post_init__(self) -> None:
        if not self.groups:
            raise InvalidLimits("there is no group of limits; name at least one")
        names: set[str] = set()
        owners: dict[str, str] = {}
        for group in self.groups:
            if group.name in names:
                raise InvalidLimits(f"two groups of limits are called {group.name!r}; rename one")
            names.add(group.name)
            for pattern in group.models:
                owner = owners.setdefault(pattern, group.name)
                if owner != group.name:
                    raise InvalidLimits(
                        f"the model {pattern!r} is in the groups {owner!r} and {group.name!r}; "
                        f"leave it in one"
                    )

    def group_of(self, model: str) -> str:
        """
        Return the name of the group that names *model* most closely; empty if none does.

        The whole name goes before any prefix, and a longer prefix before a shorter one.
        """
        name, best = "", -1
        for group in self.groups:
            closeness = group.closeness(model)
            if closeness is not None and closeness > best:
                name, best = group.name, closeness
        return name

    def limits_of(self, name: str) -> Limits:
        """
        Return the limits of the group called *name*; those of the other models if it is empty.

        Raises:
            InvalidLimits: There is no such group, or nothing is set for the other models.
        """
        for group in self.groups:
            if group.name == name:
                return group.limits
        if not name and self.default is not None:
            return self.default
        wanted = f"the group {name!r}" if name else "models that no group names"
        known = ", ".join(repr(group.name) for group in self.groups)
        raise InvalidLimits(f"there are no limits for {wanted}, only for {known}")

    def most_in_flight(self, name: str) -> int | None:
        """Return the maximum number in flight that the group *name* sets, if any."""
        return next((group.max_in_flight for group in self.groups if group.name == name), None)
