"""What a cluster manager and its store tell besides the members: sync mode, a hand-over to come, who holds the lock."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class ScheduledSwitchover:
    """A hand-over that waits in the manager: `at` as the manager writes it, epoch seconds; names are empty where it
    names none."""

    at: float
    leader: str
    candidate: str


class SyncMode(StrEnum):
    """What a manager does about synchronous standbys: nothing, a list of its own, or a quorum."""

    OFF = "off"
    ON = "on"
    QUORUM = "quorum"


@dataclass(frozen=True, slots=True)
class StoreReading:
    """A manager's store, read by itself: who holds the leader lock by a lease that runs; empty when nobody does.

    `lease_left` in seconds, None for a lock without a lease. `in_sync` is the published list.
    """

    scope: str
    leader: str
    lease_left: float | None
    system_id: str
    in_sync: tuple[str, ...] = ()
