"""A PostgreSQL cluster under pg_auto_failover 2.x: its monitor is asked, and each node for its own state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from adapters.context import AdapterContext, Polled
from adapters.databases.pg_auto_failover_parse import parse_state
from adapters.databases.postgres_lease import engine_name
from adapters.databases.postgres_options import ServedNode
from adapters.databases.streaming import servers_of
from adapters.databases.tabled import TabledCluster, TabledOptions, commands_of, tabled_sources
from state.errors import ReadFailure, Trouble
from state.estate.model import Entry, HandStep, Name
from state.estate.own import Argv
from state.estate.values import HostOrLocal
from state.ports.target import Receipt
from state.world.manager_tables import ManagerTable

KIND = "pg_auto_failover"
MONITOR = "monitor"


class KeeperEntry(Entry):
    """Where pg_autoctl is asked: the host it runs `on`, and the data folder there."""

    on: HostOrLocal
    pgdata: str


class PgAutoFailoverNode(ServedNode):
    """One node, named as pg_autoctl names it; with `keeper` its own state is read too."""

    keeper: KeeperEntry | None = None


class PgAutoFailoverOptions(TabledOptions):
    """A cluster under pg_auto_failover (`kind: pg_auto_failover`).

    `program` is how pg_autoctl is called on the hosts, `formation` and `group` what is asked of the monitor.
    """

    program: Argv = ("pg_autoctl",)
    formation: str = "default"
    group: int = 0
    monitor: KeeperEntry
    nodes: Mapping[Name, PgAutoFailoverNode]

    def run_on(self) -> Iterator[str]:
        return (each.on for each in self.asked.values())

    @property
    def asked(self) -> Mapping[str, KeeperEntry]:
        """The monitor, and the nodes whose own state is read."""
        return {MONITOR: self.monitor, **{name: n.keeper for name, n in self.nodes.items() if n.keeper is not None}}

    def read_by_hand(self) -> HandStep:
        return HandStep(
            super().read_by_hand().what, f"{' '.join(self.program)} show state --pgdata {self.monitor.pgdata}"
        )

    def switch_over_by_hand(self, to: str | None) -> HandStep:
        chosen = f"promotion --name {to}" if to else "switchover"
        sent = f"{' '.join(self.program)} perform {chosen} --pgdata {self.monitor.pgdata}"
        return HandStep(super().switch_over_by_hand(to).what, sent)


OPTIONS = PgAutoFailoverOptions


class PgAutoFailoverCluster(TabledCluster):
    """Fulfils HasTables and CanSwitchOver."""

    _options: PgAutoFailoverOptions

    @classmethod
    def of(
        cls, name: str, options: PgAutoFailoverOptions, context: AdapterContext, engine: str = ""
    ) -> PgAutoFailoverCluster:
        """The cluster of one estate entry. Raises ConfigError for a secret, certificates or a host."""
        commands = commands_of(name, {place: each.on for place, each in options.asked.items()}, context)
        cluster = cls(name, *servers_of(name, options, context, engine), commands)
        cluster._options = options
        return cluster

    async def read_table(self, place: str, *, deadline: float) -> ManagerTable:
        """What the monitor has of all nodes, or what one node has of itself. Raises ReadFailure."""
        apart = place == MONITOR
        asked = (*self._formation(), "--json") if apart else ("--local", "--json")
        argv = (*self._options.program, "show", "state", "--pgdata", self._options.asked[place].pgdata, *asked)
        answer = await self.commands[place].ask(argv, deadline=deadline)
        where = f"pg_autoctl {place}"
        if answer.code != 0:
            raise ReadFailure(Trouble.ERROR, f"{where}: show state ended with {answer.code}: {answer.warned}")
        rows = parse_state(answer.body, where)
        if not apart and [row.name for row in rows] != [place]:
            raise ReadFailure(Trouble.ERROR, f"{where}: it answers for {', '.join(row.name for row in rows)}")
        return ManagerTable(where, "" if apart else place, rows, whole=apart)

    async def switch_over(self, leader: str, candidate: str, *, deadline: float) -> Receipt:
        """`pg_autoctl perform promotion --name` at the monitor, once: a switchover to one node. It waits at most 60 s,
        and the monitor goes on after that. Raises EffectRefused and EffectUnknown."""
        del leader  # the monitor knows it
        words = ("perform", "promotion", "--pgdata", self._options.monitor.pgdata, *self._formation())
        argv = (*self._options.program, *words, "--name", candidate)
        return await self.order(MONITOR, argv, deadline=deadline)

    def _formation(self) -> tuple[str, ...]:
        return ("--formation", self._options.formation, "--group", str(self._options.group))


def build(
    name: str, options: PgAutoFailoverOptions, context: AdapterContext
) -> tuple[PgAutoFailoverCluster, Sequence[Polled]]:
    """The cluster of one estate entry and its sources `postgres:db/node` and `manager:db/place`. Raises ConfigError."""
    cluster = PgAutoFailoverCluster.of(name, options, context, engine_name())
    return cluster, tabled_sources(cluster, context)
