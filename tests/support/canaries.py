"""Secrets that are looked for everywhere: whole, in parts of eight characters, as base64, hex, in addresses."""

from __future__ import annotations

import base64
import os
import re
import secrets
import string
from collections.abc import Iterator, Mapping
from pathlib import Path

PART = 8
LETTERS = string.ascii_letters + string.digits


def canary() -> str:
    """A secret that no text has by accident."""
    return "".join(secrets.choice(LETTERS) for _ in range(28))


def shapes(secret: str) -> Iterator[bytes]:
    """Every part of it, and of what others make of it; base64 at each place where it may begin."""
    raw = secret.encode()
    for each in (raw, raw.hex().encode(), raw.hex().upper().encode(), raw[::-1]):
        size = PART if each in (raw, raw[::-1]) else 2 * PART
        yield from (each[at : at + size] for at in range(len(each) - size + 1))
    for before in range(3):
        whole = base64.b64encode(b"." * before + raw)
        inner = whole[4 if before else 0 : len(whole) // 4 * 4 - 4]
        yield from (inner[at : at + 12] for at in range(len(inner) - 11))


class Aviary:
    """The canaries by name."""

    def __init__(self) -> None:
        self.named: dict[str, str] = {}

    def new(self, name: str, encoded: bool = False) -> str:
        """A canary of this name; `encoded`: its base64 is the secret."""
        made = canary()
        self.named[name] = base64.b64encode(made.encode()).decode() if encoded else made
        return self.named[name]

    def file(self, name: str, folder: Path, encoded: bool = False) -> dict[str, str]:
        """A reference to a private file that has a new canary."""
        path = folder / f"secret-{name}"
        path.write_text(self.new(name, encoded))
        path.chmod(0o600)
        return {"file": str(path)}

    def hits(self, places: Mapping[str, bytes]) -> list[str]:
        """Which canary is where."""
        found = []
        for name, secret in self.named.items():
            signs = re.compile(b"|".join(re.escape(each) for each in dict.fromkeys(shapes(secret))))
            for place, content in places.items():
                if (hit := signs.search(content)) is not None:
                    around = content[max(0, hit.start() - 60) : hit.end() + 20]
                    found.append(f"{name} in {place}: {around!r}")
        return found


def files_below(*folders: Path, but: str = "secret-") -> dict[str, bytes]:
    """Every file below these folders by its path; the files that are the secrets themselves left out."""
    found = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink() and not path.name.startswith(but):
                found[str(path)] = path.read_bytes()
    return found


def processes_below(pid: int) -> dict[str, bytes]:
    """Command line and environment of a process and all below it, as the kernel shows them."""
    found, left = {}, [pid]
    while left:
        each = left.pop()
        for name in ("cmdline", "environ"):
            try:
                found[f"/proc/{each}/{name}"] = Path("/proc", str(each), name).read_bytes()
            except OSError:
                continue
        for task in Path("/proc", str(each), "task").glob("*/children") if os.path.isdir(f"/proc/{each}") else ():
            try:
                left += [int(child) for child in task.read_text().split()]
            except OSError:
                continue
    return found
