"""What a cluster manager tells besides its members: how it treats synchronous standbys, what it is about to do."""

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
