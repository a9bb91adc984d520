"""Steps as they were confirmed: data that is pinned in the journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OWN = {"command.run": "command", "http.call": "call", "sql.call": "statement"}
"""The kinds of the estate's own, and the argument that says which one of them."""

LIKE = {"database.leave-site": "database.switchover"}
"""Kinds that do what another one does, and take the same time."""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step as confirmed: everything needed to execute it, JSON-able, pinned in the journal.

    `do` is `check`, `change`, `decide`, `wait`, or `when`: a check whose answer leads on; `what` is its kind and
    `args` its arguments. `group` names its parallel group. `identity` and `facts` are what the plan read; `facts` is
    None when an earlier step of the same run is expected to change them; `loose`: they are without what health checks
    say, which an earlier step makes another. `timeout` is its limit: the deadline
    of a change, the length of a wait. `options` are pairs, since the journal sorts keys and people choose by order.
    `loop` and `item` say in which item of which loop it is; the loop goes on until `stop_after` of its items failed.
    `capture` are names for its figures. `late` are arguments that an earlier step captures: their name, that step's id
    and the name there; `args` does not have them until they are known.
    `overrides` are the reasons for which safety rules of the estate do not hold it up, by their names. `ends`: it takes
    back what an earlier step did, at a time that was confirmed with it. `part`: it is one of so many of a set.
    `why`, `look_for` and `if_it_fails` are for the person beside it.
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
    loop: str = ""
    item: int = 0
    stop_after: int = 1
    capture: Mapping[str, str] = field(default_factory=dict)
    late: tuple[tuple[str, str, str], ...] = ()
    overrides: Mapping[str, str] = field(default_factory=dict)
    ends: bool = False
    part: int = 0
    why: str = ""
    look_for: str = ""
    if_it_fails: str = ""
    loose: bool = False

    @property
    def answers(self) -> Mapping[str, str]:
        """What each answer means: continue, stop, pause, or the id of a later step; empty for the end of the run."""
        return dict(self.options)

    @property
    def deed(self) -> str:
        """What it does, as far as it takes the same time again: its kind, and of the estate's own ones which one."""
        which = self.args.get(OWN.get(self.what, ""))
        return f"{self.what} {which}" if which else LIKE.get(self.what, self.what)
