"""The sandbox of a systemd unit for one program, as far as the kernel's filters make it: `python -P -m
tests.support.sandbox UNIT PROGRAM [ARGUMENT…]`.

From the unit's text: SystemCallFilter (its sets as `systemd-analyze syscall-filter` lists them), SystemCallErrorNumber,
RestrictAddressFamilies, MemoryDenyWriteExecute, RestrictNamespaces, RestrictRealtime, RestrictSUIDSGID,
LockPersonality, UMask, LimitNOFILE, LimitCORE, User with an empty CapabilityBoundingSet (as `--uid`), NoNewPrivileges.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

ALLOW, ERRNO = 0x7FFF0000, 0x00050000
NE, LT, EQ, GE, GT, MASKED_EQ = 1, 2, 4, 5, 6, 7
PR_SET_NO_NEW_PRIVS = 38
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}
IMPLICIT = "@default"
"""systemd allows these with every list that allows."""


class Compared(ctypes.Structure):
    """`struct scmp_arg_cmp`: one condition on one argument."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


def directives(unit: Path) -> dict[str, list[str]]:
    """The settings of the [Service] section, each with its values in order."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    section = ""
    for line in unit.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found[name].append(value)
    return found


def expanded(names: Iterable[str]) -> set[str]:
    """System calls by name, sets by their members."""
    calls: set[str] = set()
    for name in names:
        if not name.startswith("@"):
            calls.add(name)
            continue
        listed = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
        lines = [line.strip() for line in listed.stdout.splitlines()[1:]]
        calls |= expanded(line for line in lines if line and not line.startswith("#"))
    return calls


def allowed(filters: Iterable[str]) -> set[str]:
    """What a list of SystemCallFilter= allows: later ones add, those with `~` take away."""
    calls: set[str] = set()
    for line in filters:
        if line.startswith("~"):
            calls -= expanded(line[1:].split())
        else:
            calls |= expanded(line.split())
    return calls | expanded([IMPLICIT])


class Seccomp:
    """Filters by libseccomp; each one loaded is in force beside the others."""

    def __init__(self) -> None:
        self._lib = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        self._lib.seccomp_init.restype = ctypes.c_void_p
        self._lib.seccomp_rule_add_array.argtypes = [
            ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p,
        ]  # fmt: skip
        self._lib.seccomp_load.argtypes = [ctypes.c_void_p]

    def only(self, calls: Iterable[str], error: int) -> None:
        """Refuse every other call."""
        context = self._new(ERRNO | error)
        for call in calls:
            self._rule(context, ALLOW, call)
        self._load(context)

    def refuse(self, rules: Iterable[tuple[str, tuple[tuple[int, int, int, int], ...]]], error: int) -> None:
        """Refuse calls with certain arguments."""
        context = self._new(ALLOW)
        for call, conditions in rules:
            self._rule(context, ERRNO | error, call, conditions)
        self._load(context)

    def _new(self, default: int) -> int:
        context = self._lib.seccomp_init(ctypes.c_uint32(default))
        assert context, "libseccomp has no memory"
        return int(context)

    def _rule(
        self, context: int, action: int, call: str, conditions: tuple[tuple[int, int, int, int], ...] = ()
    ) -> None:
        number = self._lib.seccomp_syscall_resolve_name(call.encode())
        if number < 0:
            return  # of another architecture
        made = (Compared * len(conditions))(*(Compared(*each) for each in conditions))
        code = self._lib.seccomp_rule_add_array(context, action, number, len(conditions), made)
        assert code == 0, f"{call}: {os.strerror(-code)}"

    def _load(self, context: int) -> None:
        code = self._lib.seccomp_load(context)
        assert code == 0, os.strerror(-code)


def apply(unit: Path) -> None:
    """Restrict this process for good, as the unit would."""
    settings = directives(unit)
    os.umask(int(settings["UMask"][-1], 8))
    for name, limit in (("LimitCORE", resource.RLIMIT_CORE), ("LimitNOFILE", resource.RLIMIT_NOFILE)):
        resource.setrlimit(limit, (int(settings[name][-1]),) * 2)
    calls = allowed(settings["SystemCallFilter"])
    error = getattr(errno, settings["SystemCallErrorNumber"][-1])
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    seccomp = Seccomp()
    if settings["RestrictAddressFamilies"]:
        families = {FAMILIES[name] for name in settings["RestrictAddressFamilies"][-1].split()}
        others = [n for n in range(46) if n not in families]
        seccomp.refuse([("socket", ((0, EQ, n, 0),)) for n in others], errno.EAFNOSUPPORT)
    rules: list[tuple[str, tuple[tuple[int, int, int, int], ...]]] = []
    if settings["MemoryDenyWriteExecute"] == ["yes"]:
        both, run = mmap.PROT_EXEC | mmap.PROT_WRITE, mmap.PROT_EXEC
        rules += [("mmap", ((2, MASKED_EQ, both, both),)), ("mprotect", ((2, MASKED_EQ, run, run),))]
        rules += [("pkey_mprotect", ((2, MASKED_EQ, run, run),)), ("shmat", ((2, MASKED_EQ, 0o100000, 0o100000),))]
    if settings["RestrictNamespaces"] == ["yes"]:
        for flag in (0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
            rules += [("unshare", ((0, MASKED_EQ, flag, flag),)), ("clone", ((0, MASKED_EQ, flag, flag),))]
        rules += [("setns", ())]
    if settings["RestrictRealtime"] == ["yes"]:
        rules += [("sched_setscheduler", ((1, GT, 0, 0),))]
    if settings["RestrictSUIDSGID"] == ["yes"]:
        for bit in (0o4000, 0o2000):
            rules += [("chmod", ((1, MASKED_EQ, bit, bit),)), ("fchmod", ((1, MASKED_EQ, bit, bit),))]
            rules += [("fchmodat", ((2, MASKED_EQ, bit, bit),)), ("mkdir", ((1, MASKED_EQ, bit, bit),))]
    if settings["LockPersonality"] == ["yes"]:
        rules += [("personality", ((0, NE, 0, 0),))]
    seccomp.refuse(rules, errno.EPERM)
    seccomp.only(calls | {"execve"}, error)


if __name__ == "__main__":
    apply(Path(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
