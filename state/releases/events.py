"""What the journal keeps of releases."""

from __future__ import annotations

from dataclasses import dataclass, field

from state.journal.events import WORDS, Body, event


@event("release.recorded", starts=True)
@dataclass(frozen=True, slots=True)
class ReleaseRecorded(Body):
    """A pipeline has made a release of a service, or says something else of one that it had made."""

    service: str
    digest: str
    version: str
    schema_min: str
    schema_max: str
    commit: str
    change: str
    reversible_until: str
    blockers: tuple[str, ...]
    needs: tuple[str, ...]
    message: str = field(metadata=WORDS)
