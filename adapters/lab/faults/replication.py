"""Faults of replication: replay, guarantees, tags, slots, the archive. Settings are changed beside Patroni, by ALTER
SYSTEM, and taken back on every node, because roles may move meanwhile."""

from __future__ import annotations

import json
import signal
from typing import ClassVar

from adapters.lab.cluster import SQL_ERRORS
from adapters.lab.errors import LabError, NoSuchFaultError
from adapters.lab.faults.fault import Fault
from adapters.lab.files import write_private
from adapters.lab.links.links import Mode
from adapters.lab.process.processes import send
from adapters.lab.render import LAB_SLOT
from adapters.lab.targets import Bench
from adapters.lab.waiting import until
from state.config_files.suggestions import not_found

STANDBYS = "standbys"
TAKES_EFFECT = 60.0
"""Seconds within which a fault of replication must be in effect, on a slow machine too."""


class ReplicationFault(Fault):
    """A fault that SQL makes; SQL's errors become the lab's."""

    needs = frozenset({"postgres"})
    settles_within = 60

    async def ask(self, node: str, sql: str, *arguments: object) -> object:
        """The first value that a statement gives. Raises LabError."""
        try:
            rows = await self.bench.cluster.query(node, sql, *arguments)
        except SQL_ERRORS as error:
            raise LabError(f"{node}: {sql}: {type(error).__name__}: {error}") from error
        return rows[0][0] if rows else None

    async def primary(self) -> str:
        """The node that leads. Raises LabError."""
        name = await self.bench.cluster.primary()
        if name is None:
            raise LabError("no node is the primary now")
        return name

    async def switch_file(self, node: str) -> None:
        """Let a primary begin another WAL file. Raises LabError."""
        await self.ask(node, "select pg_logical_emit_message(false, 'lab', 'filler')")
        await self.ask(node, "select pg_switch_wal()")

    async def set(self, node: str, **settings: str) -> None:
        """Set parameters of one server, and let them take effect. Raises LabError."""
        for name, value in settings.items():
            await self.ask(node, f"alter system set {name} = '{value}'")
        await self.ask(node, "select pg_reload_conf()")

    async def reset(self, *settings: str) -> None:
        """Take parameters back on every node that answers. Raises LabError when none does."""
        failed = []
        for node in self.bench.topology.nodes:
            try:
                for name in settings:
                    await self.ask(node, f"alter system reset {name}")
                await self.ask(node, "select pg_reload_conf()")
            except LabError as error:
                failed.append(str(error))
        if len(failed) == len(self.bench.topology.nodes):
            raise LabError("; ".join(failed))

    async def is_reset(self, *settings: str) -> bool:
        """Whether no server has these parameters by ALTER SYSTEM, by its own word."""
        sql = "select count(*) from pg_settings where name = any($1) and sourcefile like '%postgresql.auto.conf'"
        try:
            return all([await self.ask(node, sql, list(settings)) == 0 for node in self.bench.topology.nodes])
        except LabError:
            return False


class ReplayPaused(ReplicationFault):
    """A standby receives and does not apply. Its agent is frozen, because Patroni would resume replay at once."""

    name = "replay-paused"
    description = "the agent of a standby is frozen and replay paused: it receives everything and shows nothing new"
    undo_text = "resume replay, SIGCONT of the agent"

    async def choose(self, target: str | None) -> str:
        return await self.bench.standby(target)

    async def inject(self, target: str) -> None:
        if not await self.ask(target, "select pg_is_in_recovery()"):
            raise LabError(f"{target} is not a standby")
        self.bench.freeze_agent(target)

        async def paused() -> bool:
            return await self.ask(target, "select pg_get_wal_replay_pause_state()") == "paused"

        try:
            await self.ask(target, "select pg_wal_replay_pause()")
            await until(f"replay of {target} is paused", paused, TAKES_EFFECT)
        except LabError:
            await self.bench.resume_node(target)
            raise

    async def undo(self, target: str) -> None:
        await self.bench.resume_node(target)
        if await self.ask(target, "select pg_is_in_recovery()"):
            await self.ask(target, "select pg_wal_replay_resume()")

    async def undone(self, target: str) -> bool:
        try:
            standby = await self.ask(target, "select pg_is_in_recovery()")
            paused = standby and await self.ask(target, "select pg_get_wal_replay_pause_state()") != "not paused"
        except LabError:
            return False
        return not paused and await self.bench.cluster.healthy()


class SyncLost(ReplicationFault):
    """Two synchronous standbys must confirm, and one is cut off."""

    name = "sync-lost"
    description = "two synchronous standbys must confirm every commit, and one is cut off: commits wait"
    undo_text = "no standby needs to confirm; open the link, the standby connects again"
    seconds = 60
    limit = 300
    rule: ClassVar[str] = "2 ({names})"

    async def choose(self, target: str | None) -> str:
        if len(self.bench.topology.nodes) < 3:
            raise LabError(f"{self.name} needs three nodes")
        return await self.bench.standby(target)

    async def inject(self, target: str) -> None:
        primary = await self.primary()
        if target == primary:
            raise LabError(f"{target} is the primary now")
        await self.bench.wiring.set(f"replication-{target}", Mode.BLACKHOLE)
        sql = (
            "select coalesce(bool_and(now() - reply_time > interval '3 seconds'), true) from pg_stat_replication"
            " where application_name = $1"
        )

        async def silent() -> bool:
            return bool(await self.ask(primary, sql, target))

        try:
            await until(f"{target} is silent for {primary}", silent, TAKES_EFFECT)
            names = ", ".join(node for node in self.bench.topology.nodes if node != primary)
            await self.set(primary, synchronous_standby_names=self.rule.format(names=names))
        except LabError:
            await self.undo(target)
            raise

    async def undo(self, target: str) -> None:
        await self.bench.wiring.set(f"replication-{target}", Mode.PASS)
        self.bench.wiring.link(f"replication-{target}").cut(reset=True)
        await self.reset("synchronous_standby_names")

    async def undone(self, target: str) -> bool:
        return await self.is_reset("synchronous_standby_names") and await self.bench.cluster.settled()


class QuorumShort(SyncLost):
    """As many as possible must confirm, and one of them is cut off."""

    name = "quorum-short"
    description = "any two of two standbys must confirm every commit, and one is cut off: no quorum, commits wait"
    rule = "ANY 2 ({names})"


class NoFailover(ReplicationFault):
    """No standby may be promoted."""

    name = "nofailover"
    description = "every standby, or the one named, carries the tag nofailover: Patroni would promote none of them"
    needs = frozenset({"patroni"})
    undo_text = "take the tag back and let Patroni read its file again"

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._before: dict[str, str] = {}

    async def choose(self, target: str | None) -> str:
        nodes = self.bench.topology.nodes
        if target not in (None, STANDBYS, *nodes):
            raise NoSuchFaultError(str(not_found("node", str(target), (STANDBYS, *nodes))))
        return target or STANDBYS

    async def inject(self, target: str) -> None:
        primary = await self.primary()
        chosen = [n for n in self.bench.topology.nodes if n != primary] if target == STANDBYS else [target]
        for node in chosen:
            file = self.bench.topology.root / f"{node}.yml"
            text = self._before.setdefault(node, file.read_text(encoding="utf-8"))
            config = json.loads(text)
            config["tags"]["nofailover"] = True
            self._write(node, json.dumps(config, indent=1))

        async def tagged() -> bool:
            return set(chosen) <= await self._tagged()

        await until(f"{', '.join(chosen)} carry the tag", tagged, TAKES_EFFECT)

    def _write(self, node: str, text: str) -> None:
        write_private(self.bench.topology.root / f"{node}.yml", text)
        if self.bench.children.exit_code(node) is None:
            send([self.bench.children.pid(node)], signal.SIGHUP)

    async def _tagged(self) -> set[str]:
        members = await self.bench.cluster.members()
        return {name for name, member in members.items() if member.get("tags", {}).get("nofailover")}

    async def undo(self, target: str) -> None:
        for node, text in self._before.items():
            self._write(node, text)

    async def undone(self, target: str) -> bool:
        members = await self.bench.cluster.members()
        return bool(members) and not await self._tagged()


class PrimaryFault(ReplicationFault):
    """A fault of the node that leads."""

    async def choose(self, target: str | None) -> str:
        name = target or await self.primary()
        if name not in self.bench.topology.nodes:
            raise NoSuchFaultError(str(not_found("node", name, self.bench.topology.nodes)))
        return name

    async def require_primary(self, target: str) -> None:
        """Raises LabError unless a node accepts writes."""
        if await self.ask(target, "select pg_is_in_recovery()"):
            raise LabError(f"{target} is not the primary")


class SlotLost(PrimaryFault):
    """A consumer's slot falls behind what the primary keeps."""

    name = "slot-lost"
    description = f"the WAL of a logical slot, {LAB_SLOT}, is removed because its consumer does not read: it is lost"
    undo_text = "drop the slot, keep WAL as before"

    async def inject(self, target: str) -> None:
        await self.require_primary(target)
        try:
            await self.ask(target, "select pg_create_logical_replication_slot($1, 'pgoutput')", LAB_SLOT)
            await self.set(target, max_slot_wal_keep_size="1MB")

            async def lost() -> bool:
                await self._another_file(target)
                sql = "select wal_status from pg_replication_slots where slot_name = $1"
                return await self.ask(target, sql, LAB_SLOT) == "lost"

            await until(f"slot {LAB_SLOT} on {target} is lost", lost, TAKES_EFFECT, 0.5)
        except LabError:
            await self.undo(target)
            raise
        await self.reset("max_slot_wal_keep_size")

    async def _another_file(self, target: str) -> None:
        """Begin another WAL file when all standbys have this one: theirs is not to be removed."""
        await self.switch_file(target)
        end = await self.ask(target, "select pg_current_wal_lsn()::text")

        async def received() -> bool:
            sql = "select coalesce(bool_and(flush_lsn >= $1::text::pg_lsn), true) from pg_stat_replication"
            return bool(await self.ask(target, sql, end))

        await until(f"the standbys of {target} have its WAL", received, TAKES_EFFECT)
        await self.ask(target, "checkpoint")

    async def undo(self, target: str) -> None:
        sql = "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1"
        await self.ask(target, sql, LAB_SLOT)
        await self.reset("max_slot_wal_keep_size")

    async def undone(self, target: str) -> bool:
        sql = "select count(*) from pg_replication_slots where slot_name = $1"
        try:
            gone = await self.ask(target, sql, LAB_SLOT) == 0
        except LabError:
            return False
        return gone and await self.is_reset("max_slot_wal_keep_size")


class ArchiverFailing(PrimaryFault):
    """WAL does not reach the archive any more."""

    name = "archiver-failing"
    description = "the archive command of the primary fails: nothing newer can be restored, and pg_wal grows"
    undo_text = "the archive command succeeds again"

    async def inject(self, target: str) -> None:
        await self.require_primary(target)
        await self.set(target, archive_command="false")
        await self.switch_file(target)

        async def fails() -> bool:
            return await self._failing(target)

        await until(f"the archiver of {target} fails", fails, TAKES_EFFECT)

    async def _failing(self, node: str) -> bool:
        sql = (
            "select coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) from pg_stat_archiver"
        )
        return bool(await self.ask(node, sql))

    async def undo(self, target: str) -> None:
        await self.reset("archive_command")
        if not await self.ask(target, "select pg_is_in_recovery()"):
            await self.switch_file(target)

    async def undone(self, target: str) -> bool:
        try:
            standby = await self.ask(target, "select pg_is_in_recovery()")
            works = bool(standby) or not await self._failing(target)
        except LabError:
            return False
        return works and await self.is_reset("archive_command")
