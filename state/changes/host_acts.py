"""What is done to one node by a command of the estate at its host: fence, rejoin, rebuild.

The command's end is an answer and no proof. Fenced is what the command's own reading says is stopped. Rejoined is a
standby on the primary's timeline that has a mark which was written on the primary afterwards: `pg_rewind` ends with 0
and "no rewind required" where two nodes were promoted from one point, and such a standby streams for a while.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from state.api.card import CardWarning, Diff, Rule, WarningKind
from state.changes.cluster_base import ClusterChange, NodeArgs, database_of
from state.changes.fencing import Fences
from state.changes.hands import host_by_hand
from state.changes.model import ChangeKind, Finding, Late, Preview, ReadBack, Risk
from state.changes.only_here import only_here
from state.changes.sight import Sight, describe, look, world_of
from state.changes.unsettled import unsettled_by
from state.errors import EffectRefused, EffectUnknown, ReadFailure
from state.estate.arguments import UnfitValue, filled_argv, valid_values
from state.estate.model import Estate
from state.estate.own import LOCAL, CommandEntry
from state.ports.database import CanMark, CanTellPromotion, Database, PromotionFacts
from state.ports.outside import Outside
from state.ports.own import CanRunCommand, Output
from state.ports.target import UNREADABLE, Identity, Receipt, began
from state.units import megabytes
from state.verdicts.lag import lsn
from state.verdicts.replication import ClusterVerdict, cluster_verdict
from state.world.readings import PostgresReading

FENCE, REJOIN, REBUILD = "database.fence", "database.rejoin", "database.rebuild"
ACTS = {FENCE: "fence", REJOIN: "rejoin", REBUILD: "rebuild"}
TITLES = {FENCE: "Fence", REJOIN: "Rejoin", REBUILD: "Rebuild"}
VERBS = {
    FENCE: "stop {node} so that it accepts no writes",
    REJOIN: "make {node} a standby again, from the point where its history left the primary's",
    REBUILD: "remove the data of {node} and copy the primary's",
}


def mark_of(effect: str) -> str:
    """The mark of one effect."""
    return f"recovery mark {hashlib.sha256(effect.encode()).hexdigest()[:16]}"


class HostAct(ClusterChange):
    """One command at a node's host. `effect` is the one that `read_back` is about."""

    risk = Risk.B3
    quiet = 30.0
    source = "the estate: at its timeout a command is ended"

    def __init__(self, kind: str, args: NodeArgs, estate: Estate, outside: Outside, database: Database) -> None:
        super().__init__(kind, args, estate, database, args.node)
        self.known(args.node)
        self.unsettles = unsettled_by(args.database, estate)
        self.effect = ""
        self.title = f"{TITLES[kind]} {self.name}"
        self.verb = VERBS[kind].format(node=args.node)
        self.command: str | None = getattr(self.entry.nodes[args.node], ACTS[kind])
        self.own: CommandEntry | None = estate.commands[self.command] if self.command is not None else None
        self.runner: CanRunCommand | None = outside.commands.get(self.command or "")
        self.timeout = self.own.timeout if self.own is not None else 30.0
        self.fences = Fences(args.database, estate, outside, database)
        self._output: Output | None = None
        self._not_started = False

    @property
    def late(self) -> Late:
        """A command ends at its timeout; over ssh it may arrive late."""
        local = self.own is None or self.own.on == LOCAL
        return Late(0.0 if local else self._delivery, None, self.source)

    def heard(self) -> tuple[str, ...]:
        """What the command has said so far; fulfils Speaks."""
        return () if self._output is None else self._output.lines()

    async def identify(self, *, deadline: float) -> Identity:
        """Each node's server and who leads, and which command it is."""
        found = await super().identify(deadline=deadline)
        return Identity(found.target, {**found.facts, "command": self.command or "none"})

    def argv(self, leader: str) -> tuple[str, ...]:
        """The command with its values. Raises UnfitValue."""
        assert self.own is not None, "a rule refuses it"
        host, port = self.entry.nodes[leader].server if leader in self.entry.nodes else ("", "")
        known = {"node": self.node, "source": leader, "host": host, "port": port}
        values = valid_values(self.own.params, {k: v for k, v in known.items() if k in self.own.params})
        return filled_argv(self.own.argv, self.own.params, values)

    def command_rules(self, leader: str) -> tuple[Rule, ...]:
        """That the estate names a command, and that its values fit it."""
        act = ACTS[self.spec.kind]
        if self.own is None:
            way_out = f"Name a command of the estate: databases.{self.cluster_name}.nodes.{self.node}.{act}"
            return (Rule("command", False, f"the estate names no {act} command for {self.node}", way_out),)
        if self.spec.kind == FENCE and (self.own.read is None or self.own.read.changed):
            way_out = f"Give commands.{self.command} a read that says whether the server is stopped"
            return (Rule("command", False, f"{self.command} has no reading of whether it is stopped", way_out),)
        try:
            self.argv(leader)
        except UnfitValue as error:
            return (Rule("command", False, f"{self.command}: {error}", "Mend the command of the estate"),)
        return ()

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Run the command once."""
        if self.runner is None or self.own is None:
            raise EffectRefused(f"the estate names no command for {self.name}", "no-command")
        self._output = self.runner.output()
        try:
            return await self.runner.run(self.argv(facts["leader"]), self._output, effect=effect, deadline=deadline)
        except UnfitValue as error:
            raise EffectRefused(str(error), "unfit-value") from error
        except EffectRefused:
            self._not_started = True
            raise

    async def runs_still(self) -> str:
        """Which processes of the effect live; empty when none is seen."""
        if self.runner is None:
            return ""
        at_work = await self.runner.at_work(self.effect)
        return f"{', '.join(at_work)} still runs" if at_work else ""


class Fence(HostAct):
    """Done when the reading of the command says that the server is stopped."""

    async def identify(self, *, deadline: float) -> Identity:
        """The node's own server, and which command it is: also while two nodes accept writes."""
        try:
            seen = await self.database.read_node(self.node, deadline=deadline)
            told = f"{seen.system_id} at {seen.server_address} since {began(seen.started_at)}"
        except ReadFailure:
            told = UNREADABLE
        return Identity(self.name, {"command": self.command or "none", self.node: told})

    async def preview(self, *, deadline: float) -> Preview:
        """What the host says now, and who stops being served."""
        sight = await look(self.database, deadline)
        word, server = await self.fences.at_host(self.node, deadline), sight.servers.get(self.node)
        stopped = word is not None and word.stopped is True and server is None
        writes = server is not None and not server.in_recovery
        told = "not read" if word is None else word.said
        others = [each for each in sight.writable if each != self.node]
        now = "stopped" if stopped else "accepts writes" if writes else "a standby" if server else "does not answer"
        return Preview(
            verb=self.verb,
            diffs=(Diff(self.name, now, "stopped"),),
            facts={"leader": "", "now": now},  # whoever leads meanwhile, this node is to be stopped
            rules=self.command_rules(""),
            warnings=(
                CardWarning(WarningKind.EFFECT, self.name, f"at its host: {told}"),
                *(self._then(sight, others) if writes else ()),
            ),
            sessions_cut=None if server is None else server.sessions,
            downtime="writes are refused until another node leads" if writes and not others else "",
            already=stopped,
            renews=frozenset({self.node, "leader", "timeline"}),
        )

    def _then(self, sight: Sight, others: Sequence[str]) -> tuple[CardWarning, ...]:
        """Who accepts writes afterwards; beside another writer, what only this node has."""
        if not others:
            return (CardWarning(WarningKind.EFFECT, self.cluster_name, "then no node accepts writes"),)
        who = " and ".join(others)
        split = cluster_verdict(self.cluster_name, self.entry, world_of(self.cluster_name, sight), 0.0).split
        past = split.fork.past.get(self.node) if split is not None and split.fork is not None else None
        size = "an unknown part" if past is None else megabytes(past)
        kept = f"{self.node} has {size} past the fork that {who} lacks: keep its data"
        alone = f"{who} accepts writes too, and then alone" if len(others) == 1 else f"{who} accept writes too"
        return (
            CardWarning(WarningKind.EFFECT, self.cluster_name, alone),
            CardWarning(WarningKind.EFFECT, self.name, kept),
        )

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """What the reading of its command says, and whether its server still answers."""
        runs = await self.runs_still()
        word = await self.fences.at_host(self.node, deadline)
        sight = await look(self.database, deadline)
        said = "not read" if word is None else word.said
        evidence = (f"{self.command}: {said}", describe(self.node, sight))
        if sight.servers.get(self.node) is not None:
            return ReadBack(Finding.UNKNOWN if runs else Finding.NOT_DONE, (*evidence, runs or "its server answers"))
        if word is None or word.stopped is None:
            return ReadBack(Finding.NOT_DONE if self._not_started else Finding.UNKNOWN, evidence)
        if word.stopped:
            return ReadBack(Finding.DONE, evidence)
        return ReadBack(Finding.UNKNOWN if runs else Finding.NOT_DONE, (*evidence, runs) if runs else evidence)


class Follow(HostAct):
    """Rejoin and rebuild: done when the node follows the primary, proven by a mark written afterwards."""

    async def preview(self, *, deadline: float) -> Preview:
        """Who it would follow, what only it has, and whether it can be rewound at all."""
        sight = await look(self.database, deadline)
        self.saw(sight)
        cluster = cluster_verdict(self.cluster_name, self.entry, world_of(self.cluster_name, sight), 0.0)
        leader = self.led or (sight.writable[0] if len(sight.writable) == 1 else "")
        server, primary = sight.servers.get(self.node), sight.servers.get(leader)
        own, note = await only_here(self.database, self.node, server, primary, sight.last, deadline)
        wal, warned = await self._wal(primary, server, deadline) if self.spec.kind == REJOIN else ((), ())
        writes = self.node in sight.writable
        leads = (self.node in (leader, *sight.leaders) or writes) and not self.led
        does = "accepts writes" if writes and self.node != leader else "leads" if leads else "does not lead"
        fact = f"{self.node} {does}"
        return Preview(
            verb=self.verb,
            diffs=(Diff(self.name, describe(self.node, sight), f"a standby of {leader or 'no node'}"),),
            facts={"leader": leader or "nobody", "timeline": primary.timeline if primary else None},
            rules=(
                *self.command_rules(leader),
                self.rule("not-the-primary", not leads, fact, "Switch over first, or fence it", "commander"),
                self.source_rule(cluster, leader),
                *self.one_engine(cluster),
                *wal,
            ),
            warnings=warned,
            sessions_cut=None if server is None else server.sessions,
            downtime=f"{self.node} serves nobody until it follows",
            loss_bytes=own,
            loss_note=note,
            renews=frozenset({self.node}),
        )

    def source_rule(self, cluster: ClusterVerdict, leader: str) -> Rule:
        """Exactly one other node accepts writes."""
        writers = [n.node for n in cluster.facts.writers if n.node != self.node]
        if self.led:
            return self.rule("single-primary", True, f"{leader} leads then")
        fact = f"{' and '.join(writers) or 'no other node'} accepts writes"
        return self.rule("single-primary", len(writers) == 1, fact, "Bring the cluster to one primary first")

    async def _wal(
        self, primary: PostgresReading | None, server: PostgresReading | None, deadline: float
    ) -> tuple[tuple[Rule, ...], tuple[CardWarning, ...]]:
        """pg_rewind waits for the source's first checkpoint, and needs the target's WAL back to the common one."""
        if primary is None or not isinstance(self.database, CanTellPromotion):
            return (), ()
        there = await self._told(primary.node, deadline)
        here = await self._told(self.node, deadline) if server is not None else None
        rules: list[Rule] = []
        warned: list[CardWarning] = []
        if there is None or there.checkpoint is None:
            warned.append(CardWarning(WarningKind.UNKNOWN, self.name, f"whether {primary.node} has made a checkpoint"))
        else:
            done = there.checkpoint == primary.timeline
            fact = (
                f"the last checkpoint of {primary.node} is on timeline {there.checkpoint}, it writes {primary.timeline}"
            )
            way_out = f"CHECKPOINT on {primary.node}, or wait for it: before, pg_rewind sees no difference"
            rules.append(self.rule("source-checkpoint", done, fact, way_out))
        if here is None or here.oldest_wal is None or here.redo is None:
            said = f"whether {self.node} has its WAL back to the last common checkpoint; without it only rebuild helps"
            warned.append(CardWarning(WarningKind.UNKNOWN, self.name, said))
        else:
            kept = here.oldest_wal <= here.redo
            fact = f"{self.node} has WAL from {lsn(here.oldest_wal)} on, its last checkpoint began at {lsn(here.redo)}"
            rules.append(self.rule("wal-kept", kept, fact, f"recovery db rebuild {self.cluster_name} {self.node}"))
        return tuple(rules), tuple(warned)

    async def _told(self, node: str, deadline: float) -> PromotionFacts | None:
        assert isinstance(self.database, CanTellPromotion), "it was looked at first"
        try:
            return await self.database.promotion(node, deadline=deadline)
        except ReadFailure:
            return None

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Run the command once; when it has ended well, write the mark that the node must get."""
        receipt = await super().apply(facts, effect=effect, deadline=deadline)
        if not isinstance(self.database, CanMark):
            return receipt
        try:
            marked = await self.database.mark(facts["leader"], mark_of(effect), deadline=min(deadline, 15.0))
        except (EffectRefused, EffectUnknown) as error:
            return Receipt(receipt.code, f"{receipt.message}; no mark was written: {error.message}")
        return Receipt(receipt.code, f"{receipt.message}; {marked.message}")

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """Whether the node follows the primary and has the mark.

        Not done is believed only when nothing of the command runs; a server that it started runs on as a part of it.
        """
        runs = await self.runs_still()
        found = await self._followed(facts, deadline)
        if found.finding is Finding.NOT_DONE and runs:
            return ReadBack(Finding.UNKNOWN, (runs, *found.evidence))
        return found

    async def _followed(self, facts: Mapping[str, Any], deadline: float) -> ReadBack:
        sight = await look(self.database, deadline)
        self.saw(sight)
        server, leader = sight.servers.get(self.node), sight.servers.get(facts["leader"])
        evidence = (describe(self.node, sight), describe(facts["leader"], sight))
        if server is None:
            word = await self.fences.at_host(self.node, deadline)
            stopped = self._not_started or (word is not None and word.stopped is True)
            said = () if word is None else (f"at its host: {word.said}",)
            return ReadBack(Finding.NOT_DONE if stopped else Finding.UNKNOWN, (*said, *evidence))
        if not server.in_recovery:
            return ReadBack(Finding.NOT_DONE, ("it accepts writes", *evidence))
        if leader is None or leader.in_recovery:
            return ReadBack(Finding.UNKNOWN, ("the node that it is to follow does not lead now", *evidence))
        if server.receiver_state != "streaming" or server.timeline != leader.timeline:
            return ReadBack(Finding.PARTIAL, ("it is a standby and does not follow", *evidence))
        return await self._proven(facts["leader"], evidence, deadline)

    async def _proven(self, leader: str, evidence: Sequence[str], deadline: float) -> ReadBack:
        if not isinstance(self.database, CanMark):
            return ReadBack(Finding.NOT_VERIFIED, ("nothing can be written that would prove it", *evidence))
        wanted = mark_of(self.effect)
        there = await self.database.marked(leader, deadline=deadline)
        if there != wanted:
            said = f"it streams, and nothing proves it: no mark is on {leader}; recovery db prove writes one"
            return ReadBack(Finding.PARTIAL, (said, *evidence))
        here = await self.database.marked(self.node, deadline=deadline)
        if here != wanted:
            return ReadBack(Finding.PARTIAL, ("it streams, and the mark has not arrived", *evidence))
        return ReadBack(
            Finding.DONE, ("the mark that was written afterwards has arrived", *evidence), {"leader": leader}
        )


def _fence(args: NodeArgs, estate: Estate, outside: Outside) -> Fence:
    return Fence(FENCE, args, estate, outside, database_of(args.database, outside))


def _rejoin(args: NodeArgs, estate: Estate, outside: Outside) -> Follow:
    return Follow(REJOIN, args, estate, outside, database_of(args.database, outside))


def _rebuild(args: NodeArgs, estate: Estate, outside: Outside) -> Follow:
    return Follow(REBUILD, args, estate, outside, database_of(args.database, outside))


KINDS = (
    ChangeKind(FENCE, "Fence a node", NodeArgs, Risk.B3, _fence, host_by_hand("fence")),
    ChangeKind(
        REJOIN, "Rejoin a former primary", NodeArgs, Risk.B3, _rejoin, host_by_hand("rejoin"), {"leader": "node"}
    ),
    ChangeKind(REBUILD, "Rebuild a standby", NodeArgs, Risk.B3, _rebuild, host_by_hand("rebuild"), {"leader": "node"}),
)
