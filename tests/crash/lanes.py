"""Targets whose change is killed again and again, one after the other; several of these go on at once."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from adapters.lab.client import LabClient
from tests.crash.targets import Truth
from tests.support.real_engine import until

COLOURS = {"blue": (100, 0), "green": (0, 100)}


class Order(NamedTuple):
    """A change to be asked for, the truth before it, and the truth once it is done."""

    kind: str
    args: dict[str, Any]
    before: Any
    after: Any


class Lane(Protocol):
    """One target. Within `longest` seconds after its submission a change has come to its end, within `sending` its
    effect was sent; within `again` seconds after its start the next engine knows what became of it."""

    name: str
    sections: tuple[str, ...]
    sending: float
    longest: float
    again: float

    async def order(self, chance: random.Random) -> Order:
        """Wait until the target is whole; what to ask for next."""

    async def truth(self) -> Any:
        """What is so, asked past the engine."""

    async def readable(self) -> bool:
        """Whether the target can tell at all."""

    async def restore(self) -> None:
        """As it was at first."""


class Backend:
    """The weights of two servers at one HAProxy: flips of checkout, weights of catalog; two commands each."""

    sections: tuple[str, ...] = ("balancers", "services")
    sending, longest, again = 0.08, 1.6, 1.0

    def __init__(self, truth: Truth, site: str, backend: str) -> None:
        self._truth, self._site, self._backend = truth, site, backend
        self.name = "HAProxy"
        self._servers = ("blue", "green") if backend == "checkout" else ("a", "b")

    async def order(self, chance: random.Random) -> Order:
        before = await self.truth()
        where = {"balancer": f"edge-{self._site}", "backend": self._backend}
        if self._backend == "checkout":
            if before not in COLOURS.values():
                await self.restore()
                before = await self.truth()
            to = "green" if before == COLOURS["blue"] else "blue"
            return Order("backend.flip", {**where, "to": to}, before, COLOURS[to])
        wanted = tuple(chance.choice([w for w in range(1, 101) if w != was]) for was in before)
        given = dict(zip(self._servers, wanted, strict=True))
        return Order("backend.weights", {**where, "weights": given}, before, wanted)

    async def truth(self) -> tuple[int, ...]:
        servers = await self._truth.servers(self._site, self._backend)
        return tuple(servers[name][0] for name in self._servers)

    async def readable(self) -> bool:
        return True

    async def restore(self) -> None:
        for server, weight in zip(self._servers, (100, 0 if self._backend == "checkout" else 100), strict=True):
            command = f"set server {self._backend}/{server} weight {weight}"
            assert (await self._truth.haproxy(self._site, command)).strip() == ""


class Cluster:
    """The leader of the lab's Patroni cluster; the truth is who takes writes on which timeline."""

    name = "Patroni"
    sections: tuple[str, ...] = ("databases",)
    sending, longest, again = 2.0, 7.0, 5.0

    def __init__(self, lab: LabClient, truth: Truth) -> None:
        self._lab, self._truth = lab, truth

    async def order(self, chance: random.Random) -> Order:
        async def streaming() -> bool:
            nodes = (await self._lab.status())["nodes"].values()
            following = [n for n in nodes if n["replica"] is True and n["age"] is not None and n["age"] < 3]
            return len(following) == len(nodes) - 1

        await until(streaming, 120, "the cluster is not whole")
        leader, timeline = await self.truth()
        to = chance.choice([name for name in await self._truth.postgres() if name != leader])
        return Order("database.switchover", {"database": "orders", "to": to}, (leader, timeline), (to, timeline + 1))

    async def truth(self) -> tuple[str, int]:
        found: list[tuple[str, int]] = []

        async def told() -> bool:
            found[:] = self._writers(await self._truth.postgres())
            return len(found) == 1

        await until(told, 120, lambda: f"writers: {found}")
        return found[0]

    async def readable(self) -> bool:
        nodes = await self._truth.postgres()
        return len(nodes) == len(self._lab.description()["nodes"]) and len(self._writers(nodes)) == 1

    def _writers(self, nodes: Mapping[str, int | None]) -> list[tuple[str, int]]:
        return [(name, timeline) for name, timeline in nodes.items() if timeline is not None]

    async def restore(self) -> None:
        """Whoever leads, the cluster is whole once every standby streams; the next to use it waits for that."""
