"""What the engine detects: impaired services, split brain, drift; and what it observes of everything it reads."""

from __future__ import annotations

from state.capabilities import Capability

CAPABILITY = Capability(
    "detection",
    events=(
        "state.detection.events",
        "state.detection.observations",
        "state.detection.proofs",
        "state.detection.points",
        "state.detection.names",
        "state.detection.slots",
    ),
    projections=(
        "state.detection.detector:DETECTOR",
        "state.detection.onsets:ONSETS",
        "state.detection.past:REMEMBRANCE",
        "state.detection.watch:WATCH",
        "state.detection.proofs:PROOFS",
        "state.detection.points:POINTS",
        "state.detection.names:NAMES",
        "state.detection.slots:SLOTS",
    ),
)
