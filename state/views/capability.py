"""The topics that every installation has."""

from __future__ import annotations

from state.api.topics import Topic
from state.capabilities import Capability


def _topic(name: str, view: str, digit: str = "", title: str = "", **places: str) -> Topic:
    return Topic(name, f"state.api.views.{name}:{view}", f"state.views.{name}:build", digit, title, places)


CAPABILITY = Capability(
    "views",
    topics=(
        _topic("header", "HeaderView"),
        _topic("history", "HistoryView"),
        _topic("overview", "OverviewView", "1", "Overview", services="service", alerts="alert", probes="probe"),
        _topic("replication", "ReplicationView", "2", "Replication", clusters="database", nodes="node", slots="slot"),
        _topic("runbooks", "RunbooksView", "3", "Runbooks", runs="run", library="runbook", steps="step"),
        _topic("traffic", "TrafficView", "4", "Traffic", backends="backend", servers="server", dns="record"),
        _topic("restore", "RestoreView"),
        _topic("comparisons", "ComparisonsView"),
        _topic("journal", "JournalView", "9", "Journal", entries="entry"),
    ),
    projections=("state.views.journal:TAIL", "state.views.history:HISTORY"),
    contributions=tuple(f"state.views.{name}:contribute" for name in ("replication", "traffic", "runbooks", "journal")),
)
