"""Releases: the ledger, the truth of the instances, and the way back."""

from __future__ import annotations

from state.api.topics import Topic
from state.capabilities import Capability

CAPABILITY = Capability(
    "releases",
    topics=(
        Topic(
            "releases",
            "state.api.views.releases:ReleasesView",
            "state.views.releases:build",
            "5",
            "Releases",
            {"services": "service", "instances": "instance", "releases": "release"},
        ),
    ),
    events=("state.releases.events",),
    projections=("state.releases.ledger:LEDGER",),
    contributions=("state.views.releases:contribute",),
)
