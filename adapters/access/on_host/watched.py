"""What a host is like, to be compared later: its settings, accounts, keys and programs, by digests.

All of `/etc` is looked at and not a list of names in it: no list has everything that starts programs or lets people in.
"""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

from adapters.access.on_host.store import HOME, MOST, settings
from state.host.regular import bounded

ETC = "/etc"
BY_ITSELF = frozenset({
    "/etc/mtab", "/etc/resolv.conf", "/etc/adjtime", "/etc/ld.so.cache", "/etc/.pwd.lock", "/etc/.updated",
    *(f"/etc/{name}{end}" for name in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")
      for end in ("", "-")),
})  # fmt: skip
"""Changes without anybody, or is compared line by line."""
WATCHED = (
    "/var/spool/cron/crontabs/*", "/var/spool/cron/tabs/*", "/var/spool/cron/*", "/root/.ssh/*",
    "/usr/local/libexec/recovery-access",
)  # fmt: skip
AT_JOBS = ("/var/spool/cron/atjobs/*", "/var/spool/at/*", "/var/spool/atjobs/*")
IN_HOMES = (
    ".*rc", ".*profile", ".*_login", ".*_logout", ".zlogin", ".zlogout", ".zshenv", ".pam_environment", ".forward",
    ".config/systemd/user/*", ".config/autostart/*", ".config/environment.d/*",
)  # fmt: skip
"""What runs when somebody logs in, in the home of each account."""
KEYS = (".ssh/authorized_keys", ".ssh/authorized_keys2", ".ssh/rc", ".ssh/environment")
PROGRAMS = (
    "/usr/local/bin", "/usr/local/sbin", "/usr/local/libexec", "/usr/local/lib/systemd/system", "/usr/bin", "/usr/sbin",
    "/bin", "/sbin", "/usr/lib/systemd/system", "/lib/systemd/system", "/run/systemd/system", "/usr/lib/udev/rules.d",
    "/usr/lib/*/security", "/lib/*/security", "/lib/security", "/usr/lib64/security",
)  # fmt: skip
"""Folders that are compared as a whole, by names, sizes, rights and times of change, which nobody can set."""
PREFIX = "bg_"
MOST_FILES = 20_000


def snapshot() -> dict[str, str]:
    """By kind and name: `file`, `folder`, `account`, `password`, `group`, `ids`; `key` and `job` count when new."""
    revoked = {str(settings()["revoked"])}
    found = {f"file {path}": _hash(path) for path in _files() if str(path) not in revoked | BY_ITSELF}
    for pattern in PROGRAMS:
        for path in sorted(Path("/").glob(pattern[1:])):
            if path.is_dir() and not path.is_symlink():
                found[f"folder {path}"] = _folder(path)
    for each in pwd.getpwall():
        found |= _of_account(each)
    for group in grp.getgrall():
        if not group.gr_name.startswith(PREFIX):
            members = sorted(each for each in group.gr_mem if not each.startswith(PREFIX))
            found[f"group {group.gr_name}"] = f"{group.gr_gid}:{','.join(members)}"
    found |= {f"password {name}": short(rest) for name, rest in _named("/etc/shadow", "/etc/gshadow")}
    found |= {f"ids {name}": rest for name, rest in _named("/etc/subuid", "/etc/subgid")}
    return found | {f"job {path}": "" for pattern in AT_JOBS for path in _globbed(Path("/"), pattern[1:])}


def _of_account(each: pwd.struct_passwd) -> dict[str, str]:
    """An account, and what in its home lets people in or runs when they log in."""
    if each.pw_dir.startswith(str(HOME)):
        return {}
    found: dict[str, str] = {}
    if not each.pw_name.startswith(PREFIX):
        found[f"account {each.pw_name}"] = f"{each.pw_uid}:{each.pw_gid}:{each.pw_dir}:{each.pw_shell}"
    for name in KEYS:
        path = Path(each.pw_dir) / name
        for number, line in enumerate(_lines(path)):
            found[f"key {path} {short(line)}"] = str(number)
    for pattern in IN_HOMES:
        found |= {f"file {path}": _hash(path) for path in _globbed(Path(each.pw_dir), pattern)}
    return found


def _files() -> Iterator[Path]:
    seen = 0
    for folder, folders, names in os.walk(ETC):
        folders.sort()
        for name in sorted(names):
            seen += 1
            if seen > MOST_FILES:
                return
            yield Path(folder) / name
        yield from (Path(folder) / name for name in folders if (Path(folder) / name).is_symlink())
    for pattern in WATCHED:
        yield from (each for each in _globbed(Path("/"), pattern[1:]) if not each.name.startswith(PREFIX))


def _globbed(top: Path, pattern: str) -> list[Path]:
    try:
        return sorted(path for path in top.glob(pattern) if not path.is_dir())
    except OSError:
        return []


def _hash(path: Path) -> str:
    try:
        about = path.lstat()
        to = os.readlink(path) if path.is_symlink() else ""
        content = b"" if to and not path.is_file() else bounded(path.resolve(), MOST)
        told = f"{about.st_uid}:{about.st_gid}:{about.st_mode:o}:{to}:".encode()
        return hashlib.sha256(told + content).hexdigest()[:24]
    except (OSError, RuntimeError) as error:
        return f"not read ({getattr(error, 'strerror', None) or type(error).__name__})"


def _folder(path: Path) -> str:
    told = hashlib.sha256()
    try:
        for each in sorted(os.scandir(path), key=lambda entry: entry.name):
            about = each.stat(follow_symlinks=False)
            line = f"{each.name}\0{about.st_size}\0{about.st_mode:o}\0{about.st_uid}\0{about.st_ctime_ns}\n"
            told.update(line.encode("utf-8", "surrogateescape"))
    except OSError as error:
        return f"not read ({error.strerror})"
    return told.hexdigest()[:24]


def _lines(path: Path) -> list[str]:
    try:
        text = bounded(path, MOST).decode("utf-8", "replace")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def _named(*paths: str) -> Iterator[tuple[str, str]]:
    """Lines of files that are by account, without those of grants."""
    for path in paths:
        for line in _lines(Path(path)):
            name, _, rest = line.partition(":")
            if not name.startswith(PREFIX):
                kept = rest.split(":")
                if path == "/etc/gshadow":
                    kept = kept[:2]  # its members are those of the group
                yield f"{name} in {path}", ":".join(kept)


def short(line: str) -> str:
    """A digest by which a person can name it."""
    return hashlib.sha256(line.encode("utf-8", "surrogateescape")).hexdigest()[:12]
