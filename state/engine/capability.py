"""The engine's own events."""

from __future__ import annotations

from state.capabilities import Capability

CAPABILITY = Capability(
    "engine",
    events=("state.engine.events",),
    projections=("state.engine.life:LIFE", "state.engine.reload:PENDING"),
    contributions=("state.engine.reload:contribute", "state.engine.calendars:contribute"),
)
