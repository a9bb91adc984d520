"""Whose a path is: decided here alone, before anything at it is believed or run.

A path is ours when every component of it, links followed one by one, belongs to this account or to root and can be
changed by nobody else. A folder that everybody may write counts when it is sticky, as /tmp is: there nobody replaces
what another account owns, and what is below it is looked at in its turn. A group may write where it has no other member
than this account and root, and no access list says more (ADR 46).

Standard library only: a console's first frame and the engine both decide by it. A path
that is found to be ours stays so: nobody else could change it meanwhile.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from state.errors import ConfigError, Problem

SYSTEM = Path("/run/recovery")
"""Where the service manager, as root, gives each engine a folder of its own account."""
MOST_LINKS = 40
ACCESS_LIST = "system.posix_acl_access"


@dataclass(frozen=True, slots=True)
class Offence:
    """Why a path is not ours: the component, what it is, and what mends it."""

    path: str
    found: str
    way_out: str

    def problem(self) -> Problem:
        """The same as a finding about a file."""
        return Problem(
            self.path, 0, 0, self.found, f"what only {account_name(os.geteuid())} or root may change; {self.way_out}"
        )

    def __str__(self) -> str:
        return f"{self.path}: {self.found}; {self.way_out}"


def offence(
    path: str | os.PathLike[str], owners: Collection[int] | None = None, *, to_make: bool = False
) -> Offence | None:
    """Why a path is not ours, or None. `owners` are the accounts that may own it: this one and root unless told.

    What is not there is nobody's, and the walk ends at it: but not in a folder like /tmp, where anybody could put it
    there before it is used, unless it is `to_make`: judged again when it is made.
    """
    allowed = frozenset(owners) if owners is not None else frozenset((os.geteuid(), 0))
    here, links = "/", 0
    named = os.fspath(path)
    waiting = _parts(named if os.path.isabs(named) else os.path.join(os.getcwd(), named))
    if (found := _judged(here, os.lstat(here), allowed)) is not None:
        return found
    while waiting:
        name = waiting.pop()
        if name == "..":
            here = os.path.dirname(here)  # no link is in `here`: each was followed
            continue
        each = os.path.join(here, name)
        try:
            seen = os.lstat(each)
            target = os.readlink(each) if stat.S_ISLNK(seen.st_mode) else None
        except FileNotFoundError:
            return None if to_make else _open_to_all(each, here)
        except OSError:
            return None  # closed to this account: then it cannot be opened either
        if (found := _judged(each, seen, allowed)) is not None:
            return found
        if target is None:
            here = each
            continue
        links += 1
        if links > MOST_LINKS:
            return Offence(each, "links that lead to links without end", f"rm {shlex.quote(each)}")
        here = "/" if target.startswith("/") else here
        waiting += _parts(target)
    return None


def require_ours(path: str | os.PathLike[str], *, to_make: bool = False) -> None:
    """Raise ConfigError unless a path is ours."""
    if (found := offence(path, to_make=to_make)) is not None:
        raise ConfigError((found.problem(),))


def require_private_folder(folder: str | os.PathLike[str]) -> None:
    """Raise ConfigError unless a path leads to a folder that is ours, into which nobody else can put anything."""
    require_ours(folder)
    try:
        seen = os.stat(folder)
    except OSError as error:
        raise ConfigError((Problem(os.fspath(folder), 0, 0, error.strerror or "", "a folder"),)) from error
    if not stat.S_ISDIR(seen.st_mode):
        raise ConfigError((Problem(os.fspath(folder), 0, 0, _kind(seen.st_mode), "a folder"),))
    if (found := _writable(os.fspath(folder), seen)) is not None:
        raise ConfigError((found.problem(),))


def engine_account(folder: str | os.PathLike[str], system: Path = SYSTEM) -> int | Offence:
    """The account whose engine may listen in a folder, or why nothing in it is believed.

    It is this account or root. In a folder of the system, which root alone can give away, it is who got it.
    """
    if (found := offence(folder)) is None:
        try:
            seen = os.stat(folder)
        except OSError as error:
            return Offence(os.fspath(folder), error.strerror or "unreadable", "recovery engine start")
        if seen.st_uid not in (os.geteuid(), 0):
            return Offence(os.fspath(folder), f"folder of {account_name(seen.st_uid)}", "recovery engine start")
        return _writable(os.fspath(folder), seen) or seen.st_uid
    if Path(folder).parent != system or offence(system, (0,)) is not None:
        return found
    given = os.lstat(folder)
    if not stat.S_ISDIR(given.st_mode):
        return found
    return _writable(os.fspath(folder), given) or given.st_uid


def account_name(uid: int) -> str:
    """The account's name, or its number where the host has no name for it."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"account {uid}"


def _parts(path: str) -> list[str]:
    """The components, the last one first."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _open_to_all(path: str, folder: str) -> Offence | None:
    """Why what is missing in a folder may be somebody else's when it is looked for again."""
    if os.lstat(folder).st_mode & stat.S_IWOTH:
        return Offence(path, "not there, in a folder where everybody could make it", f"ls -l {shlex.quote(path)}")
    return None


def _judged(path: str, seen: os.stat_result, allowed: frozenset[int]) -> Offence | None:
    """Why one component is not ours. Who owns a link decides where it leads; its mode says nothing."""
    if seen.st_uid not in allowed:
        owner, me = account_name(seen.st_uid), account_name(os.geteuid())
        way = f"run it as {owner}, use one of your own, or after a look: chown {shlex.quote(me)} {shlex.quote(path)}"
        return Offence(path, f"{_kind(seen.st_mode)} of {owner}", way)
    if stat.S_ISLNK(seen.st_mode) or (stat.S_ISDIR(seen.st_mode) and seen.st_mode & stat.S_ISVTX):
        return None
    return _writable(path, seen)


def _writable(path: str, seen: os.stat_result) -> Offence | None:
    """Why somebody else can change what is there."""
    mode = f"{_kind(seen.st_mode)} with mode {stat.S_IMODE(seen.st_mode):04o}"
    if seen.st_mode & stat.S_IWOTH:
        return Offence(path, f"{mode}, which everybody may write", f"chmod go-w {shlex.quote(path)}")
    if seen.st_mode & stat.S_IWGRP and not _alone(path, seen):
        return Offence(path, f"{mode}, which its group may write", f"chmod g-w {shlex.quote(path)}")
    return None


def _alone(path: str, seen: os.stat_result) -> bool:
    """Whether the group is the owner's own one, and its right to write nobody's but the owner's, this account's and
    root's."""
    import grp
    import pwd

    try:
        os.getxattr(path, ACCESS_LIST, follow_symlinks=False)
    except OSError:
        pass
    else:
        return False  # the group's bits are the mask of a list, which may name anybody
    try:
        group = grp.getgrgid(seen.st_gid)
        if group.gr_name != pwd.getpwuid(seen.st_uid).pw_name:
            return False  # not the owner's own group: a directory service need not list who else is in it
        members = {pwd.getpwnam(name).pw_uid for name in group.gr_mem}
    except KeyError:
        return False
    members |= {each.pw_uid for each in pwd.getpwall() if each.pw_gid == seen.st_gid}
    return members <= {seen.st_uid, os.geteuid(), 0}


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "folder", stat.S_IFLNK: "link", stat.S_IFREG: "file"}
    return kinds.get(stat.S_IFMT(mode), "entry")
