"""Whether sshd lets in accounts of grants as it was prepared for, and by nothing else: by its own word (`sshd -T`)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from adapters.access.on_host.store import HostRefusal, run, settings


def unable(*, whole: bool = True, role: str = "") -> str:
    """What is missing here to end a grant, empty when nothing is. `whole`: also what sshd says of its settings, for an
    account of a grant or for any."""
    if os.geteuid() != 0:
        return "recovery-access does not run as root"
    try:
        told = settings()
        if not whole:
            return "" if os.access(told["revoked"], os.R_OK) else f"{told['revoked']} is not there"
        probe = f"user={role or told['prefix'] + 'x'},host=localhost,addr=127.0.0.1"
        found: dict[str, list[str]] = {}
        for line in run(["sshd", "-T", "-f", told["sshd"], "-C", probe]).splitlines():
            name, _, value = line.partition(" ")
            found.setdefault(name, []).append(value)
        why = [*_others(told, found), *_shut_out(told, found)]
        wrong = [name for name, wanted in _wanted(told).items() if found.get(name, wanted) not in (wanted, ["any"])]
    except (HostRefusal, KeyError) as error:
        return f"the settings of sshd are not known: {error}"
    if not os.access(told["revoked"], os.R_OK):
        wrong.append(f"{told['revoked']} is not there")
    if wrong:
        why.insert(0, f"sshd for {role or told['prefix'] + '*'}: {', '.join(wrong)} not as prepared")
    return "; ".join(why)


def _wanted(told: Mapping[str, Any]) -> dict[str, list[str]]:
    """What sshd says of its settings where it was prepared; a version that does not know one has no line for it."""
    return {
        "trustedusercakeys": [told["authority"]],
        "revokedkeys": [told["revoked"]],
        "authorizedprincipalscommand": [f"{told['program']} principals %u"],
        "authorizedprincipalsfile": ["none"],
        "authorizedkeysfile": ["none"],
        "authorizedkeyscommand": ["none"],
        "pubkeyauthentication": ["yes"],
        "passwordauthentication": ["no"],
        "kbdinteractiveauthentication": ["no"],
        "gssapiauthentication": ["no"],
        "hostbasedauthentication": ["no"],
        "authenticationmethods": ["publickey"],
    }


def _others(told: Mapping[str, Any], found: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """What is not there at all, and who else than root could put something in the place of the program."""
    yield from (f"sshd does not know {name}" for name in ("trustedusercakeys", "revokedkeys") if name not in found)
    program = Path(str(told["program"]))
    for path in (*reversed(program.parents), program):
        about = path.stat()
        if about.st_uid != 0 or stat.S_IMODE(about.st_mode) & 0o022:
            yield f"{path} can be written by others than root: sshd does not run {program}"


def _shut_out(told: Mapping[str, Any], found: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """What lets no account of a grant in, or none of a bundle."""
    name = f"{told['prefix']}x"
    users = {
        option: [each.partition("@")[0] for each in found.get(option, ())] for option in ("allowusers", "denyusers")
    }
    if users["allowusers"] and not _named(users["allowusers"], [name]):
        yield f"AllowUsers does not name {told['prefix']}*"
    if _named(users["denyusers"], [name]):
        yield f"DenyUsers names {told['prefix']}*"
    for bundle, about in told["bundles"].items():
        groups = [name, *about.get("groups", ())]
        if found.get("allowgroups") and not _named(found["allowgroups"], groups):
            yield f"AllowGroups names no group of {bundle}: {told['prefix']}* would be one"
        if _named(found.get("denygroups", ()), groups):
            yield f"DenyGroups names a group of {bundle}"


def _named(patterns: Sequence[str], names: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)
