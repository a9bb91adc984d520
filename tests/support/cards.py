"""Consequence cards as the engine makes them: its own planner on adapters in memory, at a fixed instant."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from typing import Any

from adapters.balancers.memory import MemoryBalancer
from adapters.journals.memory import MemoryJournal
from state.api.caller import Caller
from state.api.card import Card, Confirm
from state.api.requests import PlanChange, PlanRequest, PlanRunbook
from state.api.run_states import RunState, StepState
from state.engine.engine import Engine
from state.errors import EffectRefused
from state.estate.model import Estate
from state.journal.events import Instant
from state.planning.library import Library
from state.ports.outside import Outside
from state.ports.target import UNREADABLE, Identity, Receipt, began
from state.runs.model import Run, StepRun
from state.runs.steps import PlannedStep
from state.world.readings import PatroniReading, PostgresReading
from tests.support.small_estate import COMMANDER, runbook
from tests.unit.verdict_world import ESTATE, MB, WALL, manager, primary, standby

BEHIND = 13_247_296
"""Bytes of WAL that n2 lacks on the gravest card: more than the RPO of 1 MB."""
SITES = ("edge-east", "edge-west")
DRAIN = PlanChange("server.drain", {"balancer": "edge-east", "backend": "checkout", "server": "blue"})
FLIP_TO_BLUE = PlanChange("backend.flip", {"balancer": "edge-east", "backend": "checkout", "to": "blue"})
SWITCH = PlanChange("database.switchover", {"database": "orders", "to": "n2"})
ROLL_BACK = PlanRunbook("roll-back")
ROLL_BACK_STEPS = {
    "runbook": "roll-back",
    "title": "Roll a release back",
    "service": "checkout",
    "steps": [
        step
        for edge in SITES
        for step in (
            {
                "id": f"flip-{edge}",
                "change": "backend.flip",
                "with": {"balancer": edge, "backend": "checkout", "to": "green"},
            },
            {
                "id": f"active-{edge}",
                "title": f"{edge} serves from green",
                "check": "backend.active",
                "with": {"balancer": edge, "backend": "checkout", "server": "green"},
            },
        )
    ],
}


class StillClock:
    """A clock that stands."""

    def mono(self) -> float:
        return 1000.0

    def wall(self) -> float:
        return WALL


class StillBalancer(MemoryBalancer):
    """A balancer with open sessions whose process began at a fixed instant."""

    def __init__(self, name: str, weights: Mapping[str, int]) -> None:
        super().__init__(name, {"checkout": weights})
        self._started = WALL - 3600
        self._servers = {key: replace(server, sessions=12) for key, server in self._servers.items()}


class MemoryDatabase:
    """A cluster led by n1 whose standby n2 lacks some bytes; n3 may be silent. Fulfils Database and CanSwitchOver."""

    nodes: Sequence[str] = ("n1", "n2", "n3")

    def __init__(self, behind: int = 0) -> None:
        self.name = "orders"
        position = 100 * MB
        self._servers = {
            "n1": primary("n1", position, 7),
            "n2": standby("n2", position - behind, timeline=7),
            "n3": standby("n3", position, timeline=7),
        }

    async def identify(self, *, deadline: float) -> Identity:
        nodes = {node: f"7001 at 127.0.0.1:543{node[1]} since {began(WALL - 86400)}" for node in ("n1", "n2")}
        facts = {"scope": "orders", "leader": "n1", "timeline": "7", "system id": "7001", **nodes, "n3": UNREADABLE}
        return Identity(self.name, facts)

    async def read_node(self, node: str, *, deadline: float) -> PostgresReading:
        return self._servers[node]

    async def read_member(self, node: str, *, deadline: float) -> PatroniReading:
        return manager(node, "n1", timeline=7, maximum_lag=100 * MB)

    async def switch_over(self, leader: str, candidate: str, *, deadline: float) -> Receipt:
        raise EffectRefused("only shown")


def past(number: int, change: str, took: Sequence[float]) -> Run:
    """A run of changes of a kind that took so long."""
    steps = tuple(PlannedStep(f"s{n}", n, "change", change, 10.0, what=change) for n in range(len(took)))
    run = Run(f"R-{number}", "earlier", "ada", steps, Instant(1.0, 1.0, "b"), 1.0, state=RunState.DONE)
    run.instances = {
        step.id: [StepRun(step, 1, StepState.DONE, took=each)] for step, each in zip(steps, took, strict=True)
    }
    return run


async def preview(
    request: PlanRequest,
    *,
    caller: Caller = COMMANDER,
    weights: Mapping[str, int] | None = None,
    behind: int = 0,
    took: Mapping[str, list[float]] | None = None,
    estate: Estate = ESTATE,
    book: Mapping[str, Any] = ROLL_BACK_STEPS,
) -> Card:
    """The card of a request, from the engine's own planner."""
    balancers = {name: StillBalancer(name, weights or {"blue": 100, "green": 100}) for name in SITES}
    outside = Outside((), balancers, {"orders": MemoryDatabase(behind)})
    library = Library({book["runbook"]: runbook(dict(book))}, estate, {})
    engine = Engine(estate, outside, MemoryJournal(), StillClock(), library, node="test", pid=1, uid=0)
    engine.history.hold(past(number, kind, seconds) for number, (kind, seconds) in enumerate((took or {}).items(), 1))
    return await engine.plans.preview(caller, request)


@cache
def _made(kind: str) -> Card:
    asked = {
        Confirm.YES: preview(DRAIN, took={"server.drain": [1.1, 1.2, 1.9]}),
        Confirm.NONCE: preview(ROLL_BACK, weights={"blue": 100, "green": 0}),
        Confirm.NONCE_AND_NAME: preview(SWITCH, behind=BEHIND, took={"database.switchover": [4.4, 5.1, 9.2]}),
    }
    wanted = asked.pop(Confirm(kind))
    for other in asked.values():
        other.close()
    with ThreadPoolExecutor(1) as pool:  # a loop of its own, also below a running one
        card = pool.submit(asyncio.run, wanted).result()
    confirmation = replace(card.confirmation, nonce="K7QX" if kind != Confirm.YES else "Y", arm=0.15)
    return replace(card, plan="p-1", fingerprint="f-1", confirmation=confirmation)


def card(confirm: Confirm = Confirm.YES, **other: Any) -> Card:
    """A card that is confirmed this way: a drain, a flip of two sites, or a switchover that may lose data.

    Fields of the card may be replaced, and code and times of its confirmation.
    """
    made = _made(confirm.value)
    asks = {name: other.pop(name) for name in ("nonce", "arm", "expires") if name in other}
    return replace(made, confirmation=replace(made.confirmation, **asks), **other)
