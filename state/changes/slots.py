"""Drop a replication slot that is lost: it keeps nothing any more and its consumer cannot go on with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from state.api.card import CardWarning, Diff, Rule, WarningKind
from state.changes.cluster_base import ClusterChange, NodeArgs, database_of
from state.changes.hands import cluster_by_hand
from state.changes.model import ChangeKind, Finding, Late, Preview, ReadBack, Risk
from state.changes.sight import look
from state.config_files.suggestions import not_found
from state.errors import EffectRefused
from state.estate.model import Estate
from state.ports.database import CanDropSlot, Database, RemembersSlots
from state.ports.outside import Outside
from state.ports.target import Receipt
from state.world.postgres_parts import ReplicationSlot
from state.world.readings import PostgresReading

KIND = "database.drop-slot"
SlotName = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,63}$")]


class SlotArgs(NodeArgs):
    """A database, a node, and the slot of it that is dropped."""

    slot: SlotName


class DropSlot(ClusterChange):
    """Done when the node has no slot of this name."""

    risk = Risk.B2
    quiet = 5.0
    timeout = 10.0

    def __init__(self, args: SlotArgs, estate: Estate, database: Database) -> None:
        super().__init__(KIND, args, estate, database, args.node)
        self.slot = args.slot
        self.title = f"Drop slot {args.slot} of {self.name}"
        self.verb = f"drop slot {args.slot}"

    @property
    def late(self) -> Late:
        """One statement: it is over when its session is."""
        return Late(self._delivery, 5.0, "PostgreSQL: a statement ends with its session")

    async def preview(self, *, deadline: float) -> Preview:
        """What the slot is, and that nobody uses it. Raises NotFound for one that was never seen there."""
        self.known(self.node)
        sight = await look(self.database, deadline)
        server = sight.servers.get(self.node)
        slot = _slot(server, self.slot)
        if server is not None and slot is None and isinstance(self.database, CanDropSlot):
            self._was_there(server)
        return Preview(
            verb=self.verb,
            diffs=(Diff(f"{self.name} slot {self.slot}", _told(server, slot), "dropped"),),
            facts={"slot": _told(server, slot)},
            rules=(
                *self.able(isinstance(self.database, CanDropSlot), "drop a slot", "Drop it by hand"),
                *self._rules(server, slot),
            ),
            warnings=(CardWarning(WarningKind.EFFECT, self.name, "its consumer must be built anew"),) if slot else (),
            sessions_cut=0,
            already=server is not None and slot is None,
        )

    def _was_there(self, server: PostgresReading) -> None:
        """One that is gone is dropped already; a name of which nothing was ever seen is a mistake. Raises NotFound."""
        seen = self.database.slots_seen(self.node) if isinstance(self.database, RemembersSlots) else ()
        if self.slot not in seen:
            raise not_found(f"slot of {self.name}", self.slot, [each.name for each in server.slots])

    def _rules(self, server: PostgresReading | None, slot: ReplicationSlot | None) -> tuple[Rule, ...]:
        if server is None:
            return (self.rule("answers", False, f"{self.node} does not answer", "Wait until it does"),)
        if slot is None:
            return ()
        idle = f"slot {self.slot} is {'in use' if slot.active else 'not in use'}"
        state = f"slot {self.slot} is {slot.wal_status or 'in an unknown state'}"
        return (
            self.rule("slot-idle", not slot.active, idle, "Stop its consumer first"),
            self.rule(
                "slot-lost",
                slot.lost,
                state,
                "Only a lost slot is dropped here: its consumer could go on",
            ),
        )

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Drop it once."""
        if not isinstance(self.database, CanDropSlot):
            raise EffectRefused(f"{self.cluster_name}: its adapter cannot drop a slot")
        return await self.database.drop_slot(self.node, self.slot, deadline=deadline)

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """The node's slots."""
        server = (await look(self.database, deadline)).servers.get(self.node)
        evidence = (f"{self.node}, slot {self.slot}: {_told(server, _slot(server, self.slot))}",)
        if server is None:
            return ReadBack(Finding.UNKNOWN, evidence)
        return ReadBack(Finding.NOT_DONE if _slot(server, self.slot) else Finding.DONE, evidence)


def _slot(server: PostgresReading | None, name: str) -> ReplicationSlot | None:
    return None if server is None else next((each for each in server.slots if each.name == name), None)


def _told(server: PostgresReading | None, slot: ReplicationSlot | None) -> str:
    if server is None:
        return "not read"
    if slot is None:
        return "not there"
    return f"{slot.slot_type}, {slot.wal_status or 'state unknown'}, {'in use' if slot.active else 'not in use'}"


def _build(args: SlotArgs, estate: Estate, outside: Outside) -> DropSlot:
    return DropSlot(args, estate, database_of(args.database, outside))


KINDS = (ChangeKind(KIND, "Drop a lost slot", SlotArgs, Risk.B2, _build, cluster_by_hand("drop-slot")),)
