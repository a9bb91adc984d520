"""Seals and anchors of the journal."""

from __future__ import annotations

from state.capabilities import Capability

CAPABILITY = Capability(
    "audit",
    events=("state.audit.events",),
    projections=("state.audit.seals:SEALS", "state.audit.seals:OUTAGES"),
    contributions=("state.audit.seals:contribute",),
)
