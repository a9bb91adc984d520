"""Runbooks that are carried out inside others: what a runbook is with all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from state.runbooks.model import Runbook
from state.runbooks.steps import Step, placed

Books = Mapping[str, Runbook]
"""Runbooks by name."""


def calls(runbook: Runbook) -> tuple[str, ...]:
    """The names of the runbooks that it carries out."""
    return tuple(dict.fromkeys(step.runbook for _, step in placed(runbook.steps) if step.runbook))


def inside(runbook: Runbook, books: Books) -> tuple[Runbook, ...]:
    """Every runbook that it carries out, also through others, each once; itself where it leads back to itself."""
    found: dict[str, Runbook] = {}
    ahead = [*calls(runbook)]
    for name in ahead:
        if name in books and name not in found:
            found[name] = books[name]
            ahead += calls(books[name])
    return tuple(found.values())


def whole(runbook: Runbook, books: Books) -> Iterator[Step]:
    """Its steps and those of all runbooks inside, as they are written."""
    for each in (runbook, *inside(runbook, books)):
        yield from (step for _, step in placed(each.steps))


def whole_hash(runbook: Runbook, books: Books) -> str:
    """Its hash; with runbooks inside, one over theirs too, so that what was proven is what would run."""
    parts = sorted({each.hash for each in inside(runbook, books)} - {runbook.hash})
    return hashlib.sha256(" ".join([runbook.hash, *parts]).encode()).hexdigest() if parts else runbook.hash
