"""
The tables ``[[pool]]`` of the file of ``--limits``: one for each member of a pool.

Decides what the tables may contain. The command that sends reads the keys from the variables and
checks the base URLs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ratedispatch.cli.limits_table import OF_LIMITS, LimitTables, show
from ratedispatch.dispatch.pool import Member, Pool
from ratedispatch.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from ratedispatch.jobs.plan.prices import Price
    from ratedispatch.limits import Limits

_TEXTS = ("name", "base_url", "api_key_env", "account")
_OF_MEMBER = (*_TEXTS, "models", *OF_LIMITS, "max_in_flight", "price")
_OF_PRICE = ("input", "output")


@dataclass(frozen=True, slots=True)
class MemberTable:
    """
    A member as the file has it, without a client.

    Args:
        member: Its name, limits, models, account, bound and price; the name is never empty.
        base_url: Where it is; empty for OpenAI's.
        api_key_env: The variable that holds its key; empty for that of ``--api-key-env``.
    """

    member: Member
    base_url: str
    api_key_env: str


@dataclass(frozen=True, slots=True)
class MemberTables:
    """All members of a pool; they make sense together."""

    tables: tuple[MemberTable, ...]

    def __iter__(self) -> Iterator[MemberTable]:
        return iter(self.tables)

    def pool(self, client_of: Callable[[MemberTable], Any]) -> Pool:
        """Return the pool of the clients that *client_of* gives."""
        clients = {one.member.name: client_of(one) for one in self}
        members = {one.member.name: one.member for one in self}
        return Pool(
            Member(
                clients[name],
                one.limits,
                name,
                one.models,
                one.account,
                one.max_in_flight,
                one.price,
            )
            for name, one in members.items()
        )

    @property
    def limits(self) -> Limits:
        """What all members together may spend."""
        return self.pool(lambda _: None).limits

    @property
    def price(self) -> Price | None:
        """The highest price that a member asks for; None unless all have one of their own."""
        from ratedispatch.jobs.plan.price_book import dearest_of

        return dearest_of(one.member.price for one in self)  # type: ignore[misc]


def members_in(path: Path, tables: Mapping[str, Any]) -> MemberTables:
    """
    Return the members of the pool in *tables*, the content of the file *path*.

    Raises:
        JobError: There is an unknown key or a wrong value, or the members make no sense together.
    """
    return _Members(path).members(tables)


class _Members(LimitTables):
    """Turns the tables of members into values."""

    def members(self, tables: Mapping[str, Any]) -> MemberTables:
        """Return the members; raise JobError for a mistake."""
        others = ", ".join(f"[{key}]" for key in tables if key != "pool")
        if others:
            self.refuse(f"[[pool]] and {others} cannot be in the same file: each member of a pool "
            f"has limits for all models")  # fmt: skip
        given = tables["pool"]
        if not isinstance(given, list) or not given:
            self.refuse("pool must be written as [[pool]], once for each member")
        made = MemberTables(tuple(self._member(n, one) for n, one in enumerate(given, 1)))
        try:
            Pool(one.member for one in made)
        except ValueError as error:
            self.refuse(str(error))
        return made

    def _member(self, number: int, given: object) -> MemberTable:
        values = self.table(f"[[pool]] number {number}", given)
        name = values.get("name", "")
        title = f"[[pool]] {name!r:.80}" if name else f"[[pool]] number {number}"
        self.check_keys(title, values, _OF_MEMBER)
        for key in _TEXTS:
            text = values.get(key, "")
            if not isinstance(text, str) or not text.isprintable() or (key in values and not text):
                self.refuse(f"{title} {key} must be a string, not {show(text)}")
        member = Member(
            None,
            self.limits(title, values),
            name or str(number),
            self._models(title, values.get("models")),
            values.get("account", ""),
            self.most_in_flight(title, values),
            self._price(title, values.get("price")),
        )
        return MemberTable(member, values.get("base_url", ""), values.get("api_key_env", ""))

    def _models(self, title: str, given: object) -> dict[str, str] | None:
        if given is None:
            return None
        models = self.table(f"{title} models", given)
        if not all(isinstance(name, str) and name for name in models.values()):
            self.refuse(
                f"{title} models must give the name of each model at this member, such as "
                f'models = {{ "gpt-4o" = "my-deployment" }}'
            )
        return models

    def _price(self, title: str, given: object) -> Price | None:
        if given is None:
            return None
        from ratedispatch.jobs.plan.prices import Price

        values = self.table(f"{title} price", given)
        self.check_keys(f"{title} price", values, _OF_PRICE)
        try:
            amounts = [values[key] for key in _OF_PRICE]
            if any(isinstance(one, bool) or not isinstance(one, int | float) for one in amounts):
                raise TypeError
            return Price(title, float(amounts[0]), float(amounts[1]))
        except KeyError as error:
            self.refuse(f"{title} price has no {error.args[0]}; input and output are needed, "
                        f"in USD per million tokens")  # fmt: skip
        except TypeError:
            self.refuse(f"{title} price must be numbers, in USD per million tokens")
        except ValueError as error:
            self.refuse(f"{title} price: {error}")


def refuse_beside(tables: MemberTables, flags: Mapping[str, object]) -> None:
    """
    Refuse *flags* that were given, of which each member has its own.

    Raises:
        JobError: One was given.
    """
    given = [name for name, value in flags.items() if value is not None]
    if given:
        names = ", ".join(one.member.name for one in tables)
        raise JobError(
            f"{' and '.join(given)} and a pool cannot be used together: each member ({names}) "
            f"has its own in the limits file"
        )
