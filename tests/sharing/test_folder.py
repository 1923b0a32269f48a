"""The folder of the files, and how they are opened: nothing of another user is followed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from ratedispatch.errors import SharingError
from ratedispatch.sharing.folder import open_file, open_folder, runtime_folder


def test_the_folder_and_its_files_are_for_this_user_alone(tmp_path: Path) -> None:
    """Whatever the umask says."""
    before = os.umask(0)
    try:
        os.close(open_file(tmp_path / "new", "x.limits"))
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / "x.limits").stat().st_mode & 0o777 == 0o600


def test_descriptors_are_not_inherited(tmp_path: Path) -> None:
    """A program that is started would keep the locks of this one."""
    fd = open_file(tmp_path, "x.limits")
    assert not os.get_inheritable(fd)
    os.close(fd)


def test_a_link_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    """Somebody else may have put it there."""
    (tmp_path / "elsewhere").mkdir(0o700)
    (tmp_path / "folder").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SharingError, match=r"folder: not a directory; set XDG_RUNTIME_DIR"):
        open_folder(tmp_path / "folder")


def test_a_link_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    """Nothing is written where it leads."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"dear")
    (tmp_path / "x.limits").symlink_to(victim)
    with pytest.raises(SharingError, match=r"x\.limits: too many levels of symbolic links"):
        open_file(tmp_path, "x.limits")
    assert victim.read_bytes() == b"dear"


def test_a_second_name_of_another_file_is_refused(tmp_path: Path) -> None:
    """A hard link is no way round."""
    victim = tmp_path / "victim"
    victim.touch(0o600)
    (tmp_path / "x.limits").hardlink_to(victim)
    with pytest.raises(SharingError, match="is not a file of this user with mode 0600"):
        open_file(tmp_path, "x.limits")


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    """Nor is it taken for a file."""
    os.mkfifo(tmp_path / "x.limits", 0o600)
    with pytest.raises(SharingError, match="is not a file of this user with mode 0600"):
        open_file(tmp_path, "x.limits")


@pytest.mark.parametrize("mode", [0o777, 0o750, 0o701])
def test_a_folder_that_is_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    """With the mode, and the command that corrects it."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder").chmod(mode)
    with pytest.raises(SharingError, match=rf"has mode {mode:04o}.*chmod 700 {tmp_path}/folder"):
        open_folder(tmp_path / "folder")


def test_a_file_that_is_open_to_others_is_refused(tmp_path: Path) -> None:
    """It might have been made by somebody else."""
    (tmp_path / "x.limits").touch(0o666)
    (tmp_path / "x.limits").chmod(0o666)
    with pytest.raises(SharingError, match="is not a file of this user with mode 0600"):
        open_file(tmp_path, "x.limits")


def test_a_folder_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder for all, a name can be taken by anybody."""
    user = os.getuid()
    open_folder(tmp_path / "folder")
    monkeypatch.setattr(os, "getuid", lambda: user + 1)
    with pytest.raises(SharingError, match=rf"belongs to user {user}, not to {user + 1}"):
        open_folder(tmp_path / "folder")


def test_a_folder_that_cannot_be_made_names_the_way_out(tmp_path: Path) -> None:
    """Read-only, or no folder at all above it."""
    with pytest.raises(SharingError, match=r"no such file or directory; set XDG.*redis"):
        open_folder(tmp_path / "not" / "there")


def test_a_file_system_that_is_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write anywhere, so that the system's answer is played here."""
    real = os.open

    def refuse(name: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_CREAT:
            raise OSError(30, "Read-only file system")
        return real(name, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(SharingError, match=r"x\.limits: read-only file system; set XDG"):
        open_file(tmp_path, "x.limits")


class TestRuntimeFolder:
    """Where all processes of this user look."""

    def test_the_variable_is_followed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As the standard for it says."""
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        assert runtime_folder() == tmp_path / "ratedispatch"

    @pytest.mark.parametrize("value", ["", "relative", "/not/there"])
    def test_otherwise_it_is_that_of_the_user_or_a_temporary_one(
        self, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A session without the variable finds the one with it."""
        monkeypatch.setenv("XDG_RUNTIME_DIR", value)
        monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
        user = os.getuid()
        theirs = Path(f"/run/user/{user}")
        wanted = theirs / "ratedispatch" if theirs.is_dir() else tmp_path / f"ratedispatch-{user}"
        assert runtime_folder() == wanted

    def test_the_variable_of_another_user_is_not(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """sudo -E keeps it; a folder of root there would be in the way of its user."""
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        user = os.getuid()
        monkeypatch.setattr(os, "getuid", lambda: user + 1)
        assert runtime_folder() != tmp_path / "ratedispatch"
