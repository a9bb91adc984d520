"""Why this account may not open an engine's socket, and what makes that it may."""

from __future__ import annotations

import grp
import os
import pwd
import stat

from state.text import clean


def no_permission(path: str) -> str:
    """A message naming the group to join and the command, as far as this account can see them."""
    try:
        seen = os.stat(path)
    except OSError:
        return clean(f"no permission to open {path}: its folder is closed to this account")
    owner, group = _account(seen.st_uid), _group(seen.st_gid)
    if not stat.S_IMODE(seen.st_mode) & stat.S_IWGRP:
        way = "run this as that account, or start the engine with --group NAME"
        return clean(f"no permission to open {path}: only the account {owner} may; {way}")
    me = _account(os.geteuid())
    join = f"sudo usermod -aG {group} {me}, then log in again"
    return clean(f"no permission to open {path}: it is for the group {group}, and {me} is not in it; {join}")


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
