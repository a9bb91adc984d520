"""Which account starts the next process of a HAProxy on this host, and whether it gets to a file.

A master starts it, with the account that it kept; without one whoever started this process does, which it tells only
where it did not give that account up. A state file that cannot be opened is a warning in HAProxy's log and no more.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

from adapters.balancers.haproxy_process import parent_of
from state.host.trust import ACCESS_LIST, account_name


class StartingAccount(NamedTuple):
    """An account and its groups."""

    uid: int
    groups: frozenset[int]


def starter(pid: int, *, drops: bool) -> StartingAccount | None:
    """Who starts the next process, None where that is not known. `drops`: the configuration has the process give up
    the account that started it."""
    try:
        master = parent_of(pid)
        if master and _name(master) == _name(pid):
            return _account(master)
        return None if drops else _account(pid)
    except (OSError, ValueError, IndexError, KeyError):
        return None


def barrier(path: str, who: StartingAccount | None) -> str:
    """Why an account cannot read a file that is there, empty where nothing is seen that stands against it."""
    if who is None or who.uid == 0:
        return ""
    whole = Path(os.path.realpath(path))
    try:
        for each in (*reversed(whole.parents), whole):
            wanted = stat.S_IROTH if each == whole else stat.S_IXOTH
            if not _may(os.stat(each), who, wanted) and not _listed(each):
                return f"{account_name(who.uid)}, who starts HAProxy, may not read {each}"
    except OSError:
        return ""  # what is not there, or not seen from here, is told elsewhere
    return ""


def _name(pid: int) -> bytes:
    return Path("/proc", str(pid), "comm").read_bytes()


def _account(pid: int) -> StartingAccount:
    lines = Path("/proc", str(pid), "status").read_text(encoding="utf-8", errors="replace").splitlines()
    told = {name: values.split() for name, _, values in (line.partition(":") for line in lines)}
    return StartingAccount(int(told["Uid"][3]), frozenset(map(int, (told["Gid"][3], *told["Groups"]))))


def _may(seen: os.stat_result, who: StartingAccount, wanted: int) -> bool:
    """By the mode alone. `wanted` is the bit of everybody else."""
    if seen.st_uid == who.uid:
        return bool(seen.st_mode & wanted << 6)
    return bool(seen.st_mode & (wanted << 3 if seen.st_gid in who.groups else wanted))


def _listed(path: Path) -> bool:
    """Whether an access list says more than the mode."""
    try:
        return ACCESS_LIST in os.listxattr(path)
    except OSError:
        return False
