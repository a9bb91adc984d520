"""Replaces a small file that another program reads at its start: the former one or the new one, never a part, also when
this process ends or the disk is full in between. Blocks: for a thread.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from state.host.regular import opened
from state.host.trust import account_name, offence

NEW = 0o644
"""The mode of a file that was not there: the balancer may be started by another account."""


class NotReplaced(Exception):
    """Nothing was changed, and why."""


class NotDurable(Exception):
    """The file is another one, and may be the former one again after a loss of power."""


def obstacle(path: str, begins: bytes = b"") -> str:
    """Why a file would not be replaced, empty where nothing is seen that stands against it."""
    try:
        with _folder(path) as (descriptor, name):
            _former(descriptor, name, path, begins)
    except NotReplaced as error:
        return str(error)
    except OSError as error:
        return f"{error.filename or path}: {error.strerror}"
    folder = os.path.dirname(path)
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"{folder} may not be written by this account"


def replace_file(path: str, content: bytes, begins: bytes = b"") -> None:
    """Give a file this content, durably; owner, group and mode stay. One that is neither empty nor begins like this is
    somebody's other file, whoever named it. Raises NotDurable; or NotReplaced or OSError, with which it has its former
    content."""
    with _folder(path) as (descriptor, name):
        was = _former(descriptor, name, path, begins)
        _clear(descriptor, name)
        fresh = f"{_prefix(name)}{os.getpid()}-{secrets.token_hex(4)}"
        try:
            _write(descriptor, fresh, content, was)
            os.replace(fresh, name, src_dir_fd=descriptor, dst_dir_fd=descriptor)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(fresh, dir_fd=descriptor)
            raise
        try:
            os.fsync(descriptor)
        except OSError as error:
            raise NotDurable(f"{path}: {error.strerror}") from error


@contextlib.contextmanager
def _folder(path: str) -> Iterator[tuple[int, str]]:
    """The folder, open, and the name in it. Raises NotReplaced where others could change the folder."""
    folder, name = os.path.split(path)
    if (found := offence(folder, to_make=True)) is not None:
        raise NotReplaced(str(found))
    descriptor = os.open(os.path.realpath(folder), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor, name
    finally:
        os.close(descriptor)


def _former(folder: int, name: str, path: str, begins: bytes) -> os.stat_result | None:
    """What is there now, None where nothing is. Raises NotReplaced for what is not to be replaced."""
    try:
        was = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(was.st_mode):
        raise NotReplaced(f"{path} is a link: name the file that it leads to")
    if not stat.S_ISREG(was.st_mode):
        raise NotReplaced(f"{path} is no regular file")
    if os.geteuid() not in (was.st_uid, 0):
        raise NotReplaced(f"{path} belongs to {account_name(was.st_uid)}")
    with opened(Path(path), links=False) as file:
        found = file.read(len(begins))
    if found and found != begins:
        raise NotReplaced(f"{path} is another kind of file, and stays as it is")
    return was


def _prefix(name: str) -> str:
    return f".{name}.recovery-"


def _clear(folder: int, name: str) -> None:
    """Take away what processes left that ended while they wrote."""
    for each in os.listdir(folder):
        number = each.removeprefix(_prefix(name)).partition("-")[0] if each.startswith(_prefix(name)) else ""
        if number.isascii() and number.isdecimal() and not Path("/proc", number).exists():
            with contextlib.suppress(OSError):
                os.unlink(each, dir_fd=folder)


def _write(folder: int, name: str, content: bytes, was: os.stat_result | None) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, 0o600, dir_fd=folder), "wb") as file:
        file.write(content)
        file.flush()
        if was is not None:
            made = os.fstat(file.fileno())
            if (made.st_uid, made.st_gid) != (was.st_uid, was.st_gid):
                # chown(2), which the filter of the shipped unit allows for the group; fchown(2) it does not
                os.chown(f"/proc/self/fd/{file.fileno()}", was.st_uid, was.st_gid)
        os.fchmod(file.fileno(), NEW if was is None else was.st_mode & 0o777)
        os.fsync(file.fileno())
