"""Pause and resume of a cluster's manager: paused it neither fails over nor restarts anything by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from state.api.card import CardWarning, Diff, WarningKind
from state.changes.cluster_base import ClusterArgs, ClusterChange, database_of
from state.changes.hands import cluster_by_hand
from state.changes.model import ChangeKind, ChangeSpec, Finding, Preview, ReadBack, Risk
from state.changes.sight import Sight, look, world_of
from state.errors import EffectRefused
from state.estate.model import Estate
from state.ports.database import CanPause, Database
from state.ports.outside import Outside
from state.ports.target import Receipt, Setting
from state.verdicts.replication import ClusterVerdict, cluster_verdict

PAUSE, RESUME = "database.pause", "database.resume"
WORDS = {True: "paused", False: "not paused", None: "no answer"}


class Pausing(ClusterChange):
    """Done when every member that answers says so; a member takes it over in its next loop."""

    risk = Risk.B2
    quiet = 20.0

    def __init__(self, kind: str, args: ClusterArgs, estate: Estate, database: Database) -> None:
        super().__init__(kind, args, estate, database)
        self.paused = kind == PAUSE
        word = "Pause" if self.paused else "Resume"
        self.title = f"{word} the manager of {args.database}"
        self.verb = f"{word.lower()} the manager: {'no' if self.paused else 'again'} automatic failover"

    async def preview(self, *, deadline: float) -> Preview:
        """What each member says now, and what the manager would do or leave afterwards."""
        sight = await look(self.database, deadline)
        self.saw(sight)
        cluster = cluster_verdict(self.cluster_name, self.entry, world_of(self.cluster_name, sight), 0.0)
        said = _said(sight)
        known = {each for each in said.values() if each is not None}
        now = WORDS[known.pop()] if len(known) == 1 else "members differ" if known else "not known"
        answers = self.rule(
            "manager-answers", any(each is not None for each in said.values()), f"the members say: {_words(said)}",
            "Wait until a member answers",
        )  # fmt: skip
        able = self.able(isinstance(self.database, CanPause), "be paused", "It has no manager that acts by itself")
        undo = ChangeSpec(RESUME if self.paused else PAUSE, {"database": self.cluster_name})
        return Preview(
            verb=self.verb,
            diffs=(Diff(f"{self.cluster_name} manager", now, WORDS[self.paused]),),
            facts={"now": now},
            rules=(*(able or (answers,)), *self.one_engine(cluster)),
            warnings=self._warnings(cluster),
            sessions_cut=0,
            undo=undo,
            already=now == WORDS[self.paused],
            leaves=(Setting(self.targets, "paused", str(self.paused)),),
        )

    def _warnings(self, cluster: ClusterVerdict) -> tuple[CardWarning, ...]:
        if self.paused:
            said = ["nothing fails over by itself, and a primary that loses its lock goes on writing"]
        elif cluster.facts.primary is None:
            said = ["no node is read to accept writes: the manager may promote one at once"]
        else:
            said = [f"{cluster.facts.primary.node} keeps the lead; restarts and failovers happen by themselves again"]
        return tuple(CardWarning(WarningKind.EFFECT, self.cluster_name, each) for each in said)

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Change the dynamic configuration once."""
        if not isinstance(self.database, CanPause):
            raise EffectRefused(f"{self.cluster_name}: its adapter cannot pause a manager")
        return await self.database.pause(paused=self.paused, deadline=deadline)

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """What every member says."""
        sight = await look(self.database, deadline)
        self.saw(sight)
        said = _said(sight)
        evidence = (_words(said),)
        known = {each for each in said.values() if each is not None}
        if not known:
            return ReadBack(Finding.UNKNOWN, ("no member answers", *evidence))
        if len(known) > 1:
            return ReadBack(Finding.PARTIAL, ("the members differ", *evidence))
        done = known == {self.paused}
        leaves = (Setting(self.targets, "paused", str(known.pop())),)
        return ReadBack(Finding.DONE if done else Finding.NOT_DONE, evidence, leaves=leaves)


def _said(sight: Sight) -> Mapping[str, bool | None]:
    return {node: None if reading is None else reading.paused for node, reading in sight.members.items()}


def _words(said: Mapping[str, bool | None]) -> str:
    return ", ".join(f"{node}: {WORDS[each]}" for node, each in said.items()) or "there is no manager"


def _pause(args: ClusterArgs, estate: Estate, outside: Outside) -> Pausing:
    return Pausing(PAUSE, args, estate, database_of(args.database, outside))


def _resume(args: ClusterArgs, estate: Estate, outside: Outside) -> Pausing:
    return Pausing(RESUME, args, estate, database_of(args.database, outside))


KINDS = (
    ChangeKind(PAUSE, "Pause a database's manager", ClusterArgs, Risk.B2, _pause, cluster_by_hand("pause")),
    ChangeKind(RESUME, "Resume a database's manager", ClusterArgs, Risk.B2, _resume, cluster_by_hand("resume")),
)
