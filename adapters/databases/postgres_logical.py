"""Subscriptions of a server, and whether their apply goes on failing, between readings of our own."""

from __future__ import annotations

from typing import Any

from adapters.net.answers_read import read_json
from state.world.postgres_parts import Publication, Subscription

LATELY = 30.0
"""Seconds after the last new error during which a subscription counts as failing: it tries again every few seconds."""
LARGEST = 256 << 10


def publications_of(text: str) -> tuple[Publication, ...]:
    """The publications of one answer. Raises ValueError for too many."""
    if len(text) > LARGEST:
        raise ValueError(f"rows of {len(text)} characters")
    rows: list[list[Any]] = read_json(text) if text != "[]" else []
    return tuple(Publication(name, database, tables) for name, database, tables in rows)


class SubscriptionWatch:
    """What earlier readings of one server showed."""

    def __init__(self) -> None:
        self._errors: dict[tuple[str, str], tuple[int, float | None]] = {}
        self._absent: dict[tuple[str, str], float] = {}
        self._idle: dict[tuple[str, str], float] = {}

    def of(self, text: str, now: float) -> tuple[Subscription, ...]:
        """The subscriptions of one answer, at a monotonic instant. Raises ValueError for too many."""
        if len(text) > LARGEST:
            raise ValueError(f"rows of {len(text)} characters")
        rows: list[list[Any]] = read_json(text) if text != "[]" else []
        found = tuple(self._one(now, *row) for row in rows)
        known = {(each.database, each.name) for each in found}
        self._errors = {key: value for key, value in self._errors.items() if key in known}
        self._absent = {key: value for key, value in self._absent.items() if key in known}
        self._idle = {key: value for key, value in self._idle.items() if key in known}
        return found

    def _one(
        self, now: float, name: str, database: str, enabled: bool, slot: str, publications: list[str], running: bool,
        received: int | None, errors: int, uncopied: int | None = None, copying: int = 0,
    ) -> Subscription:  # fmt: skip
        key = (database, name)
        before, grew = self._errors.get(key, (errors, None))
        grew = now if errors > before else grew
        self._errors[key] = (errors, grew)
        if running:
            self._absent.pop(key, None)
        idle = None
        if uncopied and not copying:
            idle = now - self._idle.setdefault(key, now)
        else:
            self._idle.pop(key, None)
        stopped = None if running else now - self._absent.setdefault(key, now)
        failing = grew is not None and now - grew <= LATELY
        return Subscription(
            name,
            database,
            enabled,
            slot,
            tuple(publications),
            running,
            received,
            errors,
            failing,
            stopped or None,
            uncopied,
            idle or None,
        )
