"""A PostgreSQL cluster under repmgr 5.x: each node is asked for its own table, and witnesses for theirs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from pydantic import Field, model_validator

from adapters.context import AdapterContext, Polled
from adapters.databases.postgres_lease import engine_name
from adapters.databases.postgres_options import ServedNode
from adapters.databases.repmgr_parse import parse_cluster_show, parse_node_check
from adapters.databases.streaming import servers_of
from adapters.databases.tabled import TabledCluster, TabledOptions, commands_of, tabled_sources
from state.config_files.findings import Finding, refuse
from state.errors import ReadFailure, Trouble
from state.estate.model import Entry, HandStep, Name
from state.estate.own import Argv
from state.estate.values import HostOrLocal
from state.ports.target import Receipt
from state.text import clean
from state.world.manager_tables import ManagerTable

KIND = "repmgr"
FOUND_ISSUES = 25
"""repmgr's exit code when it answers and something is wrong (ERR_NODE_STATUS)."""
NodeNumber = Annotated[int, Field(ge=1, le=2**31 - 1)]


class RepmgrNode(ServedNode):
    """One node: its `id` as `node_id` in its repmgr.conf, and the host that repmgr runs `on`."""

    id: NodeNumber
    on: HostOrLocal


class RepmgrWitness(Entry):
    """A witness server of repmgr: its `id`, and the host that repmgr runs `on`."""

    id: NodeNumber
    on: HostOrLocal


class RepmgrOptions(TabledOptions):
    """A cluster under repmgr (`kind: repmgr`).

    `program` is how repmgr is called on the hosts, `{node}` in it is the name of the place:
    `[sudo, -u, postgres, repmgr, -f, /etc/repmgr.conf]`.
    """

    program: Argv = ("repmgr",)
    nodes: Mapping[Name, RepmgrNode]
    witnesses: Mapping[Name, RepmgrWitness] = Field(default_factory=dict)

    def run_on(self) -> Iterator[str]:
        return (each.on for each in self.asked.values())

    @property
    def asked(self) -> Mapping[str, RepmgrNode | RepmgrWitness]:
        """Every place with a table: nodes and witnesses."""
        return {**self.nodes, **self.witnesses}

    @model_validator(mode="after")
    def _one_id_each(self) -> RepmgrOptions:
        refuse(type(self), self._doubled())
        return self

    def _doubled(self) -> Iterator[Finding]:
        seen: dict[int, str] = {}
        for part, entries in (("nodes", self.nodes), ("witnesses", self.witnesses)):
            for name, each in entries.items():
                if part == "witnesses" and name in self.nodes:
                    yield (part, name), name, "a name that no node has"
                elif each.id in seen:
                    yield (part, name, "id"), each.id, f"another id than that of {seen[each.id]}"
                seen[each.id] = name

    def read_by_hand(self) -> HandStep:
        return HandStep(super().read_by_hand().what, f"{' '.join(self.program)} cluster show")

    def switch_over_by_hand(self, to: str | None) -> HandStep:
        where = f"on {to or 'the standby that is to lead'}: "
        return HandStep(where + super().switch_over_by_hand(to).what, f"{' '.join(self.program)} standby switchover")


OPTIONS = RepmgrOptions


class RepmgrCluster(TabledCluster):
    """Fulfils HasTables and CanSwitchOver."""

    _options: RepmgrOptions

    @classmethod
    def of(cls, name: str, options: RepmgrOptions, context: AdapterContext, engine: str = "") -> RepmgrCluster:
        """The cluster of one estate entry. Raises ConfigError for a secret, certificates or a host."""
        commands = commands_of(name, {place: each.on for place, each in options.asked.items()}, context)
        cluster = cls(name, *servers_of(name, options, context, engine), commands)
        cluster._options = options
        return cluster

    async def read_table(self, place: str, *, deadline: float) -> ManagerTable:
        """What repmgr has at one place: `cluster show`, and on a node its own `node check`. Raises ReadFailure."""
        end, options = time.monotonic() + deadline, self._options
        names = {each.id: name for name, each in options.asked.items()}
        shown = await self._ask(place, ("cluster", "show", "--csv"), deadline)
        rows, strange = parse_cluster_show(shown, names, f"repmgr {place}", apart=frozenset(options.witnesses))
        if place in options.witnesses:
            return ManagerTable(f"repmgr {place}", "", rows, unknown_rows=strange)
        issues = await self._checked(place, max(0.1, end - time.monotonic()))
        return ManagerTable(f"repmgr {place}", place, rows, unknown_rows=strange, issues=issues)

    async def switch_over(self, leader: str, candidate: str, *, deadline: float) -> Receipt:
        """`repmgr standby switchover` on the candidate, once. 18 is no proof that nothing was done: it also ends a
        promotion that failed after the old leader was stopped. Raises EffectRefused and EffectUnknown."""
        del leader  # repmgr finds it itself
        siblings = ("--siblings-follow",) if len(self.nodes) > 2 or self._options.witnesses else ()
        argv = (*self._program(candidate), "standby", "switchover", *siblings)
        return await self.order(candidate, argv, deadline=deadline)

    async def _checked(self, place: str, deadline: float) -> tuple[str, ...]:
        """What is wrong at one node. A standby has no answer (6) without its primary; its table counts all the same."""
        try:
            told = await self._ask(place, ("node", "check", "--csv"), deadline)
        except ReadFailure as failure:
            return (f"node check gives no answer: {clean(failure.message, 160)}",)
        return parse_node_check(told, self._options.nodes[place].id, f"repmgr {place}")

    def _program(self, place: str) -> tuple[str, ...]:
        return tuple(word.replace("{node}", place) for word in self._options.program)

    async def _ask(self, place: str, words: tuple[str, ...], deadline: float) -> str:
        answer = await self.commands[place].ask((*self._program(place), *words), deadline=deadline)
        if answer.code not in (0, FOUND_ISSUES):
            message = f"repmgr {place}: {' '.join(words)} ended with {answer.code}: {answer.warned}"
            raise ReadFailure(Trouble.ERROR, message)
        return answer.body.decode(errors="replace")


def build(name: str, options: RepmgrOptions, context: AdapterContext) -> tuple[RepmgrCluster, Sequence[Polled]]:
    """The cluster of one estate entry and its sources `postgres:db/node` and `manager:db/place`. Raises ConfigError."""
    cluster = RepmgrCluster.of(name, options, context, engine_name())
    return cluster, tabled_sources(cluster, context)
