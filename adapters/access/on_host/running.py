"""What runs under a grant: every process of its uid, of its login, or that came from one, whoever is its parent now."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
GONE = (FileNotFoundError, ProcessLookupError, PermissionError)
LISTENS = "0A"
LOWEST = 60_001
ROUNDS = 40
"""Looks, 50 ms apart, in which what was killed must be gone."""


@dataclass(frozen=True)
class GrantProcess:
    """A process. `own`: it has the uid; else it belongs to the grant by its login, its mark or where it came from."""

    pid: int
    parent: int
    began: int
    uids: Sequence[int]
    title: str
    login: int
    own: bool = False
    terminal: str = ""


def _text(path: Path, most: int = 65_536) -> bytes:
    with open(path, "rb") as file:
        return file.read(most)


def _one(pid: int) -> GrantProcess | None:
    """One process, None when it is gone or only its number is left."""
    try:
        stat = _text(PROC / str(pid) / "stat").rpartition(b")")[2].split()
        status = _text(PROC / str(pid) / "status").decode("utf-8", "replace")
        title = _text(PROC / str(pid) / "cmdline").replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except GONE:
        return None
    if stat[0] in (b"Z", b"X"):
        return None
    uids = [int(each) for line in status.splitlines() if line.startswith("Uid:") for each in line.split()[1:]]
    return GrantProcess(pid, int(stat[1]), int(stat[19]), uids, title, _login(pid), terminal=_terminal(int(stat[4])))


def _login(pid: int) -> int:
    """Who logged in, also behind sudo; -1 where the kernel does not say."""
    try:
        found = int(_text(PROC / str(pid) / "loginuid"))
    except (*GONE, ValueError):
        return -1
    return -1 if found == 0xFFFFFFFF else found


def _terminal(number: int) -> str:
    major, minor = (number >> 8) & 0xFFF, (number & 0xFF) | ((number >> 12) & 0xFFF00)
    return f"pts/{minor + 256 * (major - 136)}" if 136 <= major <= 143 else ""


def everything() -> list[GrantProcess]:
    """All processes but this one."""
    pids = [int(each.name) for each in PROC.iterdir() if each.name.isdigit()]
    return [found for found in (_one(pid) for pid in pids if pid != os.getpid()) if found is not None]


def under(uid: int, role: str, grant: str, found: Sequence[GrantProcess] | None = None) -> list[GrantProcess]:
    """Those of a grant, the oldest first."""
    listed = everything() if found is None else found
    children: dict[int, list[GrantProcess]] = {}
    for each in listed:
        children.setdefault(each.parent, []).append(each)
    held: dict[int, GrantProcess] = {}
    titles = (f"sshd: {role} ", f"sshd: {role}@", f"sshd-session: {role} ", f"sshd-session: {role}@")
    wait = [each for each in listed if uid in each.uids]
    wait += [each for each in listed if each.title.startswith(titles) and set(each.uids) <= {0, uid}]
    wait += [each for each in listed if each.login == uid or (grant and _carries(each.pid, uid, grant))]
    above = _ancestors(listed)
    while wait:
        each = wait.pop()
        if each.pid in held or each.pid in above:
            continue
        held[each.pid] = GrantProcess(**{**each.__dict__, "own": uid in each.uids})
        wait += children.get(each.pid, [])
    return sorted(held.values(), key=lambda each: (each.began, each.pid))


def _ancestors(listed: Sequence[GrantProcess]) -> set[int]:
    """This process and those it came from: the console's own way in."""
    parents = {each.pid: each.parent for each in listed}
    found, pid = {os.getpid()}, os.getppid()
    while pid > 0 and pid not in found:
        found.add(pid)
        pid = parents.get(pid, 0)
    return found


def _carries(pid: int, uid: int, grant: str) -> bool:
    """Whether its variables or its group of the kernel name the grant: also when it has another uid and parent now."""
    try:
        if f"RECOVERY_GRANT={grant}".encode() in _text(PROC / str(pid) / "environ").split(b"\0"):
            return True
        return f"/user-{uid}.slice".encode() in _text(PROC / str(pid) / "cgroup")
    except GONE:
        return False


def came_from(pid: int) -> str:
    """The address that its login came from, as its variables have it."""
    try:
        said = [each for each in _text(PROC / str(pid) / "environ").split(b"\0") if each.startswith(b"SSH_CONNECTION=")]
    except GONE:
        return ""
    return said[0].partition(b"=")[2].split(b" ")[0].decode("ascii", "replace")[:60] if said else ""


def ports() -> dict[str, int]:
    """Where something listens: the port by the inode of its socket."""
    found: dict[str, int] = {}
    for name in ("tcp", "tcp6"):
        try:
            lines = _text(PROC / "net" / name, 1 << 22).decode("ascii", "replace").splitlines()[1:]
        except GONE:
            continue
        for words in map(str.split, lines):
            if len(words) > 9 and words[3] == LISTENS:
                found[words[9]] = int(words[1].rpartition(":")[2], 16)
    return found


def listened(pid: int, known: dict[str, int]) -> list[int]:
    """The ports on which a process listens."""
    found: set[int] = set()
    try:
        for each in (PROC / str(pid) / "fd").iterdir():
            target = os.readlink(each)
            if target.startswith("socket:[") and target[8:-1] in known:
                found.add(known[target[8:-1]])
    except GONE:
        pass
    return sorted(found)


def began_at(each: GrantProcess) -> float:
    """Epoch seconds at which a process began."""
    lines = _text(PROC / "stat", 1 << 22).decode().splitlines()
    boot = next((int(line.split()[1]) for line in lines if line.startswith("btime")), 0)
    return boot + each.began / os.sysconf("SC_CLK_TCK")


def end(uid: int, role: str, grant: str) -> list[GrantProcess]:
    """End all of it; what is still there, none when all is gone. Ended means that the process is no more."""
    for turn in range(ROUNDS):
        left = under(uid, role, grant)
        if not left:
            return []
        _kill_all_of(uid)
        for each in left:
            # sshd's own part, which belongs to root, closes the session by itself when the other part is gone
            if each.own or turn > 4 or not each.title.startswith("sshd"):
                _kill(each)
        time.sleep(0.05)
    return under(uid, role, grant)


def _kill(each: GrantProcess) -> None:
    """This very process, and no other one that got its number."""
    try:
        descriptor = os.pidfd_open(each.pid)
    except (ProcessLookupError, PermissionError):
        return
    try:
        now = _one(each.pid)
        if now is not None and now.began == each.began:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(descriptor)


def _kill_all_of(uid: int) -> None:
    """All processes of a uid in one stroke: one that forks quicker than it is looked at is met as well."""
    if uid < LOWEST:
        raise ValueError(f"{uid} is no uid of a grant")
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        if os.getresuid() == (uid, uid, uid):  # as anybody else it would end what is not of the grant
            os.kill(-1, signal.SIGKILL)
    finally:
        os._exit(0)


def sessions_of_others(ours: set[int]) -> Iterator[GrantProcess]:
    """Logins over ssh of accounts that are none of ours, without the one by which this program was called."""
    listed = everything()
    above = _ancestors(listed)
    for each in listed:
        login = each.title.startswith(("sshd: ", "sshd-session: ")) and "[" not in each.title
        if login and each.pid not in above and not ours & {*each.uids}:
            yield each
