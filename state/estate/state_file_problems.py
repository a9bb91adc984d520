"""State files that two balancers would write: each would take away what the other one saved."""

from __future__ import annotations

import os
from collections.abc import Iterator

from state.config_files.located import Located
from state.config_files.paths import Path, select
from state.errors import Problem


def state_file_problems(located: Located) -> Iterator[tuple[Path, Problem]]:
    """Every problem with its path: a file that another balancer has too."""
    owners: dict[str, str] = {}
    for path, file in select(located.data, ("balancers", "*", "state_file")):
        if not isinstance(file, str):
            continue
        owner = owners.setdefault(os.path.normpath(file), str(path[1]))
        if owner != str(path[1]):
            yield (
                path,
                located.problem(path, repr(file[:60]), f"a file that {owner} does not have"),
            )
