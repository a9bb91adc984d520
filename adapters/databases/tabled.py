"""What databases share whose manager is asked by commands on their hosts: its tables as sources, its orders once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from pydantic import model_validator

from adapters.context import AdapterContext, HostCommand, Polled
from adapters.databases.postgres import Access, PostgresNode
from adapters.databases.postgres_options import PostgresOptions
from adapters.databases.streaming import StreamedCluster, server_sources
from state.config_files.findings import refuse
from state.errors import EffectRefused
from state.estate.own import LOCAL, Argv, wrong_programs
from state.ports.target import Receipt
from state.world.manager_tables import ManagerTable


class TabledOptions(PostgresOptions):
    """A cluster whose manager is asked on hosts of the estate; `program` is how it is called there, without a shell."""

    program: Argv

    def run_on(self) -> Iterator[str]:
        """Where commands of the manager run."""
        return iter(())

    @model_validator(mode="after")
    def _program_is_fixed(self) -> TabledOptions:
        refuse(type(self), wrong_programs({("program",): self.program}))
        return self

    @property
    def through(self) -> Sequence[str]:
        hosts = (host for host in self.run_on() if host != LOCAL)
        return tuple(dict.fromkeys((*super().through, *hosts)))


class TabledCluster(StreamedCluster):
    """Fulfils HasTables, and what StreamedCluster does. The manager promotes and repoints, not this engine."""

    order_limit = 300.0

    def __init__(
        self,
        name: str,
        servers: Sequence[PostgresNode],
        places: Mapping[str, str],
        acting: Access | None,
        commands: Mapping[str, HostCommand],
    ) -> None:
        super().__init__(name, servers, places, acting)
        self.commands = commands
        self.table_places: Sequence[str] = tuple(commands)

    async def read_table(self, place: str, *, deadline: float) -> ManagerTable:
        """The table that the manager has at one place. Raises ReadFailure."""
        raise NotImplementedError

    async def order(self, place: str, argv: Sequence[str], *, deadline: float) -> Receipt:
        """Give the manager an order, once. Raises EffectRefused where nothing was started, and EffectUnknown for every
        end but exit code 0: an order that failed may have been carried out in part."""
        if place not in self.commands:
            raise EffectRefused(f"the estate names no place to command the manager of {self.name} at", "no-place")
        if deadline < self.order_limit:
            needed = f"an order to it may take {self.order_limit:g} s, and the step ends after {deadline:g} s"
            raise EffectRefused(f"the manager of {self.name} must not be stopped halfway: {needed}", "too-short")
        command = self.commands[place]
        return await command.run(argv, command.output(), effect="", deadline=deadline)


def tabled_sources(cluster: TabledCluster, context: AdapterContext) -> list[Polled]:
    """The sources `postgres:db/node` and `manager:db/place`."""
    tables = [
        context.source(f"manager:{cluster.name}/{place}", partial(cluster.read_table, place))
        for place in cluster.table_places
    ]
    return [*server_sources(cluster, context), *tables]


def commands_of(name: str, places: Mapping[str, str], context: AdapterContext) -> dict[str, HostCommand]:
    """The command of each place. Raises ConfigError for an unknown host."""
    return {place: context.command(f"databases/{name}/{place}", on) for place, on in places.items()}
