"""What a grantee can leave on a host: kept aside where it belongs to the account, told where it is the host's own.

What is told is a difference to what was there when the grant was made. Somebody else may have made it meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from adapters.access.on_host.store import HOME, MOST, HostRefusal, Mark, account, run
from state.host.regular import bounded

CRONTABS = ("/var/spool/cron/crontabs", "/var/spool/cron/tabs", "/var/spool/cron")
AT_JOBS = ("/var/spool/cron/atjobs", "/var/spool/at", "/var/spool/atjobs")
LINGER = Path("/var/lib/systemd/linger")
UNITS = ("/run/user/{uid}/systemd", "{home}/.config/systemd/user")
KEYS = (".ssh/authorized_keys", ".ssh/authorized_keys2")
WATCHED = (
    "/etc/sudoers", "/etc/sudoers.d/*", "/etc/doas.conf", "/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/*",
    "/etc/ssh/authorized_keys/*", "/etc/ld.so.preload", "/etc/crontab", "/etc/cron.d/*", "/etc/cron.hourly/*",
    "/etc/cron.daily/*", "/etc/pam.d/*", "/etc/profile", "/etc/profile.d/*", "/etc/systemd/system/*",
    "/etc/recovery-access.json", "/usr/local/libexec/recovery-access", "/root/.ssh/*", "/root/.profile",
    "/root/.bashrc",
)  # fmt: skip
SEARCHED = tuple(
    f"/{each}" for each in ("tmp", "var/tmp", "dev/shm", "home", "usr/local", "opt", "srv", "root", "var/spool")
)
MOST_FILES, MOST_SECONDS = 400_000, 5.0
SHOWN = 20
Told = dict[str, str]
"""`kind`, `thing`, and `id`, by which a person accepts it; `holds` where it is against the end."""


def snapshot() -> dict[str, str]:
    """What is compared later: the host's own files that give power, keys of all accounts, and accounts, by hash."""
    found: dict[str, str] = {}
    for pattern in WATCHED:
        for path in sorted(Path("/").glob(pattern[1:])):
            if not path.is_dir():
                found[f"file {path}"] = _hash(path)
    for each in pwd.getpwall():
        if not each.pw_name.startswith("bg_"):
            found[f"account {each.pw_name}"] = f"{each.pw_uid}:{each.pw_gid}:{each.pw_dir}:{each.pw_shell}"
        if each.pw_dir.startswith(str(HOME)):
            continue
        for name in KEYS:
            path = Path(each.pw_dir) / name
            for number, line in enumerate(_lines(path)):
                found[f"key {path} {_short(line)}"] = str(number)
    return found


def _hash(path: Path) -> str:
    try:
        return hashlib.sha256(bounded(path, MOST)).hexdigest()
    except OSError as error:
        return f"not read ({error.strerror})"


def _lines(path: Path) -> list[str]:
    try:
        text = bounded(path, MOST).decode("utf-8", "replace")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def _short(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()[:12]


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
    found += [{"kind": kind, "thing": str(path), "id": _short(str(path)), "holds": "yes"} for kind, path in timed]
    found += [*_units(mark), *_different(mark), *_files(mark)]
    return found


def _different(mark: Mark) -> Iterator[Told]:
    """What is not as it was. Against the end where the grant could have made it."""
    before, now = dict(mark["before"]), snapshot()
    accepted = set(mark.get("accepted", []))
    for name in sorted({*before, *now}):
        if name.startswith("key "):
            if name in before or name not in now:
                continue
            _, path, line = name.split(" ", 2)
            kind, thing = "authorized-keys", f"a line of {path} that was not there before, sha256 {line}"
            theirs = _owner(Path(path)) == int(mark["uid"])
        elif before.get(name) == now.get(name):
            continue
        else:
            what, _, rest = name.partition(" ")
            kind = "accounts" if what == "account" else "host-file"
            how = "is new" if name not in before else "is gone" if name not in now else "is another one"
            thing = f"{'account ' if what == 'account' else ''}{rest} {how}"
            theirs = what == "file" and _owner(Path(rest)) == int(mark["uid"])
        number = _short(f"{name} {now.get(name, '')}")
        holds = (mark["elevated"] or theirs) and number not in accepted
        yield {"kind": kind, "thing": thing, "id": number, **({"holds": "yes"} if holds else {})}


def _owner(path: Path) -> int:
    try:
        return path.stat().st_uid
    except OSError:
        return -1


def _files(mark: Mark) -> list[Told]:
    """Its files, those that run with its rights apart."""
    owned = _owned(int(mark["uid"]), str(account_home(mark)))
    plain = [path for path, risen in owned if not risen]
    found = [{"kind": "setuid", "thing": str(path), "id": _short(str(path))} for path, risen in owned if risen]
    found += [{"kind": "owned", "thing": str(path), "id": ""} for path in plain[:SHOWN]]
    if len(plain) > SHOWN:
        found.append({"kind": "owned", "thing": f"and {len(plain) - SHOWN} more files", "id": ""})
    return found


def account_home(mark: Mark) -> Path:
    """Where its home is."""
    return HOME / "homes" / str(mark["role"])


def _owned(uid: int, home: str) -> list[tuple[Path, bool]]:
    """Files of a uid in the folders where people can write; whether each runs with the rights of its owner."""
    found: list[tuple[Path, bool]] = []
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
                if about.st_uid == uid and plain and not str(path).startswith(f"{home}/"):
                    found.append((path, stat.S_ISREG(about.st_mode) and bool(about.st_mode & 0o6000)))
            if seen > MOST_FILES or time.monotonic() > end:
                return [*found, (Path(f"(not searched: what follows {folder})"), False)]
    return found


def hand_over(mark: Mark) -> list[str]:
    """Its files run with nobody's rights from now on, its home is kept; what could not be done.

    They keep their owner, whose number nobody gets again: given to root, what it wrote would be believed by whatever
    believes files of root.
    """
    failed: list[str] = []
    for path, risen in _owned(int(mark["uid"]), str(account_home(mark))):
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
