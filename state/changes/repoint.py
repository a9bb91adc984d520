"""Let a standby stream from another node: after a promotion in a cascade, or where its source is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from state.api.card import Diff, Rule
from state.changes.cluster_base import ClusterChange, NodeArgs, database_of
from state.changes.hands import cluster_by_hand
from state.changes.model import ChangeKind, ChangeSpec, Finding, Late, Preview, ReadBack, Risk
from state.changes.sight import Sight, describe, look
from state.errors import EffectRefused
from state.estate.model import Estate, Name
from state.ports.database import CanRepoint, Database
from state.ports.outside import Outside
from state.ports.target import Receipt
from state.units import megabytes
from state.verdicts.forks import same_branch, wrote_past
from state.world.readings import PostgresReading

KIND = "database.repoint"


class RepointArgs(NodeArgs):
    """A database, a standby, and the node that it is to stream from."""

    to: Name


class Repoint(ClusterChange):
    """Done when the standby streams from that node, on its timeline."""

    risk = Risk.B2
    quiet = 20.0

    def __init__(self, args: RepointArgs, estate: Estate, database: Database) -> None:
        super().__init__(KIND, args, estate, database, args.node)
        self.to = args.to
        self.title = f"Let {self.name} stream from {args.to}"
        self.verb = f"let {args.node} stream from {args.to}"

    @property
    def late(self) -> Late:
        """The server takes the setting over at its reload."""
        return Late(self._delivery, 5.0, "PostgreSQL: primary_conninfo is taken over at a reload")

    async def preview(self, *, deadline: float) -> Preview:
        """From whom it streams now, and whether it can follow the other node at all."""
        self.known(self.node)
        self.known(self.to)
        sight = await look(self.database, deadline)
        able = isinstance(self.database, CanRepoint)
        now = (
            await self.database.upstream(self.node, deadline=deadline) if isinstance(self.database, CanRepoint) else ""
        )
        streams = self._streams(sight)
        back = {"database": self.cluster_name, "node": self.node, "to": now} if now in self.database.nodes else None
        return Preview(
            verb=self.verb,
            diffs=(Diff(f"{self.name} upstream", now or "none", self.to),),
            facts={"now": now},
            rules=(
                *self.able(able, "repoint a standby", "Its manager does that by itself"),
                *self._one_writer(sight.writable),
                *self._rules(sight.servers.get(self.node), sight.servers.get(self.to)),
            ),
            sessions_cut=0,
            undo=ChangeSpec(KIND, back) if back is not None and now != self.to else None,
            already=able and now == self.to and streams,
        )

    def _one_writer(self, writable: Sequence[str]) -> tuple[Rule, ...]:
        """Which of two histories a standby follows is decided by a fence, not beside both."""
        if len(writable) < 2:
            return ()
        fact = f"{' and '.join(writable)} accept writes"
        return (self.rule("single-primary", False, fact, "Fence one of them first", "commander"),)

    def _rules(self, server: PostgresReading | None, source: PostgresReading | None) -> tuple[Rule, ...]:
        if server is None or source is None:
            silent = self.node if server is None else self.to
            return (self.rule("answers", False, f"{silent} does not answer", "Choose a node that answers"),)
        administrator = "database administrator"
        stands = server.in_recovery and self.node != self.to
        fact = f"{self.node} {'is a standby' if stands else 'accepts writes, or is the node itself'}"
        found = [self.rule("standby", stands, fact, "Fence it and rejoin it", administrator)]
        if source.system_id != server.system_id:
            fact = f"{self.node} and {self.to} are of different database systems"
            found.append(self.rule("same-system", False, fact, "Rebuild it", administrator))
        own = server.held
        theirs = source.held
        if own is None or theirs is None:
            found.append(self.rule("known-position", False, "a position is not known", "Wait until it is"))
        elif own > theirs and source.timeline == server.timeline:
            fact = f"{self.node} has {megabytes(own - theirs)} more than {self.to}"
            found.append(self.rule("not-ahead", False, fact, f"Choose another node; {self.to} cannot feed it"))
        if (source.timeline or 0) < (server.timeline or 0):
            fact = f"{self.node} is on timeline {server.timeline}, {self.to} on {source.timeline}"
            found.append(self.rule("same-history", False, fact, "Choose a node of its own history", administrator))
        elif source.timeline != server.timeline:
            found.append(self._left(server, source))
        elif same_branch(server, source) is False:
            fact = f"timeline {source.timeline} of {self.to} is not that of {self.node}: they were promoted apart"
            found.append(self.rule("same-history", False, fact, "Rejoin it: recovery db rejoin", administrator))
        return tuple(found)

    def _left(self, server: PostgresReading, source: PostgresReading) -> Rule:
        """Its history must not go past the point where the other one left it."""
        past = wrote_past(server, source)
        if past is None:
            fact = f"where timeline {source.timeline} of {self.to} began is not known"
            return self.rule("same-history", False, fact, "Let the reading role read history files")
        fact = f"{self.node} {'has WAL past' if past else 'ends before'} the point where {self.to} began its timeline"
        return self.rule("same-history", not past, fact, "Rejoin it: recovery db rejoin", "database administrator")

    def _streams(self, sight: Sight) -> bool:
        server, source = sight.servers.get(self.node), sight.servers.get(self.to)
        if server is None or source is None:
            return False
        return server.receiver_state == "streaming" and server.timeline == source.timeline

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Change the setting of the standby once."""
        if not isinstance(self.database, CanRepoint):
            raise EffectRefused(f"{self.cluster_name}: its adapter cannot repoint a standby")
        return await self.database.repoint(self.node, self.to, deadline=deadline)

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """From whom it streams now."""
        assert isinstance(self.database, CanRepoint), "it was repointed"
        now = await self.database.upstream(self.node, deadline=deadline)
        sight = await look(self.database, deadline)
        evidence = (f"{self.node} streams from {now or 'nobody'}", describe(self.node, sight))
        if now != self.to:
            return ReadBack(Finding.NOT_DONE, evidence)
        if not self._streams(sight):
            return ReadBack(Finding.PARTIAL, (f"it is set to stream from {self.to} and does not", *evidence))
        return ReadBack(Finding.DONE, evidence)


def _build(args: RepointArgs, estate: Estate, outside: Outside) -> Repoint:
    return Repoint(args, estate, database_of(args.database, outside))


KINDS = (ChangeKind(KIND, "Repoint a standby", RepointArgs, Risk.B2, _build, cluster_by_hand("repoint")),)
