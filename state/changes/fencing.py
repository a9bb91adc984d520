"""Reads what proves that an old primary is fenced, and makes the rules of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from state.api.card import Rule
from state.changes.sight import Sight
from state.errors import ReadFailure
from state.estate.arguments import UnfitValue, filled_argv, valid_values
from state.estate.model import Estate
from state.ports.database import Database, HasLease
from state.ports.outside import Outside
from state.verdicts.cluster import node_behind
from state.verdicts.fence import FenceEvidence, FenceProof, HostWord, Isolation, fence_proof, unfenced
from state.verdicts.twins import twins
from state.world.balancer_parts import Server


class Fences:
    """What is known of the nodes of one database that may still write."""

    def __init__(self, name: str, estate: Estate, outside: Outside, database: Database) -> None:
        self._name, self._estate, self._outside, self._database = name, estate, outside, database
        self._entry = estate.databases[name]

    async def read(self, sight: Sight, candidate: str, deadline: float) -> tuple[FenceEvidence, ...]:
        """The evidence about every node but the candidate."""
        nodes = [node for node in self._database.nodes if node != candidate]
        silent = [node for node in nodes if sight.servers.get(node) is None]
        words = await asyncio.gather(*(self.at_host(node, deadline) for node in silent))
        hosts = dict(zip(silent, words, strict=True))
        lease = self._database.lease() if isinstance(self._database, HasLease) else None
        past = await self._isolation(deadline) if lease is not None and silent else {}
        same = twins(sight.servers)
        return tuple(
            FenceEvidence(
                node,
                sight.servers.get(node),
                hosts.get(node),
                lease,
                past.get(node, Isolation(None, "no balancer of the estate leads to its primary")),
                same.get(node, ""),
            )
            for node in nodes
        )

    def rules(self, evidence: Sequence[FenceEvidence]) -> tuple[Rule, ...]:
        """One rule for each node that is not proven to be a standby all along."""
        found: list[Rule] = []
        for each in evidence:
            proof = fence_proof(each)
            source = f"the nodes of {self._name}"
            if proof is None:
                found.append(Rule("fenced", False, unfenced(each), self._way_out(each), "commander", source=source))
            else:
                found.append(Rule("fenced", True, f"{proof.kind}: {proof.fact}", source=source))
        return tuple(found)

    def _way_out(self, evidence: FenceEvidence) -> str:
        node = evidence.node
        command = self._entry.nodes[node].fence
        if evidence.twin:
            return f"Give each node the address of its own server in the estate: {node}"
        if command is None:
            return (
                f"Stop PostgreSQL on {node} by hand and name a command that reads it: nodes.{node}.fence in the estate"
            )
        return f"Fence it: n on Replication, or recovery db fence {self._name} {node}"

    async def at_host(self, node: str, deadline: float) -> HostWord | None:
        """What the reading of the node's fence command says; None where the estate names none."""
        name = self._entry.nodes[node].fence
        if name is None:
            return None
        entry, target = self._estate.commands[name], self._outside.commands.get(name)
        if entry.read is None or target is None:
            return HostWord(name, None, "it has no reading")
        try:
            values = valid_values(entry.params, {"node": node} if "node" in entry.params else {})
            argv = filled_argv(entry.read.argv, entry.params, values)
            answer = await target.read(argv, effect="", deadline=deadline)
        except (UnfitValue, ReadFailure) as error:
            return HostWord(name, None, str(error))
        stopped = True if answer.code in entry.read.done else False if answer.code in entry.read.not_done else None
        return HostWord(name, stopped, str(answer))

    async def _isolation(self, deadline: float) -> Mapping[str, Isolation]:
        """Of each node, whether the balancers that lead to the primary lead past it."""
        backends = [backend for backend, role in self._entry.frontends.items() if role == "primary"]
        if not backends:
            return {}
        found: dict[str, list[Server]] = {}
        silent: list[str] = []
        for name, balancer in self._outside.balancers.items():
            try:
                reading = await balancer.read(deadline=deadline)
            except ReadFailure:
                silent.append(name)
                continue
            for server in (each for backend in backends for each in reading.of(backend)):
                found.setdefault(node_behind(self._entry, server), []).append(server)
        if silent:
            told = Isolation(None, f"balancer {' and '.join(silent)} does not answer")
            return dict.fromkeys(self._database.nodes, told)
        strange = [s for name, each in found.items() if name not in self._database.nodes for s in each if _used(s)]
        if strange:  # by whatever name and port, it may lead to any of the nodes
            names = ", ".join(f"{each.backend}/{each.name}" for each in strange)
            told = Isolation(None, f"the balancers lead to {names}, which is no node of the estate")
            return dict.fromkeys(self._database.nodes, told)
        return {node: _past(node, found.get(node, [])) for node in self._database.nodes}


def _used(server: Server) -> bool:
    """Whether it takes new traffic, or has some."""
    return server.serving or server.sessions > 0


def fenced(evidence: Sequence[FenceEvidence]) -> Mapping[str, FenceProof | None]:
    """The proof of each node."""
    return {each.node: fence_proof(each) for each in evidence}


def _past(node: str, servers: Sequence[Server]) -> Isolation:
    if not servers:
        return Isolation(None, f"no balancer has a server {node}")
    leads = [f"{each.backend}/{each.name}" for each in servers if each.serving]
    if leads:
        return Isolation(False, f"the balancers still lead to {node}: {', '.join(leads)}")
    if any(each.sessions for each in servers):
        open_ = sum(each.sessions for each in servers)
        return Isolation(False, f"{open_} sessions to {node} are still open at the balancers")
    return Isolation(True, f"no balancer leads to {node}")
