"""A grant made, opened, extended; and what a login gets. Asked for again by the same effect it is the same one."""

from __future__ import annotations

import json
import os
import pwd
import re
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from typing import Any, NoReturn, cast

from adapters.access.on_host import leftovers
from adapters.access.on_host.doorkeeper import unable
from adapters.access.on_host.ending import close
from adapters.access.on_host.seeing import NAME, RAISED
from adapters.access.on_host.store import (
    HOME,
    LOG,
    PATH,
    HostRefusal,
    Mark,
    find,
    locked,
    mark_of,
    marks,
    next_uid,
    run,
    save,
    settings,
)
from adapters.access.on_host.watched import snapshot
from state.host.regular import bounded

GRANT = re.compile(r"G-[A-Z2-9]{6}")
TEXT = re.compile(r"[^\x00-\x1f\x7f]{0,300}")
CERTIFICATE = re.compile(r"[a-z0-9@.-]{10,60} [A-Za-z0-9+/=]{100,8000}")
KEY = re.compile(r"[a-z0-9@.-]{5,60} [A-Za-z0-9+/=]{40,4000}")
LIFE = (60, 14_400)


def arm(words: Sequence[str]) -> dict[str, Any]:
    """An account that nobody can log in to yet, with its end. Asked for again by the same effect it is the same one."""
    grant, role, bundle, person, ticket, effect, seconds = words
    if not (GRANT.fullmatch(grant) and NAME.fullmatch(role) and all(map(TEXT.fullmatch, (person, ticket, effect)))):
        raise HostRefusal("a grant, a role, a person, a ticket or an effect is not as it must be")
    told = settings()
    longest = min(LIFE[1], int(told["longest"]))
    if bundle not in told["bundles"] or not LIFE[0] <= int(seconds) <= longest:
        known = ", ".join(told["bundles"])
        raise HostRefusal(f"{bundle} for {seconds} s: this host has {known}, for {longest} s at most")
    with locked():
        for each in marks():
            if each["grant"] == grant and each["effect"] == effect:
                return {"uid": each["uid"], "ends": each["ends"]}
            if each["grant"] == grant or each["role"] == role:
                raise HostRefusal(f"{grant} is there already, made by {each['effect']}")
        if why := unable():
            raise HostRefusal(why)
        return _made(told, grant, role, bundle, person, ticket, effect, int(seconds))


def _made(
    told: dict[str, Any], grant: str, role: str, bundle: str, person: str, ticket: str, effect: str, seconds: int
) -> dict[str, Any]:
    rights = told["bundles"][bundle]
    lowest, highest = told["uids"]
    uid, now = next_uid(int(lowest), int(highest)), time.time()
    groups = list(rights.get("groups", ()))
    mark: Mark = {
        "uid": uid, "role": role, "grant": grant, "bundle": bundle, "person": person, "ticket": ticket,
        "effect": effect, "extended_by": "", "made": now, "ends": float(int(now) + seconds), "window": 0.0,
        "state": "armed", "secret": "", "serials": [], "keys": [], "certificate": "", "controls": [],
        "rights": rights.get("title", bundle),
        "elevated": bool(rights.get("elevated")) or bool({*groups} & {*RAISED}),
    }  # fmt: skip
    home = leftovers.account_home(mark)
    save(mark)  # before the account: what is found without a mark would be nobody's
    try:
        run(["groupadd", "-g", str(uid), role])
        run(["useradd", "-u", str(uid), "-g", role, *(["-G", ",".join(groups)] if groups else []), "-M", "-d",
             str(home), "-s", str(rights.get("shell", "/bin/sh")), "-c", grant, "-K", "SUB_UID_COUNT=0", "-K",
             "SUB_GID_COUNT=0", role])  # fmt: skip
    except HostRefusal:
        close(mark)
        raise
    home.mkdir(mode=0o700, exist_ok=True)
    os.chown(home, uid, uid)
    if rights.get("record"):
        (LOG / grant).mkdir(mode=0o700, exist_ok=True)
        os.chown(LOG / grant, uid, uid)
    mark["elevated"] = mark["elevated"] or (not rights.get("command") and may_sudo(role))
    mark["before"] = snapshot()
    save(mark)
    return {"uid": uid, "ends": mark["ends"]}


def may_sudo(role: str) -> bool:
    """Whether sudo lets it run anything: through whichever group or line of this host."""
    if shutil.which("sudo", path=PATH) is None:
        return False
    try:
        return "is not allowed to run sudo" not in run(["sudo", "-n", "-l", "-U", role])
    except HostRefusal:
        return True


def open_(words: Sequence[str]) -> dict[str, Any]:
    """Let the holder of a certificate in, once; for so many seconds unless it is opened again."""
    uid, secret, window, serials, key, certificate, *controls = words
    if not (CERTIFICATE.fullmatch(certificate) and KEY.fullmatch(key) and all(map(CERTIFICATE.fullmatch, controls))):
        raise HostRefusal("that is no key, or no certificate")
    with locked():
        mark = mark_of(int(uid))
        if mark["state"] != "armed" or time.time() >= float(mark["ends"]):
            raise HostRefusal(f"{mark['grant']} is {mark['state']}: it is opened once")
        if why := unable(role=str(mark["role"])):  # a part of its settings may hold for its groups only
            raise HostRefusal(why)
        mark.update(
            secret=secret, state="open", window=time.time() + float(window), keys=[key], certificate=certificate,
            serials=[int(each) for each in serials.split(",")], controls=controls,
        )  # fmt: skip
        for each in (*marks(), *marks("over")):
            if (
                each["uid"] != mark["uid"]
                and key in each["keys"]
                and float(each["ends"]) > time.time()
                and ("over" in each or each["state"] == "ending")
            ):
                raise HostRefusal(f"this key is revoked until the end of {each['grant']}: use another one")
        run(["usermod", "-p", "*", "-e", "", str(mark["role"])])
        save(mark)
        return {"until": min(float(mark["window"]), float(mark["ends"]))}


def renew(words: Sequence[str]) -> dict[str, Any]:
    """Another certificate of the same holder, after the end was moved."""
    uid, serials, certificate = words
    if not CERTIFICATE.fullmatch(certificate):
        raise HostRefusal("that is no certificate")
    with locked():
        mark = mark_of(int(uid))
        if mark["state"] != "open":
            raise HostRefusal(f"{mark['grant']} is {mark['state']}")
        mark["serials"] += [int(each) for each in serials.split(",")]
        mark["certificate"] = certificate
        save(mark)
        return {}


def keep(words: Sequence[str]) -> dict[str, Any]:
    """Open it for another while; `until` is null when the grant is over."""
    uid, window = words
    with locked():
        mark = find(int(uid))
        if mark is None or mark["state"] != "open" or time.time() >= float(mark["ends"]):
            return {"until": None}
        mark["window"] = time.time() + float(window)
        save(mark)
        return {"until": min(mark["window"], float(mark["ends"]))}


def extend(words: Sequence[str]) -> dict[str, Any]:
    """Move its end, once for an effect. What is ending is never extended."""
    uid, effect, seconds = words
    with locked():
        mark, longest = mark_of(int(uid)), int(settings()["longest"])
        if mark["extended_by"] == effect:
            return {"ends": mark["ends"]}
        if mark["state"] == "ending" or time.time() >= float(mark["ends"]):
            raise HostRefusal(f"{mark['grant']} is over: ask for another one")
        ends = float(mark["ends"]) + int(seconds)
        if not LIFE[0] <= int(seconds) <= LIFE[1] or ends - time.time() > min(LIFE[1], longest):
            raise HostRefusal(f"it would last {ends - time.time():.0f} s from now, at most {min(LIFE[1], longest)} s")
        mark.update(ends=ends, extended_by=effect)
        save(mark)
        return {"ends": ends}


def session() -> NoReturn:
    """What a login gets: the bundle's command, or a shell, under the host's own record where there is one."""
    me = pwd.getpwuid(os.getuid())
    told = settings()
    grant = me.pw_gecos.split(",")[0]
    door = find_door(me.pw_name)
    rights = told["bundles"][door["bundle"]]
    os.environ["RECOVERY_GRANT"] = grant
    asked = os.environ.get("SSH_ORIGINAL_COMMAND", "")
    shell = me.pw_shell or "/bin/sh"
    words = list(rights["command"]) if rights.get("command") else [shell, "-c", asked] if asked else [shell, "-l"]
    if rights.get("record") and sys.stdin.isatty():
        file = str(LOG / grant / f"{time.time():.0f}-{os.getpid()}.log")
        told_words = {"{file}": file, "{command}": shlex.join(words)}
        words = [told_words.get(each, each) for each in rights["record"]]
    os.execvp(words[0], words)  # noqa: S606 it becomes the login


def find_door(role: str) -> dict[str, Any]:
    """The door of an account, as everybody may read it. Raises HostRefusal for none."""
    if not NAME.fullmatch(role):
        raise HostRefusal("no account of a grant")
    try:
        return cast("dict[str, Any]", json.loads(bounded(HOME / "doors" / role, 4096)))
    except (OSError, ValueError) as error:
        raise HostRefusal("its door is closed") from error
