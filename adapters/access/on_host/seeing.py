"""What a host tells of grants: accounts, sessions, what waits for their ends, and who else has power here."""

from __future__ import annotations

import fcntl
import grp
import os
import platform
import pwd
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adapters.access.on_host import running
from adapters.access.on_host.doorkeeper import unable
from adapters.access.on_host.store import MOST, RUN, VERSION, Mark, account, find, marks
from state.host.regular import bounded

NAME = re.compile(r"bg_[a-z0-9_]{1,29}")
RAISED = ("root", "sudo", "wheel", "admin", "docker", "lxd", "disk", "shadow")
SHOWN = 200


def seen(uids: Sequence[int]) -> dict[str, Any]:
    """Everything that is known here of grants, with the sessions of these uids and of all grants."""
    listed, known, ports = running.everything(), marks(), running.ports()
    over = [each for each in (find(uid, "over") for uid in uids) if each is not None]
    about = {int(each["uid"]): each for each in (*over, *known)}
    for uid in uids:
        about.setdefault(uid, {"uid": uid, "role": getattr(account(uid), "pw_name", ""), "grant": ""})
    sessions = {uid: [_row(each, ports) for each in running.under(uid, str(m["role"]), str(m["grant"]), listed)]
                for uid, m in about.items()}  # fmt: skip
    return {
        "version": VERSION,
        "clock": time.time(),
        "unable": unable(whole=not uids),
        "grants": [{**_told(each), "can_login": can_login(each)} for each in known],
        "over": [_told(each) for each in over],
        "sessions": sessions,
        "waiting": [uid for uid in about if waits(uid)],
        "machine": where()["machine"],
        "others": [*_accounts({*map(_role, known)}), *_logins(about)],
    }


def _told(mark: Mark) -> Mark:
    return {name: value for name, value in mark.items() if name not in ("before", "aside", "accepted")}


def _row(each: running.GrantProcess, ports: dict[str, int]) -> dict[str, Any]:
    listens = running.listened(each.pid, ports)
    return {
        "pid": each.pid, "since": running.began_at(each), "title": each.title[:SHOWN], "own": each.own,
        "orphan": each.parent == 1, "ports": listens, "terminal": each.terminal, "as": each.uids[1],
        "client": running.came_from(each.pid),
    }  # fmt: skip


def can_login(mark: Mark) -> bool:
    """Whether sshd would be told a principal for it now."""
    return mark["state"] == "open" and time.time() < min(float(mark["ends"]), float(mark["window"]))


def waits(uid: int) -> bool:
    """Whether a process of this host waits for the end."""
    try:
        descriptor = os.open(str(RUN / f"reaper-{uid}"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _role(mark: Mark) -> str:
    return str(mark["role"])


def _accounts(marked: set[str]) -> list[dict[str, Any]]:
    """Accounts with raised rights, and such as grants have, which carry no mark."""
    groups: dict[str, list[str]] = {}
    for group in grp.getgrall():
        for member in group.gr_mem if group.gr_name in RAISED else ():
            groups.setdefault(member, []).append(group.gr_name)
    shut = _shut()
    found = []
    for each in pwd.getpwall():
        why = [f"member of {', '.join(groups[each.pw_name])}"] if each.pw_name in groups else []
        why += ["uid 0"] if each.pw_uid == 0 and each.pw_name != "root" else []
        why += ["an account like a grant's, without its mark"] if NAME.fullmatch(each.pw_name) else []
        if why and each.pw_name not in marked:
            found.append(_other(each.pw_name, each.pw_uid, "; ".join(why), shut=each.pw_name in shut))
    return found


def _shut() -> set[str]:
    """Accounts that nobody logs in to: without a password that could be, and expired."""
    try:
        lines = [line.split(":") for line in bounded(Path("/etc/shadow"), MOST).decode("utf-8", "replace").splitlines()]
    except OSError:
        return set()
    return {words[0] for words in lines if len(words) > 7 and words[1].startswith("!") and words[7] == "1"}


def _logins(ours: dict[int, Mark]) -> list[dict[str, Any]]:
    """Logins over ssh that are none of ours, with the certificate where sshd tells of it."""
    counted: dict[str, int] = {}
    uids: dict[str, int] = {}
    for each in running.sessions_of_others(set(ours)):
        name = each.title.partition(": ")[2].partition("@")[0]
        counted[name], uids[name] = counted.get(name, 0) + 1, each.uids[1]
    return [
        _other(name, uids[name], f"{count} {'login' if count == 1 else 'logins'} over ssh now", shut=False)
        for name, count in counted.items()
    ]


def _other(name: str, uid: int, why: str, *, shut: bool) -> dict[str, Any]:
    return {"uid": uid, "name": name, "why": why, "root": uid == 0, "shut": shut}


def where() -> dict[str, Any]:
    """Which host this is, and since when it runs."""
    boot = bounded(Path("/proc/sys/kernel/random/boot_id"), 200).decode().strip()
    machine = Path("/etc/machine-id")
    return {
        "name": platform.node(),
        "boot": boot,
        "machine": bounded(machine, 200).decode().strip() if machine.is_file() else "",
    }
