"""Forks for people."""

from __future__ import annotations

from state.units import megabytes
from state.verdicts.forks import Fork
from state.verdicts.lag import lsn


def fork_words(fork: Fork) -> str:
    """`forked at 0/5000060; written past it: n1 3.0 MB, n2 1.0 MB`."""
    if fork.lsn is None:
        return f"fork unknown: {fork.why}" if fork.why else "fork unknown"
    place = "at or after" if fork.one_number else "at"
    told = f"forked {place} {lsn(fork.lsn)}; written past it: {past_words(fork)}"
    return f"{told}; {fork.why}" if fork.why else told


def past_words(fork: Fork) -> str:
    """`n1 3.0 MB, n2 unknown`."""
    return ", ".join(f"{n} {'unknown' if size is None else megabytes(size)}" for n, size in fork.past.items())
