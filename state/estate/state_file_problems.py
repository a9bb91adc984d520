"""State files that two balancers would write: each would take away what the other one saved."""

from __future__ import annotations

import os
from collections.abc import Iterator

from state.config_files.located import Located
from state.config_files.paths import Path, select
from state.errors import Problem

EACH = "{backend}"
"""Stands in a path for the name of a backend, and only as its last part."""


def state_file_problems(located: Located) -> Iterator[tuple[Path, Problem]]:
    """Every problem with its path: a file that another balancer has too, or may have by the name of a backend."""
    owners: list[tuple[str, str]] = []
    for path, file in select(located.data, ("balancers", "*", "state_file")):
        if not isinstance(file, str):
            continue
        whole = os.path.normpath(file)
        owner = next((name for name, other in owners if _may_be_one(whole, other)), None)
        owners.append((str(path[1]), whole))
        if owner is not None:
            yield (
                path,
                located.problem(path, repr(file[:60]), f"a file that {owner} does not have"),
            )


def _may_be_one(one: str, other: str) -> bool:
    return one == other or (os.path.dirname(one) == os.path.dirname(other) and EACH in (one + other))
