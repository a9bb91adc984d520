"""What a grantee can leave on a host: kept aside where it belongs to the account, told where it is the host's own.

What is told is a difference to what was there when the grant was made. Somebody else may have made it meanwhile.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from adapters.access.on_host.store import HOME, HostRefusal, Mark, account, run
from adapters.access.on_host.watched import short, snapshot

CRONTABS = ("/var/spool/cron/crontabs", "/var/spool/cron/tabs", "/var/spool/cron")
AT_JOBS = ("/var/spool/cron/atjobs", "/var/spool/at", "/var/spool/atjobs")
LINGER = Path("/var/lib/systemd/linger")
UNITS = ("/run/user/{uid}/systemd", "{home}/.config/systemd/user")
SEARCHED = tuple(
    f"/{each}" for each in ("tmp", "var/tmp", "dev/shm", "home", "usr/local", "opt", "srv", "root", "var/spool")
)
MOST_FILES, MOST_SECONDS = 400_000, 5.0
SHOWN = 20
OF_ACCOUNTS = ("account", "password", "group", "ids")
TITLES = {"account": "account ", "password": "password of ", "group": "group ", "ids": "further ids of ", "job": "job "}
Told = dict[str, str]
"""`kind`, `thing`, and `id`, by which a person accepts it; `holds` where it is against the end."""


def put_aside(mark: Mark) -> None:
    """What would begin something later on behalf of the account is moved away, before it is ended."""
    uid, role = int(mark["uid"]), str(mark["role"])
    place = HOME / "left" / str(uid)
    for kind, path in _timed(uid, role):
        place.mkdir(mode=0o700, exist_ok=True)
        moved = place / f"{kind}-{path.name}"
        shutil.move(str(path), str(moved))
        os.chown(moved, 0, 0)
        os.chmod(moved, 0o600)
        mark.setdefault("aside", []).append({"kind": kind, "thing": f"{path}, kept as {moved}"})


def _timed(uid: int, role: str) -> Iterator[tuple[str, Path]]:
    """In folders of root alone: what the account itself could replace by a link is not followed, and not moved."""
    for folder in CRONTABS:
        path = Path(folder) / role
        if path.is_file() and not path.is_symlink():
            yield "crontab", path
    for folder in AT_JOBS:
        for path in sorted(Path(folder).glob("*")):
            if not path.is_symlink() and path.is_file() and path.stat().st_uid == uid:
                yield "at-job", path
    if (LINGER / role).exists():
        yield "lingering", LINGER / role


def _units(mark: Mark) -> list[Told]:
    """Units of its own, which nobody starts any more: its home is kept as a whole."""
    found: list[Told] = []
    for pattern in UNITS:
        for folder, _, files in os.walk(pattern.format(uid=mark["uid"], home=account_home(mark))):
            names = [name for name in sorted(files) if name.endswith((".service", ".timer"))]
            found += [{"kind": "user-unit", "thing": f"{folder}/{name}", "id": ""} for name in names]
    return found[:SHOWN]


def left(mark: Mark) -> list[Told]:
    """Everything that is there of it now, and what was put aside."""
    found = [{"kind": each["kind"], "thing": each["thing"], "id": ""} for each in mark.get("aside", [])]
    timed = _timed(int(mark["uid"]), str(mark["role"]))
    found += [{"kind": kind, "thing": str(path), "id": short(str(path)), "holds": "yes"} for kind, path in timed]
    found += [*_units(mark), *_different(mark), *_files(mark)]
    return found


def _different(mark: Mark) -> Iterator[Told]:
    """What is not as it was. Against the end where the grant could have made it."""
    before, now = dict(mark["before"]), snapshot()
    accepted = set(mark.get("accepted", []))
    whole = [name for name in before.keys() ^ now.keys() if name.startswith("account ")]
    same = {name.partition(" ")[2] for name in whole}
    homes = tuple(f"{({**before, **now})[name].split(':')[2]}/." for name in whole)
    for name in sorted({*before, *now}):
        what, _, rest = name.partition(" ")
        if (what in ("password", "group", "ids") and rest.partition(" ")[0] in same) or (
            what == "file" and rest.startswith(homes)
        ):
            continue  # of an account that is new or gone this says nothing more
        if (name in before or name not in now) if what in ("key", "job") else before.get(name) == now.get(name):
            continue
        how = "is new" if name not in before else "is gone" if name not in now else "is another one"
        if what == "key":
            path, _, line = rest.rpartition(" ")
            kind, thing = "authorized-keys", f"a line of {path} that was not there before, sha256 {line}"
        else:
            kind, path = ("accounts" if what in OF_ACCOUNTS else "host-file"), rest
            thing = f"what is in {rest} {how}" if what == "folder" else f"{TITLES.get(what, '')}{rest} {how}"
        theirs = what in ("file", "key", "job") and _owner(Path(path)) == int(mark["uid"])
        number = short(f"{name} {now.get(name, '')}")
        holds = (mark["elevated"] or theirs) and number not in accepted
        yield {"kind": kind, "thing": thing, "id": number, **({"holds": "yes"} if holds else {})}


def _owner(path: Path) -> int:
    try:
        return path.stat().st_uid
    except OSError:
        return -1


def _files(mark: Mark) -> list[Told]:
    """Its files, those that run with its rights apart, and those of others that have come to run with theirs."""
    owned = _owned(mark)
    plain = [path for path, its, risen in owned if its and not risen]
    accepted = set(mark.get("accepted", []))
    found = [
        {"kind": "setuid", "thing": str(path), "id": short(str(path))} for path, its, risen in owned if its and risen
    ]
    for path, its, _ in owned:
        if not its:
            holds = {"holds": "yes"} if mark["elevated"] and short(str(path)) not in accepted else {}
            thing = f"{path} of another owner has got the rights of its owner or group"
            found.append({"kind": "setuid", "thing": thing, "id": short(str(path)), **holds})
    found += [{"kind": "owned", "thing": str(path), "id": ""} for path in plain[:SHOWN]]
    if len(plain) > SHOWN:
        found.append({"kind": "owned", "thing": f"and {len(plain) - SHOWN} more files", "id": ""})
    return found


def account_home(mark: Mark) -> Path:
    """Where its home is."""
    return HOME / "homes" / str(mark["role"])


def _owned(mark: Mark) -> list[tuple[Path, bool, bool]]:
    """Files in the folders where people can write: whether each is its own, and runs with the rights of its owner. Of
    others' files only those that were changed to that since the grant was made; nobody can set that time."""
    found: list[tuple[Path, bool, bool]] = []
    uid, home = int(mark["uid"]), str(account_home(mark))
    end, seen = time.monotonic() + MOST_SECONDS, 0
    for top in SEARCHED:
        for folder, folders, files in os.walk(top):
            for name in [*folders, *files]:
                seen += 1
                path = Path(folder) / name
                try:
                    about = path.lstat()
                except OSError:
                    continue
                plain = stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)
                risen = stat.S_ISREG(about.st_mode) and bool(about.st_mode & 0o6000)
                its = about.st_uid == uid and plain and not str(path).startswith(f"{home}/")
                if its or (risen and about.st_uid != uid and about.st_ctime >= float(mark["made"])):
                    found.append((path, its, risen))
            if seen > MOST_FILES or time.monotonic() > end:
                return [*found, (Path(f"(not searched: what follows {folder})"), True, False)]
    return found


def hand_over(mark: Mark) -> list[str]:
    """Its files run with nobody's rights from now on, its home is kept; what could not be done.

    They keep their owner, whose number nobody gets again: given to root, what it wrote would be believed by whatever
    believes files of root.
    """
    failed: list[str] = []
    for path, its, risen in _owned(mark):
        if not its:
            continue
        try:
            if risen:
                _lower(path, int(mark["uid"]))
        except FileNotFoundError:
            continue
        except OSError as error:
            failed.append(f"{path}: {error.strerror}")
    home = account_home(mark)
    if home.is_dir() and any(home.iterdir()):
        place = HOME / "left" / str(mark["uid"])
        place.mkdir(mode=0o700, exist_ok=True)
        kept = place / f"home-{time.time():.0f}"
        os.rename(home, kept)
        os.chown(kept, 0, 0)
        os.chmod(kept, 0o700)
        mark.setdefault("aside", []).append({"kind": "owned", "thing": f"its home, kept as {kept}"})
    elif home.is_dir():
        home.rmdir()
    return failed


def _lower(path: Path, uid: int) -> None:
    """Take setuid and setgid from this very file, unless another one was put in its place meanwhile. Raises OSError."""
    descriptor = os.open(str(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        about = os.fstat(descriptor)
        if about.st_uid == uid:
            os.fchmod(descriptor, stat.S_IMODE(about.st_mode) & ~0o6000)
    finally:
        os.close(descriptor)


def against(mark: Mark) -> list[Told]:
    """What keeps the grant from being over."""
    return [each for each in left(mark) if each.get("holds")]


def accept(mark: Mark, number: str) -> None:
    """A person looked at a difference and says that it is right. Raises HostRefusal for one that is not there."""
    if not re.fullmatch(r"[0-9a-f]{12}", number) or number not in {each["id"] for each in left(mark)}:
        raise HostRefusal(f"there is no finding {number} now")
    mark.setdefault("accepted", []).append(number)


def remove_account(mark: Mark) -> None:
    """Only when nothing runs under it: its uid is never given again. Raises HostRefusal."""
    if account(int(mark["uid"])) is not None:
        run(["userdel", str(mark["role"])])


def names(found: Sequence[Any]) -> str:
    """Findings in a line."""
    return "; ".join(f"{each['kind']}: {each['thing']}" + (f" [{each['id']}]" if each["id"] else "") for each in found)
