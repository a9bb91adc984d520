"""How often an estate is read, and the rules that its changes follow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from state.estate.authority import AuthorityRule, ScorePolicy
from state.estate.entry import Entry, Name, Seconds

DAY = 86_400.0
Age = Annotated[Seconds, Field(ge=DAY)]
"""Seconds, a day or more: what is younger may be needed to understand what is going on."""


class Polling(Entry):
    """How often sources are read, how long one read may take, and when a value is old (seconds)."""

    every: Seconds = 1.0
    deadline: Seconds = 0.9
    stale_after: Seconds = 3.0


class ConfirmPolicy(Entry):
    """How long a card ignores input after opening, and how long a plan is valid (seconds)."""

    arm: Seconds = 0.5
    plan_expires: Seconds = 120.0


class RetainPolicy(Entry):
    """After what age the details of journal entries may be erased, by class (seconds); None = never."""

    heartbeats: Age | None = None
    observed: Age | None = None
    decided: Age | None = None


class AnchorPolicy(Entry):
    """How often the newest entry is anchored, so that none is older than a minute without; how long one place may take,
    and how long a B3 or B4 waits (seconds); in how many places its intent must be before it is sent. Once no place has
    taken anchors for `refuse_after`, plans of B2 and above are refused; without it they never are."""

    every: Annotated[Seconds, Field(le=50.0)] = 45.0
    limit: Annotated[Seconds, Field(le=8.0)] = 5.0
    wait: Annotated[Seconds, Field(le=3.0)] = 1.0
    needed: Annotated[int, Field(ge=0, le=20)] = 0
    refuse_after: Annotated[Seconds, Field(ge=60.0)] | None = None


class Policies(Entry):
    """Rules of this estate. `delivery` is how long a request may lie between the engine and a target, in a proxy or in
    the network, and still be delivered: until then "not done" is not believed where no answer came.

    `second_person` are classes that need one approver; `authority` is the whole table, and then decides alone what it
    has a rule for. `shared_accounts` are used by several people: they act after a personal signature only. `score` asks
    for a change id above so many points."""

    confirm: ConfirmPolicy = ConfirmPolicy()
    second_person: tuple[Literal["B2", "B3", "B4"], ...] = ()
    authority: Mapping[Name, AuthorityRule] = Field(default_factory=dict)
    shared_accounts: tuple[str, ...] = ()
    score: ScorePolicy | None = None
    delivery: Seconds = 60.0
    retain: RetainPolicy = RetainPolicy()
    anchors: AnchorPolicy = AnchorPolicy()
