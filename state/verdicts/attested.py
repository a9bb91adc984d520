"""Encryption at rest: nobody can read it from a server, so it is attested, and an old attestation counts no more."""

from __future__ import annotations

from state.api.views.causes import Cause
from state.health import Health
from state.units import counted
from state.verdicts.cause_parts import database_cause
from state.verdicts.cluster import ClusterFacts
from state.verdicts.replication import ClusterVerdict

DAY = 86_400.0
COUNTS_FOR = 365
"""Days."""


def encrypted_words(facts: ClusterFacts) -> str:
    """Who attests it and when, with whether that still counts; empty where nobody does."""
    attested = facts.entry.encrypted
    if attested is None:
        return ""
    doubt = _doubt(facts)
    said = f"encrypted at rest by the word of {attested.by} of {attested.on.isoformat()}: {attested.how}"
    return f"{said} ({doubt})" if doubt else said


def attested_causes(cluster: ClusterVerdict) -> list[Cause]:
    """An attestation that counts no more; that there is none is no fault of its own."""
    doubt = _doubt(cluster.facts)
    if not doubt:
        return []
    what = f"the attestation that the data is encrypted at rest {doubt}"
    steps = (
        "By hand: look again at the volumes and who has their keys; then write the day in the estate: encrypted, on."
    )
    return [database_cause(cluster, "attested", Health.WARN, what, steps)]


def _doubt(facts: ClusterFacts) -> str:
    attested = facts.entry.encrypted
    if attested is None or facts.wall is None:
        return ""
    days = int((facts.wall - attested.at) // DAY)
    if days < -1:
        return "has a day that is still to come"
    return f"is {counted(days, 'day')} old" if days > COUNTS_FOR else ""
