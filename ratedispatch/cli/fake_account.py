"""The account of ``--fake``: a fake server with the limits of the run."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ratedispatch.cli.pool_file import MemberTables
    from ratedispatch.dispatch.pool import Member
    from ratedispatch.groups import LimitGroups
    from ratedispatch.limits import Limits

#: The limits of the server where the run has to learn a limit.
FAKE_RPM = 3_000
FAKE_TPM = 2_000_000

#: Variables that the interpreter, its libraries and the system need; none of them holds a key.
_NEEDED = frozenset(
    {"PATH", "HOME", "LANG", "TMPDIR", "TEMP", "TMP", "TIKTOKEN_CACHE_DIR", "VIRTUAL_ENV"}
    | {"SYSTEMROOT", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "PATHEXT"}
)
_NEEDED_BEGINS = ("PYTHON", "LC_", "LD_", "DYLD_")

FAKE_KEY = "fake-key-of-the-fake-server"


@contextlib.contextmanager
def endpoint(
    limits: Limits | LimitGroups | MemberTables, base_url: str | None, *, fake: bool
) -> Iterator[str | None]:
    """Yield the base URL to use; with *fake*, that of a server that runs during the block."""
    if not fake:
        yield base_url
        return
    from ratedispatch.simulate.server.child import FakeServerProcess

    server = FakeServerProcess("--no-config", *fake_flags(limits), env=_plain_environment())
    with _without_proxies(), server:
        yield server.base_url


def _plain_environment() -> dict[str, str]:
    """Return what a Python process needs of the environment, and no key."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _NEEDED or name.startswith(_NEEDED_BEGINS)
    }


@contextlib.contextmanager
def _without_proxies() -> Iterator[None]:
    """Remove proxies from the environment: the fake server is on this machine."""
    before = {name: os.environ[name] for name in os.environ if name.lower().endswith("_proxy")}
    for name in before:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(before)


def fake_key(member: Member) -> str:
    """Return the key of the account of *member* at the fake server."""
    name = f"account {member.account}" if member.account else f"member {member.name}"
    return f"fake-key-{name.encode().hex()}"


def fake_flags(limits: Limits | LimitGroups | MemberTables) -> list[str]:
    """
    Return the flags of a fake server with *limits*.

    It supports limits of models but not of groups, so each name in a group gets all limits of the
    group. Each account of a pool has a key, and the limits per minute of its members.
    """
    from ratedispatch.cli.pool_file import MemberTables
    from ratedispatch.groups import LimitGroups

    if isinstance(limits, MemberTables):
        members = [one.member for one in limits]
        keys = {fake_key(one): "{}:{}".format(*_fake_rates(one.limits)) for one in members}
        return [word for key, rates in keys.items() for word in ("--key", f"{key}={rates}")]
    if not isinstance(limits, LimitGroups):
        return _fake_account(limits)
    flags = [] if limits.default is None else _fake_account(limits.default)
    for group in limits.groups:
        rates = "{}:{}".format(*_fake_rates(group.limits))
        for pattern in group.models:
            flags += ["--model", f"{pattern}={rates}"]
    return flags


def _fake_account(limits: Limits) -> list[str]:
    rpm, tpm = _fake_rates(limits)
    flags = ["--rpm", rpm, "--tpm", tpm]
    for flag, dimension in (("--rpd", "requests_per_day"), ("--tpd", "tokens_per_day")):
        known = limits.known(dimension)
        if known is not None:
            flags += [flag, f"{known:.6f}"]
    return flags


def _fake_rates(limits: Limits) -> tuple[str, str]:
    rpm = limits.known("requests") or FAKE_RPM
    tpm = limits.known("tokens") or FAKE_TPM
    return f"{rpm:.6f}", f"{tpm:.6f}"
