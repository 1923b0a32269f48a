"""
Where memory is kept: in a folder of the user's, or in the process.

`StateFolder` keeps a file for each account in the XDG state folder, and never raises if something
is wrong with it: it reports that once, and the run continues without memory. `HeldMemory` keeps the
same facts in the process, for users without files.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ratedispatch.dimension import DAY
from ratedispatch.memory.account_names import name_of, place_of, seal_of, secret_in
from ratedispatch.memory.fact_file import Account, DamagedMemory, change_account, read_account
from ratedispatch.memory.facts import SPENT, TUNING, Fact, fresh, merged
from ratedispatch.memory.remembered import Remembered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

#: Seconds of the wall clock, by which what is kept grows old; nothing is paced by it.
wall_clock = time.time  # noqa: TID251 - a day is over although no process ran

#: Accounts that are kept, those that were used last.
_MOST_ACCOUNTS = 256

#: Entries of the folder that are examined.
_MOST_ENTRIES = 10_000


class AccountMemory(Protocol):
    """What is kept of one account, for one run."""

    def recall(self) -> Remembered:
        """Return what is known when a run begins."""

    def keep(self, found: Callable[[float], Iterable[Fact]]) -> None:
        """Keep the facts that *found* returns for an instant of the wall clock."""


class Memory(Protocol):
    """What is kept of all accounts."""

    def of(self, base_url: str | None, digest: bytes, group: str) -> AccountMemory | None:
        """
        Return what is kept of an account; None if it has no name.

        Args:
            base_url: The server.
            digest: What stands for the key that is paid with there.
            group: A group of models; empty for all.
        """


class HeldMemory:
    """
    Memory that ends with the process.

    Args:
        clock: The wall clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = wall_clock) -> None:
        self._clock = clock
        self._accounts: dict[tuple[str, bytes, str], HeldAccount] = {}

    def of(self, base_url: str | None, digest: bytes, group: str) -> HeldAccount:
        """Return what is kept of an account."""
        place = (place_of(base_url), digest, group)
        account = self._accounts.get(place)
        if account is None:
            account = self._accounts[place] = HeldAccount(self._clock)
        return account


class HeldAccount:
    """What a `HeldMemory` has of one account."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._own: dict[str, Fact] = {}
        self.facts: list[Fact] = []

    def recall(self) -> Remembered:
        """As `AccountMemory`."""
        now = self._clock()
        self.facts = fresh(self.facts, now)
        self._own = _spent_in(self.facts)
        return Remembered(self.facts, now)

    def keep(self, found: Callable[[float], Iterable[Fact]]) -> None:
        """As `AccountMemory`."""
        now = self._clock()
        self.facts = merged(self.facts, found(now), self._own, now)


def _spent_in(facts: Iterable[Fact]) -> dict[str, Fact]:
    return {fact.of: fact for fact in facts if fact.kind == SPENT}


def state_path(environment: Mapping[str, str]) -> Path | None:
    """Return where the program keeps its state; None if the user has no folder for it."""
    state = environment.get("XDG_STATE_HOME", "")
    if state.startswith("/"):  # the specification ignores others
        return Path(state) / "ratedispatch"
    try:
        return Path.home() / ".local" / "state" / "ratedispatch"
    except RuntimeError:  # no such user
        return None


def memory_for(wish: Memory | bool | str | os.PathLike[str]) -> Memory | None:
    """Return the memory that is requested: a folder, or the user's state folder for True."""
    if isinstance(wish, str | os.PathLike):
        return StateFolder(Path(wish), _warn)
    if not isinstance(wish, bool):
        return wish
    path = state_path(os.environ) if wish else None
    return None if path is None else StateFolder(path, _warn)


def _warn(sentence: str) -> None:
    warnings.warn(sentence, RuntimeWarning, stacklevel=2)


class StateFolder:
    """
    Memory in files, one for each account.

    Args:
        path: The folder; it is made when it is needed.
        tell: Told once, in a sentence, what is wrong with it.
        clock: The wall clock, in seconds.
        on_recall: Called with what is known of an account that is begun with.
    """

    def __init__(
        self,
        path: Path,
        tell: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = wall_clock,
        *,
        on_recall: Callable[[Remembered], None] = lambda _: None,
    ) -> None:
        self.path = path
        self.on_recall = on_recall
        self._tell = tell
        self._clock = clock
        self._has_told = False
        self._has_pruned = False
        self._secret: bytes | None = None

    @property
    def _folder(self) -> Path:
        return self.path / "accounts"

    def of(self, base_url: str | None, digest: bytes, group: str) -> FiledAccount | None:
        """Return what is kept of an account; None if its server has no name, or on errors."""
        place = place_of(base_url)
        if not place:
            return None
        try:
            self._open()
            assert self._secret is not None
            name = name_of(seal_of(digest, self._secret), place, group)
        except (OSError, AttributeError) as error:  # no scrypt in this Python
            self.complain(f"what is learned is not saved; {self._folder}: {_reason(error)}")
            return None
        return FiledAccount(self, self._folder / f"{name}.json", place, group[: TUNING.most_name])

    def complain(self, sentence: str) -> None:
        """Tell *sentence*, unless something was told already."""
        if not self._has_told:
            self._has_told = True
            self._tell(sentence)

    def now(self) -> float:
        """Return the wall clock's seconds."""
        return self._clock()

    def accounts(self) -> list[Account]:
        """Return all accounts with what still counts of them; those used last first."""
        now = self._clock()
        found = []
        for path in self._files():
            with contextlib.suppress(OSError, DamagedMemory):
                account = read_account(path)
                if account is not None:
                    facts = tuple(fresh(account.facts, now))
                    found.append(Account(account.name, account.place, account.group, facts))
        return sorted(found, key=lambda one: -max([fact.at for fact in one.facts], default=0.0))

    def forget(self, names: Iterable[str] | None = None) -> int:
        """
        Remove the accounts called *names*, or all, with the secret; return how many.

        Raises:
            OSError: One cannot be removed.
        """
        wanted = None if names is None else set(names)
        count = 0
        for path in list(self._files()):
            if wanted is None or path.stem in wanted:
                path.unlink(missing_ok=True)
                count += 1
        if wanted is None:
            (self.path / "secret").unlink(missing_ok=True)
            self._secret = None
        return count

    def prune(self) -> None:
        """Remove files that nobody will ask for: too old, too many, or left by a killed process."""
        if self._has_pruned:
            return
        self._has_pruned = True
        now = self._clock()
        oldest = now - TUNING.account_days * DAY
        with contextlib.suppress(OSError):
            ages = sorted(((path.stat().st_mtime, path) for path in self._files()), reverse=True)
            for number, (at, path) in enumerate(ages):
                if number >= _MOST_ACCOUNTS or at < oldest:
                    path.unlink(missing_ok=True)
            for path in self._entries():
                if path.name.startswith(".") and path.lstat().st_mtime < now - DAY:
                    path.unlink(missing_ok=True)

    def _open(self) -> None:
        """Make the folder, and read its secret; once."""
        if self._secret is not None:
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        is_others = hasattr(os, "getuid") and self.path.stat().st_uid != os.getuid()
        if is_others:
            raise OSError(f"{self.path} belongs to another user")
        self._secret = secret_in(self.path)

    def _files(self) -> Iterator[Path]:
        for path in self._entries():
            if path.suffix == ".json" and not path.name.startswith("."):
                yield path

    def _entries(self) -> Iterator[Path]:
        try:
            with os.scandir(self._folder) as entries:
                for number, entry in enumerate(entries):
                    if number >= _MOST_ENTRIES:
                        return
                    if stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
                        yield Path(entry.path)
        except (FileNotFoundError, NotADirectoryError):
            return


class FiledAccount:
    """
    What a `StateFolder` has of one account.

    Args:
        folder: The folder.
        path: The file.
        place: The server.
        group: The group of models.
    """

    def __init__(self, folder: StateFolder, path: Path, place: str, group: str) -> None:
        self._folder = folder
        self._path = path
        self._place = place
        self._group = "".join(filter(str.isprintable, group))
        self._own: dict[str, Fact] = {}

    def recall(self) -> Remembered:
        """As `AccountMemory`; a file that cannot be read is told, and counts as none."""
        now = self._folder.now()
        try:
            account = read_account(self._path)
        except (OSError, DamagedMemory) as error:
            self._folder.complain(f"what was learned is not used; {self._path}: {_reason(error)}")
            account = None
        facts = [] if account is None else fresh(account.facts, now)
        self._own = _spent_in(facts)
        remembered = Remembered(facts, now)
        self._folder.on_recall(remembered)
        return remembered

    def keep(self, found: Callable[[float], Iterable[Fact]]) -> None:
        """As `AccountMemory`; a file that cannot be written is told, once."""
        now = self._folder.now()
        facts = list(found(now))
        if not facts:
            return

        def change(known: Account | None) -> Account:
            """Return what is kept from now on."""
            there = () if known is None else known.facts
            both = tuple(merged(there, facts, self._own, now))
            return Account(self._path.stem, self._place, self._group, both)

        try:
            change_account(self._path, change)
            self._folder.prune()
        except (OSError, DamagedMemory) as error:
            self._folder.complain(f"what is learned is not saved; {self._path}: {error}")


def _reason(error: Exception) -> str:
    """Return what *error* says, without its number and path."""
    return getattr(error, "strerror", None) or str(error)
