"""`python -m adapters.lab.node_command CONTROL fence|rejoin|rebuild|state NODE`: the commands of the lab's estate.

They stand for what an operator's own scripts do at a node's host. `state` exits with 0 when nothing of its PostgreSQL
runs, with 1 when something does, and with 2 when that is not known, as the others do when no lab answers.
"""

from __future__ import annotations

import sys

from adapters.lab.command_asking import UNKNOWN, told

USAGE = "usage: python -m adapters.lab.node_command CONTROL fence|rejoin|rebuild|state NODE"
LONGEST = {"fence": 30.0, "rejoin": 110.0, "rebuild": 110.0, "state": 3.0}
"""Seconds that an act may take."""


def main(argv: list[str]) -> int:
    """Run one act. Returns its exit code."""
    if len(argv) != 3 or argv[1] not in LONGEST or not argv[2].isalnum():
        print(USAGE, file=sys.stderr)
        return UNKNOWN
    path, act, node = argv
    method, place = ("GET", f"/nodes/{node}") if act == "state" else ("POST", f"/nodes/{node}/{act}")
    answer = told(path, method, place, LONGEST[act])
    if answer is None:
        return UNKNOWN
    if act != "state":
        print(answer["done"])
        return 0
    runs = bool(answer["postgres"])
    print(f"PostgreSQL on {node} {'runs' if runs else 'is stopped'}, its Patroni: {answer['agent']}")
    return 1 if runs else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
