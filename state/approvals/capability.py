"""Approvals: the queue behind `A` on every screen, and what it rests on."""

from __future__ import annotations

from state.api.topics import Topic
from state.capabilities import Capability

CAPABILITY = Capability(
    "approvals",
    topics=(Topic("approvals", "state.api.views.approvals:ApprovalsView", "state.views.approvals:build"),),
    events=("state.approvals.events",),
    projections=("state.approvals.fold:APPROVALS",),
    contributions=("state.views.approvals:contribute",),
)
