"""The real engine behind real sockets, on targets in memory that refuse, ignore, lose or never answer their effects.

It runs in the test's own loop; verbs come as processes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from adapters.api_server import ApiServer, Sockets
from adapters.balancers.memory import MemoryBalancer
from adapters.journals.memory import MemoryJournal
from adapters.journals.session_files import SessionFiles
from adapters.registry import kinds
from state.api.caller import Caller
from state.api.requests import PlanRequest, Submission
from state.config_files.located import Located
from state.engine.engine import Engine
from state.engine.setup import FilesNow, Setup
from state.errors import EffectRefused, EffectUnknown, ReadFailure, Trouble
from state.estate.parse import parse_estate
from state.planning.library import Library
from state.ports.balancer import ServerState
from state.ports.outside import Outside
from state.ports.target import Receipt
from state.world.balancer_parts import BalancerReading
from state.world.readings import PatroniReading, PostgresReading, ProbeReading, Reading, VersionReading
from state.world.record_sets import NameLook, NameSeen, RecordSet, Sets
from tests.support.acting_access import MannersAccess
from tests.support.cards import MemoryDatabase
from tests.support.memory_zone import MemoryZone
from tests.support.real_engine import folder
from tests.support.release_site import Answers, ToldSource, digest
from tests.support.run_books import ask, check, weight
from tests.support.small_estate import BalancerSource, LoopClock, runbook
from tests.unit.verdict_world import MB, manager, primary, standby

T = TypeVar("T")
HERE = Caller(os.getuid(), "here", "u1", ("commander", "responder"), "test", read_only=False)
STANDBYS = ("n1", "n2", "n3")
BOOKS = (
    {"runbook": "one", "title": "One", "steps": [weight("w", "green", 5), check("c", "server.serving", "green")]},
    {"runbook": "single", "title": "Single", "steps": [weight("w", "green", 5, on_failure="stop")]},
    {
        "runbook": "asking",
        "title": "Ask",
        "steps": [ask("q", {"go": "continue", "no": "stop"}), weight("w", "green", 9)],
    },
    {"runbook": "long", "title": "Long", "steps": [{"id": "rest", "wait": "10m"}, weight("w", "green", 9)]},
)
TREE: dict[str, Any] = {
    "estate": "matrix",
    "environment": "lab",
    "sites": {"east": {}, "west": {}},
    "services": {
        "shop": {
            "tier": 1, "rto": "5m", "rpo": "1MB",
            "traffic": {
                "balancers": ["edge"],
                "backend": "shop",
                "floor": 1,
                "colours": {"blue": "1", "green": {"release": "2", "site": "west"}},
            },
        },
        "led": {
            "tier": 2, "rto": "5m", "rpo": "1MB",
            "traffic": {
                "balancers": ["edge"],
                "backend": "led-a",
                "routes": {"map": "led.map", "key": "led.test", "backends": {"a": "led-a", "b": "led-b"}},
            },
        },
    },
    "balancers": {
        "edge": {
            "kind": "memory", "site": "east",
            "backends": {"shop": {"blue": 100, "green": 0}, "led-a": {"s": 1}, "led-b": {"s": 1}},
            "maps": {"led.map": {"led.test": "led-a"}},
        }
    },
    "databases": {
        "orders": {
            "kind": "patroni", "scope": "orders", "rpo": "1MB", "user": "r", "tls": "loopback", "access": {},
            "nodes": {
                n: {"site": "east", "postgres": f"127.0.0.1:{at}", "api": f"http://127.0.0.1:{at}1"}
                for at, n in enumerate(STANDBYS, 1)
            },
        }
    },
    "zones": {"shop.example": {"kind": "rfc2136", "servers": ["127.0.0.1:53"]}},
    "monitors": {
        "versions": {
            "kind": "version",
            "targets": {
                each: {"site": site, "service": "shop", "server": each, "url": "http://127.0.0.1:1/version"}
                for each, site in (("blue", "east"), ("green", "west"))
            },
        },
        "probes": {
            "kind": "http",
            "targets": {"shop": {"site": "east", "service": "shop", "url": "http://127.0.0.1:1/"}},
        },
    },
    "policies": {"confirm": {"arm": "10ms", "plan_expires": "2m"}},
}  # fmt: skip


@dataclass
class Manners:
    """How the targets of a site behave; `told` is set when one is told something.

    `mode`: `well`; `refuses`; `ignores`: an answer as after success, and no effect; `vanishes`: no answer, and nothing
    can be read any more; `hangs`: no answer at all.
    """

    mode: str = "well"
    readable: bool = True
    told: asyncio.Event = field(default_factory=asyncio.Event)

    async def effect(self) -> bool:
        """Behave; whether the effect happens."""
        self.told.set()
        if self.mode == "refuses":
            raise EffectRefused("Permission denied", "denied")
        if self.mode == "vanishes":
            self.readable = False
            raise EffectUnknown("the connection was lost")
        if self.mode == "hangs":
            await asyncio.Event().wait()
        return self.mode == "well"

    def reading(self, value: T) -> T:
        """What is read, while it can be read."""
        if not self.readable:
            raise ReadFailure(Trouble.TIMEOUT, "no answer")
        return value


class MannersBalancer(MemoryBalancer):
    """A balancer in memory with manners."""

    def __init__(self, manners: Manners) -> None:
        edge = TREE["balancers"]["edge"]
        super().__init__("edge", edge["backends"], edge["maps"])
        self._manners = manners

    async def read(self, *, deadline: float) -> BalancerReading:
        return self._manners.reading(await super().read(deadline=deadline))

    async def set_weight(self, backend: str, server: str, weight: int, *, deadline: float) -> Receipt:
        if await self._manners.effect():
            return await super().set_weight(backend, server, weight, deadline=deadline)
        return Receipt("silent", "")

    async def set_state(self, backend: str, server: str, state: ServerState, *, deadline: float) -> Receipt:
        if await self._manners.effect():
            return await super().set_state(backend, server, state, deadline=deadline)
        return Receipt("silent", "")

    async def set_map(self, name: str, key: str, value: str, *, deadline: float) -> Receipt:
        if await self._manners.effect():
            return await super().set_map(name, key, value, deadline=deadline)
        return Receipt("silent", "")


class MannersDatabase(MemoryDatabase):
    """A cluster in memory that can be switched over and paused, with manners. Fulfils CanSwitchOver and CanPause."""

    def __init__(self, manners: Manners) -> None:
        super().__init__()
        self._manners, self._leader, self._timeline = manners, "n1", 7
        self._paused = False
        self._follow()

    def _follow(self) -> None:
        at, line = 100 * MB, self._timeline
        self._servers = {
            n: primary(n, at, line) if n == self._leader else standby(n, at, timeline=line) for n in self.nodes
        }

    async def read_node(self, node: str, *, deadline: float) -> PostgresReading:
        return self._manners.reading(self._servers[node])

    async def read_member(self, node: str, *, deadline: float) -> PatroniReading:
        said = manager(node, self._leader, timeline=self._timeline, maximum_lag=100 * MB, paused=self._paused)
        return self._manners.reading(said)

    async def pause(self, *, paused: bool, deadline: float) -> Receipt:
        if await self._manners.effect():
            self._paused = paused
        return Receipt("configured", "")

    async def switch_over(self, leader: str, candidate: str, *, deadline: float) -> Receipt:
        if await self._manners.effect():
            self._leader, self._timeline = candidate, self._timeline + 1
            self._follow()
        return Receipt("switched", "Successfully switched over")


class MannersZone(MemoryZone):
    """A zone in memory with manners."""

    def __init__(self, manners: Manners) -> None:
        super().__init__("shop.example", {"www": {"A": RecordSet("A", 60, ("10.1.0.10",))}})
        self._manners = manners

    async def look(self, record: str, *, deadline: float) -> NameLook:
        return self._manners.reading(await super().look(record, deadline=deadline))

    async def seen(self, record: str, *, deadline: float) -> tuple[NameSeen, ...]:
        if not self._manners.readable:
            return tuple(NameSeen(server, None, "no answer") for server in self.servers)
        return await super().seen(record, deadline=deadline)

    async def set_records(self, record: str, before: Sets, after: Sets, *, deadline: float) -> Receipt:
        if await self._manners.effect():
            return await super().set_records(record, before, after, deadline=deadline)
        return Receipt("noerror", "NOERROR")


def instance_sources() -> list[ToldSource]:
    """What the instances of shop say: green runs the older release, blue the newer one; and that it answers."""
    runs = {"green": 1, "blue": 2}
    told: dict[str, Reading | None] = {
        f"version:versions/{name}": VersionReading(name, digest(number), str(3 - number), "", 1.0)
        for name, number in runs.items()
    }
    answers = Answers({**told, "probe:probes/shop": ProbeReading("shop", 200, 0.01)})
    return [ToldSource(key, answers, every=0.5) for key in answers.told]


class SameFiles:
    """Files of an estate that stay as they are. Fulfils EstateFiles."""

    def look(self) -> FilesNow:
        return FilesNow("", 0.0)

    def load(self, now: Setup) -> Setup:
        return now


class Site:
    """One engine, its door, and how its targets behave."""

    def __init__(self, place: Path, engine: Engine, manners: Manners, access: MannersAccess) -> None:
        self.estate, self.engine, self.manners, self.access = place / "estate.yaml", engine, manners, access
        self.door = ApiServer(engine, Sockets(place / "run"))

    async def act(self, request: PlanRequest) -> str:
        """Plan and confirm as the person that the verbs run as; the run."""
        card = await self.engine.preview(HERE, request)
        await asyncio.sleep(card.confirmation.arm)
        submission = Submission(card.plan, card.fingerprint, card.confirmation.typed)
        return (await self.engine.submit(HERE, submission)).run

    async def stands(self, run: str, *states: str) -> None:
        """Wait until a run is in one of these states."""
        async with asyncio.timeout(30):
            while self.engine.history.runs[run].shown_state().value not in states:
                await asyncio.sleep(0.02)

    async def followed(self) -> None:
        """Wait until a verb follows its run: a connection that is about to be accepted outlives its server."""
        async with asyncio.timeout(60):
            while not self.door.streams:
                await asyncio.sleep(0.02)

    async def lose(self) -> None:
        """The engine ends at once, as when it is killed: its sockets close, and nothing answers any more."""
        await self.door.stop()


@asynccontextmanager
async def acting_site(roles: Sequence[str] = ("commander", "responder")) -> AsyncIterator[Site]:
    """A started site. Verbs that come through its sockets have these roles; the engine runs as another account."""
    with folder() as place:
        (place / "run").mkdir()
        (place / "LAB.json").write_text("{}")
        (place / "estate.yaml").write_text("estate: matrix\n")
        people = {"u1": {"accounts": [str(os.getuid())], "roles": list(roles)}}
        estate = parse_estate(Located({**TREE, "people": people}, "estate.yaml"), kinds())
        manners = Manners()
        balancer, access = MannersBalancer(manners), MannersAccess(manners.effect)
        sources = (BalancerSource(balancer, every=0.5), *instance_sources())
        outside = Outside(
            sources,
            {"edge": balancer},
            {"orders": MannersDatabase(manners)},
            zones={"shop.example": MannersZone(manners)},
            access={"orders": access},
        )
        library = Library({str(b["runbook"]): runbook(b) for b in BOOKS}, estate, {})
        setup = Setup(estate, outside, library)
        engine = Engine(
            estate, outside, MemoryJournal(), LoopClock(), library,
            node="test", pid=os.getpid(), uid=os.getuid() + 1, setup=setup, files=SameFiles(),
            sessions=SessionFiles(place / "sessions"),
        )  # fmt: skip
        await engine.start()
        site = Site(place, engine, manners, access)
        try:
            await site.door.start()
            yield site
        finally:
            await site.door.stop()
            await engine.stop()
