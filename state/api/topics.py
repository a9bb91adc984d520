"""The topics a console can follow."""

from __future__ import annotations

from state.api.views.header import HeaderView
from state.api.views.journal import JournalView
from state.api.views.overview import OverviewView
from state.api.views.replication import ReplicationView
from state.api.views.runbooks import RunbooksView
from state.api.views.traffic import TrafficView

TOPICS: dict[str, type] = {
    "header": HeaderView,
    "overview": OverviewView,
    "replication": ReplicationView,
    "runbooks": RunbooksView,
    "traffic": TrafficView,
    "journal": JournalView,
}
