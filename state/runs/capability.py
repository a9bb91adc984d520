"""Runs: their events and their history."""

from __future__ import annotations

from state.capabilities import Capability

CAPABILITY = Capability("runs", events=("state.runs.events",), projections=("state.runs.fold:RUNS",))
