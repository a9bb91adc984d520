"""Who may do what in the lab: its cluster is prepared for grants, and a second person has a key in a file."""

from __future__ import annotations

import subprocess
from pathlib import Path

from adapters.access.prepared_sql import prepare_sql
from state.estate.access import AccessEntry

ACTING = "ops"
"""The account that gives access and ends it."""
SECOND, KEY = "ben", "ben"
"""The person who agrees to what hands out power, and the file of the key, in the folder `keys` of the lab."""
PATIENCE = 10.0
Tree = dict[str, object]


def grants_sql(major: int) -> str:
    """What an administrator runs once; see `recovery db prepare`."""
    return prepare_sql(major, act=ACTING, read="recovery", longest=round(AccessEntry().longest))


def second_person(directory: Path) -> Tree | None:
    """The person, with the public half of a key that is made here; None where this machine has no ssh-keygen."""
    folder = directory / "keys"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / KEY
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", SECOND, "-f", str(file)]
    try:
        subprocess.run(argv, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE)
    except (OSError, subprocess.SubprocessError):
        return None
    public = file.with_suffix(".pub").read_text(encoding="ascii").strip()
    return {"title": "Ben", "roles": ["approver"], "keys": {"file": {"public": public}}}
