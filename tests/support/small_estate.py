"""A small estate on in-memory adapters: the whole engine in milliseconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from adapters.balancers.memory import MemoryBalancer
from adapters.journals.memory import MemoryJournal
from adapters.signatures.openssh import OpenSshSignatures
from state.api.caller import Caller
from state.api.card import Card
from state.api.messages import Accepted
from state.api.requests import PlanChange, PlanRequest, Submission
from state.clock import Clock
from state.config_files.located import Located
from state.engine.engine import Engine
from state.estate.model import Estate
from state.journal.store import JournalStore
from state.planning.library import Library
from state.ports.anchors import AnchorPlace
from state.ports.keys import SealKeys
from state.ports.outside import Outside
from state.runbooks.model import Runbook
from state.runs.fault_points import Reach, ignore_point
from state.world.balancer_parts import BalancerReading
from tests.support.virtual_time import VirtualLoop

COMMANDER = Caller(1000, "ada", "ada", ("commander", "responder"), "s1", read_only=False)
RESPONDER = Caller(1001, "ben", "ben", ("responder",), "s2", read_only=False)
OBSERVER = Caller(1000, "ada", "ada", ("commander", "responder"), "s3", read_only=True)
STRANGER = Caller(4242, "mallory", "", (), "s4", read_only=False)


class LoopClock:
    """The clocks that the running loop goes by: those of the machine, or those of a loop on virtual time."""

    def __init__(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        self._virtual = loop if isinstance(loop, VirtualLoop) else None

    def mono(self) -> float:
        return time.monotonic() if self._virtual is None else self._virtual.mono()

    def wall(self) -> float:
        return time.time() if self._virtual is None else self._virtual.wall()


ESTATE: Mapping[str, Any] = {
    "estate": "small",
    "environment": "lab",
    "sites": {"east": {}},
    "people": {
        "ada": {"accounts": ["ada"], "roles": ["commander", "responder"]},
        "ben": {"accounts": ["ben"], "roles": ["responder"]},
    },
    "services": {
        "shop": {
            "tier": 1,
            "rto": "5m",
            "rpo": "1MB",
            "owners": ["ada"],
            "traffic": {
                "balancers": ["edge"],
                "backend": "shop",
                "floor": 1,
                "colours": {"blue": "v41", "green": "v42"},
            },
        }
    },
    "balancers": {"edge": {"kind": "memory", "site": "east"}},
    "policies": {"confirm": {"arm": "10ms", "plan_expires": "30s"}, "delivery": "200ms"},
}


@dataclass
class BalancerSource:
    """Polls a balancer quickly."""

    balancer: MemoryBalancer
    key: str = "balancer:edge"
    every: float = 0.05
    deadline: float = 0.5
    limit: float = 1.0

    async def read(self) -> BalancerReading:
        return await self.balancer.read(deadline=0.5)

    async def close(self) -> None:
        return


@dataclass
class Small:
    """A running engine and its outside."""

    engine: Engine
    balancer: MemoryBalancer
    store: JournalStore
    cards: list[Card] = field(default_factory=list)

    async def preview(self, request: PlanRequest, caller: Caller = COMMANDER) -> Card:
        card = await self.engine.preview(caller, request)
        self.cards.append(card)
        return card

    async def submit(self, card: Card, caller: Caller = COMMANDER, **typed: str) -> Accepted:
        await asyncio.sleep(card.confirmation.arm)
        request = Submission(card.plan, card.fingerprint, replace(card.confirmation.typed, **typed))
        return await self.engine.submit(caller, request)

    async def ended(self, run: str, seconds: float = 8.0) -> str:
        """Wait for a run to end or to need somebody; its state."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while loop.time() < until:
            found = self.engine.history.runs[run]
            if found.ended or found.shown_state().value in ("paused", "waiting"):
                return found.shown_state().value
            await asyncio.sleep(0.01)
        return found.shown_state().value

    async def weights(self) -> dict[str, int]:
        return {s.name: s.weight for s in await self.balancer.read_backend("shop", deadline=1)}

    def kinds(self) -> list[str]:
        return [row.kind for row in self.engine.journal_rows(0, 10_000)]


def change(kind: str, **args: Any) -> PlanChange:
    return PlanChange(kind, {"balancer": "edge", "backend": "shop", **args})


def flip(to: str) -> PlanChange:
    return change("backend.flip", to=to)


def runbook(data: Mapping[str, Any]) -> Runbook:
    return Runbook.model_validate(data).placed(Located(dict(data), "test.yaml"))


@asynccontextmanager
async def small(
    *runbooks: Mapping[str, Any],
    balancer: MemoryBalancer | None = None,
    store: JournalStore | None = None,
    reach: Reach = ignore_point,
    estate: Mapping[str, Any] | None = None,
    clock: Clock | None = None,
    every: float = 0.05,
    more: Sequence[MemoryBalancer] = (),
    keys: SealKeys | None = None,
    anchors: Mapping[str, AnchorPlace] | None = None,
) -> AsyncIterator[Small]:
    """A started engine; give the same balancer and store again to model a restart. `more` are other balancers."""
    balancer = balancer or MemoryBalancer("edge", {"shop": {"blue": 100, "green": 0}})
    store = store if store is not None else MemoryJournal()
    model = Estate.model_validate(estate or ESTATE)
    each = {"edge": balancer, **{other.name: other for other in more}}
    sources = tuple(BalancerSource(one, f"balancer:{name}", every) for name, one in each.items())
    outside = Outside(sources, each, {}, anchors=anchors or {}, signatures=OpenSshSignatures())
    books = {b["runbook"]: runbook(b) for b in runbooks}
    library = Library(books, model, {})
    about: Mapping[str, Any] = {"node": "test", "pid": 1, "uid": 0, "reach": reach, "keys": keys}
    engine = Engine(model, outside, store, clock or LoopClock(), library, **about)
    await engine.start()
    try:
        yield Small(engine, balancer, store)
    finally:
        await engine.stop()
