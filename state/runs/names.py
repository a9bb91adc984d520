"""The names of runs: R- and a number that is given once."""

from __future__ import annotations

import re


def number_of(name: str) -> int:
    """The number of a run by its name; 0 for what is no name of a run."""
    found = re.fullmatch(r"R-([1-9][0-9]{0,17})", name)
    return int(found[1]) if found else 0


def second(run: str, seq: int) -> str:
    """What is wrong with an entry that begins a run whose name was given before."""
    return f"entry {seq} begins a second {run}: which of both an entry is about is not known"
