"""`python -m adapters.lab.schema_command CONTROL to|at VERSION`: the migration tool of the lab's estate.

`to` migrates checkout's schema up or down to a version. `at` exits with 0 when it is there, with 1 when it is at
another one, and with 2 when that is not known, as `to` does when no lab answers.
"""

from __future__ import annotations

import sys

from adapters.lab.command_asking import UNKNOWN, told

USAGE = "usage: python -m adapters.lab.schema_command CONTROL to|at VERSION"
LONGEST = {"to": 20.0, "at": 3.0}
"""Seconds that an act may take."""


def main(argv: list[str]) -> int:
    """Run one act. Returns its exit code."""
    if len(argv) != 3 or argv[1] not in LONGEST or not (argv[2].isascii() and argv[2].isdecimal()):
        print(USAGE, file=sys.stderr)
        return UNKNOWN
    path, act, version = argv
    method, place = ("GET", "/schema") if act == "at" else ("POST", f"/schema/{int(version)}")
    answer = told(path, method, place, LONGEST[act])
    if answer is None:
        return UNKNOWN
    if act == "to":
        print(answer["done"])
        return 0
    print(f"the schema is at {answer['version']}")
    return 0 if answer["version"] == int(version) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
