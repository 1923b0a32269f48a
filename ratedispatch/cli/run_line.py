"""
Makes the first line of a run in its event log: what was started, and how.

Decides what may be written there: no flag values that may hold texts of rows, and no passwords in
addresses.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import click

from ratedispatch.groups import LimitGroups
from ratedispatch.jobs.state.origin import origin_of
from ratedispatch.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Flags whose values are texts that are sent.
_TEXTS = frozenset({"prompt", "system", "param"})

#: The placeholder for such a text.
_LEFT_OUT = "[text]"


def run_line(account: object, origin: str) -> dict[str, Any]:
    """
    Return the fields of the line.

    Args:
        account: The limits, or the members of a pool.
        origin: The name of the server.
    """
    context = click.get_current_context(silent=True)
    return {
        "version": release(),
        "command": "" if context is None else context.command.name,
        "flags": {} if context is None else _flags(context),
        "limits": [_limits(name, models, limits) for name, models, limits in _parts(account)],
        "server": origin,
    }


def release() -> str:
    """Return the version of this program; empty if it is run from its source."""
    try:
        return version("ratedispatch")
    except PackageNotFoundError:
        return ""


def _flags(context: click.Context) -> dict[str, Any]:
    """Return the values that were given, by flag; not those that are defaults."""
    default = click.core.ParameterSource.DEFAULT
    found = {}
    for one in context.command.params:
        name = one.name
        if name is None or name not in context.params:
            continue
        if context.get_parameter_source(name) is default:
            continue
        flag = next((opt for opt in one.opts if opt.startswith("--")), name.upper())
        found[flag] = _LEFT_OUT if name in _TEXTS else _plain(context.params[name])
    return found


def _plain(value: Any) -> Any:
    """Return *value* as JSON has it."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return [f"{name}={_plain(one)}" for name, one in value.items()]
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    text = str(getattr(value, "name", value)) if not hasattr(value, "__fspath__") else str(value)
    return (origin_of(text) or _LEFT_OUT) if "://" in text else text


def _parts(account: object) -> Iterable[tuple[str, list[str], Limits]]:
    """Yield the name, the models and the limits of each group or member; one without a name."""
    if isinstance(account, Limits):
        yield "", [], account
    elif isinstance(account, LimitGroups):
        if account.default is not None:
            yield "", [], account.default
        for group in account.groups:
            yield group.name, list(group.models), group.limits
    else:
        for table in account:  # type: ignore[attr-defined]
            yield table.member.name, list(table.member.models or ()), table.member.limits


def _limits(name: str, models: list[str], limits: Limits) -> dict[str, Any]:
    rates = {
        rate.dimension: "auto" if rate.is_auto else round(rate.limit, 3) for rate in limits.rates()
    }
    return {"group": name, "models": models, **rates, "burst_s": limits.burst_seconds}
