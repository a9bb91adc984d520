"""The program that a command of the estate means: found as the kernel would find it, and ours as the estate is."""

from __future__ import annotations

import os
from pathlib import Path

from state.errors import ConfigError, Problem
from state.host.trust import require_ours

USUAL = "/usr/local/bin:/usr/bin:/bin"


def program_of(name: str, base: Path, searched: str | None = None) -> str:
    """The path of a program, relative ones from `base`; a bare name is looked up in `searched`, else in PATH.

    A folder of PATH that is not absolute is another one wherever this runs, so it is left out. Raises ConfigError where
    another account could have put the program there, or where there is none.
    """
    if "/" in name:
        found = base / name
        require_ours(found)
        return str(found)
    folders = (searched if searched is not None else os.environ.get("PATH", USUAL)).split(":")
    for folder in folders:
        found = Path(folder, name)
        if os.path.isabs(folder) and found.is_file() and os.access(found, os.X_OK):
            require_ours(found)
            return str(found)
    raise ConfigError((Problem(f"command {name}", 0, 0, "", "a program in a folder of PATH, or its whole path"),))
