"""Comparisons: their events and their history."""

from __future__ import annotations

from state.capabilities import Capability

CAPABILITY = Capability(
    "comparisons",
    events=("state.comparisons.events",),
    projections=("state.comparisons.history:COMPARISONS",),
)
