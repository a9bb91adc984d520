"""Grants: their events, their fold, and screen 6."""

from __future__ import annotations

from state.api.topics import Topic
from state.capabilities import Capability

CAPABILITY = Capability(
    "grants",
    topics=(
        Topic(
            "access", "state.api.views.access:AccessView", "state.views.access:build", "6", "Access",
            {"grants": "grant"},
        ),
    ),
    events=("state.grants.events",),
    projections=("state.grants.fold:GRANTS",),
    contributions=("state.views.access:contribute",),
)  # fmt: skip
