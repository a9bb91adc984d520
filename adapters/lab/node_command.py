"""`python -m adapters.lab.node_command CONTROL fence|rejoin|rebuild|state NODE`: the commands of the lab's estate.

They stand for what an operator's own scripts do at a node's host. `state` exits with 0 when nothing of its PostgreSQL
runs, with 1 when something does, and with 2 when that is not known, as the others do when no lab answers.
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
from typing import Any

USAGE = "usage: python -m adapters.lab.node_command CONTROL fence|rejoin|rebuild|state NODE"
LONGEST = {"fence": 30.0, "rejoin": 110.0, "rebuild": 110.0, "state": 3.0}
"""Seconds that an act may take."""
UNKNOWN = 2


class _Control(http.client.HTTPConnection):
    """HTTP over the lab's control socket."""

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("lab", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _ask(path: str, act: str, node: str) -> dict[str, Any]:
    control = _Control(path, LONGEST[act])
    try:
        method, place = ("GET", f"/nodes/{node}") if act == "state" else ("POST", f"/nodes/{node}/{act}")
        control.request(method, place)
        told: dict[str, Any] = json.loads(control.getresponse().read())
        return told
    finally:
        control.close()


def main(argv: list[str]) -> int:
    """Run one act. Returns its exit code."""
    if len(argv) != 3 or argv[1] not in LONGEST or not argv[2].isalnum():
        print(USAGE, file=sys.stderr)
        return UNKNOWN
    path, act, node = argv
    try:
        told = _ask(path, act, node)
    except (OSError, ValueError, http.client.HTTPException) as error:
        print(f"the lab does not answer: {error or type(error).__name__}", file=sys.stderr)
        return UNKNOWN
    if "error" in told:
        print(told["error"], file=sys.stderr)
        return UNKNOWN
    if act != "state":
        print(told["done"])
        return 0
    runs = bool(told["postgres"])
    print(f"PostgreSQL on {node} {'runs' if runs else 'is stopped'}, its Patroni: {told['agent']}")
    return 1 if runs else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
