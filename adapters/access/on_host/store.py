"""What the host keeps of grants: settings, marks, doors, revoked keys. Each file is replaced whole."""

from __future__ import annotations

import fcntl
import grp
import json
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from adapters.access.on_host.running import everything
from state.host.regular import bounded

VERSION = 1
"""Of this program; the console refuses to give access through another one."""
SETTINGS = Path("/etc/recovery-access.json")
HOME = Path("/var/lib/recovery-access")
RUN = Path("/run/recovery-access")
LOG = Path("/var/log/recovery-access")
MOST = 1 << 23
KEPT = 7 * 86_400.0
"""Seconds for which is known what a grant was that is over."""
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
Mark = dict[str, Any]


class HostRefusal(Exception):
    """What is not done, in words."""


def settings() -> dict[str, Any]:
    """As the administrator has them. Raises HostRefusal."""
    try:
        return cast("dict[str, Any]", json.loads(bounded(SETTINGS, MOST)))
    except (OSError, ValueError) as error:
        raise HostRefusal(f"{SETTINGS} cannot be read ({type(error).__name__}): recovery host prepare") from error


def run(words: Sequence[str], text: str = "", within: float = 20.0) -> str:
    """A program of this host, for what it prints. Raises HostRefusal with what it said."""
    program = shutil.which(words[0], path=PATH)
    if program is None:
        raise HostRefusal(f"{words[0]} is not on this host")
    try:
        done = subprocess.run(
            [program, *words[1:]], input=text.encode(), capture_output=True, timeout=within, check=False,
            env={"PATH": PATH, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise HostRefusal(f"{words[0]} did not end within {within:.0f} s") from error
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise HostRefusal(f"{words[0]}: {said[-1][:200] if said else f'ended with {done.returncode}'}")
    return done.stdout.decode("utf-8", "replace")


def write(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace a file as a whole, durable: a reader sees the old or the new one."""
    descriptor, name = tempfile.mkstemp(dir=str(path.parent), prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)
            os.fchmod(out.fileno(), mode)
            out.flush()
            os.fsync(out.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    folder = os.open(str(path.parent), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def locked() -> Iterator[None]:
    """One at a time decides about grants here. Raises HostRefusal when another one takes too long."""
    folders()
    descriptor = os.open(str(HOME / "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        end = time.monotonic() + 10
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise HostRefusal("another call of recovery-access is at work for over 10 s") from None
                time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def folders() -> None:
    """Make those that are missing."""
    for path, mode in ((HOME, 0o711), (HOME / "grants", 0o700), (HOME / "over", 0o700), (HOME / "left", 0o700),
                       (HOME / "doors", 0o755), (HOME / "homes", 0o711), (RUN, 0o700), (LOG, 0o711)):  # fmt: skip
        path.mkdir(mode=mode, exist_ok=True)
        os.chmod(path, mode)


def mark_of(uid: int) -> Mark:
    """The mark of a grant that is there. Raises HostRefusal."""
    found = find(uid)
    if found is None:
        raise HostRefusal(f"no grant has the uid {uid} here")
    return found


def find(uid: int, folder: str = "grants") -> Mark | None:
    """The mark of a grant, None when there is none."""
    try:
        return cast("Mark", json.loads(bounded(HOME / folder / f"{uid}.json", MOST)))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise HostRefusal(f"the mark of {uid} cannot be read ({type(error).__name__})") from error


def marks(folder: str = "grants") -> list[Mark]:
    """All of them."""
    names = sorted(each.stem for each in (HOME / folder).glob("*.json"))
    found = [find(int(name), folder) for name in names if name.isdigit()]
    return [each for each in found if each is not None]


def save(mark: Mark, folder: str = "grants") -> None:
    """Write a mark, and the door that follows from it."""
    write(HOME / folder / f"{mark['uid']}.json", json.dumps(mark).encode())
    if folder == "grants":
        door(mark)


def door(mark: Mark) -> None:
    """What sshd is told when the account knocks: its principal, and until when."""
    path = HOME / "doors" / str(mark["role"])
    if mark["state"] != "open":
        path.unlink(missing_ok=True)
        return
    until = min(float(mark["ends"]), float(mark["window"]))
    told = {"principal": mark["grant"], "until": until, "bundle": mark["bundle"]}
    write(path, json.dumps(told).encode(), 0o644)


def drop(mark: Mark) -> None:
    """The grant is over: what it was is kept for a while."""
    save({**mark, "over": time.time()}, "over")
    (HOME / "grants" / f"{mark['uid']}.json").unlink(missing_ok=True)
    (HOME / "doors" / str(mark["role"])).unlink(missing_ok=True)
    for each in marks("over"):
        if time.time() - each.get("over", 0.0) > KEPT:
            (HOME / "over" / f"{each['uid']}.json").unlink(missing_ok=True)


def next_uid(lowest: int, highest: int) -> int:
    """A uid that no grant ever had and nobody has. Raises HostRefusal when there is none left."""
    try:
        last = int(bounded(HOME / "last-uid", 64))
    except FileNotFoundError:
        last = lowest - 1
    except (OSError, ValueError) as error:
        raise HostRefusal(f"{HOME / 'last-uid'} cannot be read: no uid may be given twice") from error
    known = [int(each["uid"]) for folder in ("grants", "over") for each in marks(folder)]
    uid = max([last, lowest - 1, *known]) + 1
    while _taken(uid):
        uid += 1
    if uid > highest:
        raise HostRefusal(f"all uids up to {highest} were used; name others in {SETTINGS}")
    write(HOME / "last-uid", str(uid).encode())
    return uid


def _taken(uid: int) -> bool:
    """Whether an account or a group has it, also in a directory that lists nobody, or something runs under it: a
    container has uids that no account has."""
    try:
        grp.getgrgid(uid)
    except KeyError:
        return account(uid) is not None or any(uid in each.uids for each in everything())
    return True


def revoke() -> None:
    """Make the file of revoked keys anew, from all grants that end or are over and whose certificates have time left.

    It is read by ssh-keygen before it takes its place: one that sshd cannot read would lock out everybody it is for.
    """
    told = settings()
    path, authority = Path(told["revoked"]), str(told["authority"])
    lines = []
    for each in [*(m for m in marks() if m["state"] == "ending"), *marks("over")]:
        if float(each["ends"]) + 60 < time.time():
            continue
        lines += [f"serial: {number}" for number in each["serials"]]
        lines += [f"id: {each['grant']}", *(f"key: {key}" for key in each["keys"])]
    with tempfile.TemporaryDirectory(dir=str(RUN)) as folder:
        made = Path(folder) / "revoked"
        spec = Path(folder) / "spec"
        spec.write_text("".join(f"{line}\n" for line in lines))
        run(["ssh-keygen", "-q", "-k", "-f", str(made), "-s", authority, str(spec)])
        run(["ssh-keygen", "-Q", "-l", "-f", str(made)])
        content = bounded(made, MOST)
    write(path, content, 0o644)
    if not stat.S_IMODE(os.stat(path).st_mode) & 0o004:
        raise HostRefusal(f"{path} cannot be read by everybody")


def account(uid: int) -> pwd.struct_passwd | None:
    """The account of a uid, None when there is none."""
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None
