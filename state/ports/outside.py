"""Everything one estate's engine can reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from state.ports.balancer import Balancer
from state.ports.database import Database
from state.ports.faults import FaultInjector
from state.ports.source import Source


@dataclass(frozen=True, slots=True)
class Outside:
    """Everything one estate's engine can reach, wired once at the start."""

    sources: Sequence[Source]
    balancers: Mapping[str, Balancer]
    databases: Mapping[str, Database]
    faults: FaultInjector | None = None
