"""What the engine detects: impaired services, split brain, drift."""

from __future__ import annotations

from state.capabilities import Capability

CAPABILITY = Capability(
    "detection",
    events=("state.detection.events",),
    projections=("state.detection.detector:DETECTOR", "state.detection.onsets:ONSETS"),
)
