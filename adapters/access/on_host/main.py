"""The program's words, and its answers."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from adapters.access.on_host import acts, ending, seeing
from adapters.access.on_host.store import HostRefusal, folders

ACTS: dict[str, Callable[[list[str]], dict[str, Any]]] = {
    "seen": lambda words: seeing.seen([int(each) for each in words]),
    "where": lambda words: seeing.where(),
    "arm": acts.arm,
    "open": acts.open_,
    "renew": acts.renew,
    "keep": acts.keep,
    "extend": acts.extend,
    "block": lambda words: ending.block(int(words[0])),
    "terminate": lambda words: ending.terminate(int(words[0])),
    "overdue": lambda words: ending.overdue(int(words[0])),
    "residue": lambda words: ending.residue(int(words[0])),
    "clear": lambda words: ending.clear(int(words[0])),
    "finish": lambda words: ending.finish(int(words[0])),
    "accept": ending.accept,
    "watch": lambda words: ending.watch(int(words[0])),
    "sweep": lambda words: ending.sweep(),
}
BY_HAND = ("accept",)
"""What a person does on the host: never through the key of the console."""


def main(words: Sequence[str]) -> int:
    """The exit code: 0 done, 1 refused."""
    name, *rest = _forced() if list(words) == ["forced"] else words or ("",)
    if name == "principals":
        return principals(rest[0])
    if name == "session":
        return _session()
    told = _told(name, list(rest))
    sys.stdout.write(json.dumps(told) + "\n")
    return 1 if "refused" in told else 0


def _forced() -> list[str]:
    """For a key that may do nothing but this: the words that were asked for, from the program's name on."""
    asked = shlex.split(os.environ.get("SSH_ORIGINAL_COMMAND", ""))
    while asked and asked.pop(0).rpartition("/")[2] != "recovery-access":
        pass
    return asked if asked and asked[0] in ACTS and asked[0] not in BY_HAND else [""]


def _session() -> int:
    try:
        acts.session()
    except (HostRefusal, KeyError, OSError) as error:
        sys.stderr.write(f"recovery-access: {error}\n")
    return 1


def _told(name: str, rest: list[str]) -> dict[str, Any]:
    try:
        if name not in ACTS:
            raise HostRefusal(f"known are: {', '.join(ACTS)}")
        if os.geteuid() == 0:
            folders()
        return ACTS[name](rest)
    except HostRefusal as error:
        return {"refused": str(error)}
    except (ValueError, IndexError) as error:
        return {"refused": f"{name}: its words are not as they must be ({error})"}
    except OSError as error:
        return {"refused": f"{error.filename or name}: {error.strerror or error}"}


def principals(role: str) -> int:
    """For sshd: who may log in to this account now. Nothing is printed for a door that is closed."""
    try:
        door = acts.find_door(role)
    except HostRefusal:
        return 0
    if time.time() < float(door["until"]):
        sys.stdout.write(f"{door['principal']}\n")
    return 0
