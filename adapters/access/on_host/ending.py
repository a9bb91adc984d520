"""The end of a grant on its host: closed, ended, cleared, removed; and the process that waits for it here."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import time
from collections.abc import Sequence
from typing import Any

from adapters.access.on_host import leftovers, running
from adapters.access.on_host.seeing import NAME, waits
from adapters.access.on_host.store import (
    RUN,
    HostRefusal,
    Mark,
    account,
    drop,
    find,
    locked,
    mark_of,
    marks,
    revoke,
    run,
    save,
    settings,
)

PATIENCE = 30.0
"""Seconds after the end for which a reaper looks at least."""


def block(uid: int) -> dict[str, Any]:
    """Close the login for good."""
    with locked():
        mark = find(uid)
        if mark is not None:
            close(mark)
        elif (there := account(uid)) is not None and _ours(there):
            run(["usermod", "-L", "-e", "1", there.pw_name])
        return {}


def close(mark: Mark) -> None:
    """Door, revoked keys, account, timed work; each of them though another one is refused. Raises HostRefusal then."""
    mark["state"] = "ending"
    save(mark)
    failed = []
    if account(int(mark["uid"])) is not None:
        try:
            run(["usermod", "-L", "-e", "1", str(mark["role"])])
        except HostRefusal as error:
            failed.append(str(error))
    for part in (revoke, lambda: leftovers.put_aside(mark)):
        try:
            part()
        except (HostRefusal, OSError) as error:
            failed.append(str(error))
    save(mark)
    if failed:
        raise HostRefusal("; ".join(failed))


def _ours(there: pwd.struct_passwd) -> bool:
    lowest, highest = settings()["uids"]
    return int(lowest) <= there.pw_uid <= int(highest) and bool(NAME.fullmatch(there.pw_name))


def terminate(uid: int) -> dict[str, Any]:
    """End everything under it. Raises HostRefusal for what stays."""
    lowest, highest = settings()["uids"]
    if not int(lowest) <= uid <= int(highest):
        raise HostRefusal(f"{uid} is no uid of a grant here")
    mark = find(uid) or find(uid, "over") or {"role": getattr(account(uid), "pw_name", ""), "grant": ""}
    stays = running.end(uid, str(mark["role"]), str(mark["grant"]))
    if stays:
        raise HostRefusal("does not end: " + ", ".join(f"process {each.pid} {each.title[:60]}" for each in stays))
    return {}


def overdue(uid: int) -> dict[str, Any]:
    """End it where this host finds by its own clock that it is over."""
    mark = find(uid)
    if mark is None or mark["state"] == "ending" or time.time() >= float(mark["ends"]):
        return terminate(uid)
    return {}


def residue(uid: int) -> dict[str, Any]:
    """What it left."""
    mark = find(uid)
    return {"left": [] if mark is None else leftovers.left(mark)}


def clear(uid: int) -> dict[str, Any]:
    """Hand over what it owns. Raises HostRefusal for what could not be."""
    with locked():
        mark = find(uid)
        if mark is None:
            return {}
        leftovers.put_aside(mark)
        failed = leftovers.hand_over(mark)
        save(mark)
        if failed:
            raise HostRefusal("; ".join(failed[:5]))
        return {}


def finish(uid: int) -> dict[str, Any]:
    """Remove the account, unless something runs under it or something holds; its uid is never given again."""
    with locked():
        mark = find(uid)
        there = account(uid)
        if mark is None and there is not None and _ours(there):  # its mark was removed; its account is no other one's
            run(["userdel", there.pw_name])
        if mark is None:
            return {}
        if mark["state"] != "ending":
            raise HostRefusal(f"{mark['grant']} is {mark['state']}: it is closed first")
        if stays := running.under(uid, str(mark["role"]), str(mark["grant"])):
            raise HostRefusal(f"{len(stays)} processes run under it")
        if held := leftovers.against(mark):
            raise HostRefusal(f"{leftovers.names(held)}. recovery-access accept {uid} ID says that one is right")
        leftovers.remove_account(mark)
        drop(mark)
        revoke()
        return {}


def accept(words: Sequence[str]) -> dict[str, Any]:
    """By hand, by an administrator here: a difference is right."""
    uid, number = words
    with locked():
        mark = mark_of(int(uid))
        leftovers.accept(mark, number)
        save(mark)
        return {}


def watch(uid: int) -> dict[str, Any]:
    """Have a process of this host wait for the end, whoever goes away meanwhile."""
    mark_of(uid)
    if waits(uid):
        return {}
    if os.fork():
        os.wait()
        end = time.monotonic() + 3
        while not waits(uid) and time.monotonic() < end:
            time.sleep(0.02)
        return {}
    os.setsid()
    if os.fork():
        os._exit(0)
    with contextlib.suppress(Exception):
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        reap(uid)
    os._exit(0)


def reap(uid: int) -> None:
    """Wait for the end, and do what keeps anybody out and ends everybody who is in, until nothing is left."""
    descriptor = os.open(str(RUN / f"reaper-{uid}"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    clean_since = None
    while (mark := find(uid)) is not None:
        left = float(mark["ends"]) - time.time()
        if mark["state"] != "ending" and left > 0:
            time.sleep(min(left, 0.5))
            continue
        over(mark)
        quiet = not running.under(uid, str(mark["role"]), str(mark["grant"]))
        clean_since = (clean_since or time.monotonic()) if quiet else None
        if clean_since is not None and time.monotonic() - clean_since > PATIENCE:
            break
        time.sleep(0.5)
    (RUN / f"reaper-{uid}").unlink(missing_ok=True)


def over(mark: Mark) -> None:
    """Close and end one whose time is over; what is refused is tried again by who calls it."""
    with contextlib.suppress(HostRefusal, OSError):
        if mark["state"] != "ending":
            block(int(mark["uid"]))
    with contextlib.suppress(HostRefusal, OSError):
        terminate(int(mark["uid"]))


def sweep() -> dict[str, Any]:
    """Each minute, by the host's own timer: what should be over is closed and ended, also after a restart."""
    for mark in marks():
        if mark["state"] == "ending" or time.time() >= float(mark["ends"]):
            over(mark)
        elif not waits(int(mark["uid"])):
            watch(int(mark["uid"]))
    return {}
