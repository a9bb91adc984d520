"""Steps as they were confirmed: data that is pinned in the journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step as confirmed: everything needed to execute it, JSON-able, pinned in the journal.

    `do` is `check`, `change`, `decide` or `wait`; `what` its kind and `args` its arguments. `group` names the
    parallel group it belongs to. `identity` and `facts` are what the plan read; `facts` is None when an earlier step
    of the same run is expected to change them. `timeout` is its limit in seconds: the deadline of a change, the length
    of a wait. `options` are pairs, since the journal sorts keys and people choose by
    order.
    """

    id: str
    index: int
    do: str
    title: str
    timeout: float
    what: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)
    owner: str = ""
    on_failure: str = "pause"
    group: str = ""
    every: float = 1.0
    samples: int = 1
    question: str = ""
    options: tuple[tuple[str, str], ...] = ()
    risk: str = "B0"
    identity: Mapping[str, str] | None = None
    facts: Mapping[str, Any] | None = None

    @property
    def answers(self) -> Mapping[str, str]:
        """What each answer to the question means: continue, stop, or the id of a later step."""
        return dict(self.options)
