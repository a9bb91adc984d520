"""A plan of several changes on one target: each is shown as the one before it leaves the target, not as it is now."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.balancers.memory import MemoryBalancer
from state.api.card import WarningKind
from state.api.requests import PlanRunbook, PlanUndo
from state.changes.database import Switchover, SwitchoverArgs
from state.changes.faults import SetFault
from state.changes.model import CanFollow, Change, ChangeSpec
from state.changes.registry import build, change_kinds
from state.estate.hosts import SshHost
from state.estate.model import Service, Site, ZoneEntry
from state.estate.own import CommandEntry
from state.estate.own_calls import HttpCallEntry
from state.estate.own_statements import SqlCallEntry
from state.planning.plan import Draft, Seen, pin
from state.ports.balancer import ServerState
from state.ports.faults import FaultStatus
from state.ports.outside import Outside
from state.ports.target import Identity
from state.runs.steps import PlannedStep
from state.world.record_sets import RecordSet
from tests.support.cards import MemoryDatabase
from tests.support.memory_zone import MemoryZone
from tests.support.run_books import book
from tests.support.small_estate import small
from tests.unit.verdict_world import ESTATE

pytestmark = pytest.mark.virtual_time

SHOP = {"balancer": "edge", "backend": "shop"}


def step(name: str, change: str, **args: Any) -> dict[str, Any]:
    return {"id": name, "change": change, "with": {**SHOP, **args}}


async def diffs(*steps: dict[str, Any]) -> list[str]:
    async with small(book(*steps)) as lab:
        return [str(diff) for diff in (await lab.preview(PlanRunbook("case"))).diffs]


async def test_the_second_change_of_a_server_begins_where_the_first_one_ends() -> None:
    told = await diffs(
        step("a", "server.weight", server="green", weight=5), step("b", "server.weight", server="green", weight=9)
    )
    assert told == ["edge/shop/green weight: 0 → 5", "edge/shop/green weight: 5 → 9"]
    told = await diffs(step("a", "server.drain", server="green"), step("b", "server.ready", server="green"))
    assert told == ["edge/shop/green: ready → drain", "edge/shop/green: drain → ready"]


async def test_a_flip_back_is_shown_though_it_is_the_present_state() -> None:
    told = await diffs(step("a", "backend.flip", to="green"), step("b", "backend.flip", to="blue"))
    assert told == [
        "edge/shop/blue weight: 100 → 0",
        "edge/shop/green weight: 0 → 100",
        "edge/shop/blue weight: 0 → 100",
        "edge/shop/green weight: 100 → 0",
    ]


async def test_a_later_change_that_the_earlier_one_has_made_is_no_difference() -> None:
    twice = [step(name, "server.weight", server="green", weight=5) for name in ("a", "b")]
    assert await diffs(*twice) == ["edge/shop/green weight: 0 → 5"]


async def test_what_would_refuse_a_later_step_is_judged_as_the_earlier_ones_leave_it() -> None:
    async with small(book(step("a", "server.drain", server="blue"), step("b", "server.drain", server="green"))) as lab:
        await lab.balancer.set_weight("shop", "green", 50, deadline=1)
        card = await lab.preview(PlanRunbook("case"))
        assert card.refusals == ()
        assert [(w.kind, w.rule) for w in card.warnings] == [(WarningKind.LATER, "floor")]
        assert card.warnings[0].message.startswith("0 of 2 servers would serve")
    async with small(book(step("a", "server.ready", server="green"), step("b", "server.drain", server="blue"))) as lab:
        await lab.balancer.set_weight("shop", "green", 50, deadline=1)
        await lab.balancer.set_state("shop", "green", "drain", deadline=1)
        assert (await lab.preview(PlanRunbook("case"))).warnings == (), "alone it would be refused"


async def test_a_run_of_such_a_plan_does_what_its_card_said_and_its_undo_goes_back_step_by_step() -> None:
    steps = [step("a", "server.weight", server="green", weight=5), step("b", "server.weight", server="green", weight=9)]
    async with small(book(*steps), balancer=MemoryBalancer("edge", {"shop": {"blue": 100, "green": 0}})) as lab:
        run = (await lab.submit(await lab.preview(PlanRunbook("case")))).run
        assert await lab.ended(run, 20) == "done"
        assert (await lab.weights())["green"] == 9
        back = await lab.preview(PlanUndo(run))
        assert [str(diff) for diff in back.diffs] == ["edge/shop/green weight: 9 → 5", "edge/shop/green weight: 5 → 0"]


async def test_an_undo_gives_back_the_state_that_was_also_maintenance() -> None:
    kinds: dict[ServerState, str] = {"ready": "server.ready", "drain": "server.drain", "maint": "server.maint"}
    balancer = MemoryBalancer("edge-east", {"checkout": {"blue": 1, "green": 1}})
    outside = Outside((), {"edge-east": balancer}, {})
    for was, back in kinds.items():
        for to, kind in kinds.items():
            await balancer.set_state("checkout", "blue", was, deadline=1)
            shown = await build(ChangeSpec(kind, SERVER), ESTATE, outside).preview(deadline=1)
            assert shown.already is (was == to), (was, to)
            assert shown.undo is not None
            assert was == to or shown.undo.kind == back, (was, to)


async def test_a_second_change_of_a_name_begins_where_the_first_one_ends() -> None:
    zone = MemoryZone("shop.example", {"checkout": {"A": RecordSet("A", 60, ("10.1.0.10",))}})
    outside = Outside((), {}, {}, zones={"shop.example": zone})

    def to(address: str) -> Change:
        spec = ChangeSpec("dns.set", {"zone": "shop.example", "record": "checkout", "a": [address]})
        return build(spec, OWN, outside)

    there, back = to("10.2.0.10"), to("10.1.0.10")
    assert isinstance(back, CanFollow)
    back.follow((await there.preview(deadline=1)).leaves)
    shown = await back.preview(deadline=1)
    assert (str(shown.diffs[0]), shown.already) == ("checkout.shop.example A: 10.2.0.10 → 10.1.0.10", False)


async def test_after_a_planned_switchover_the_next_one_claims_nothing_about_loss() -> None:
    def to(node: str) -> Switchover:
        args = SwitchoverArgs(database="orders", to=node)
        return Switchover(ChangeSpec("database.switchover", args.model_dump()), args, ESTATE, MemoryDatabase())

    there, back = to("n2"), to("n1")
    first = await there.preview(deadline=1)
    assert (first.diffs[0].before, first.diffs[0].after, first.loss_bytes) == ("n1", "n2", 0)
    back.follow(first.leaves)
    second = await back.preview(deadline=1)
    assert (second.diffs[0].before, second.diffs[0].after, second.already) == ("n2", "n1", False)
    assert second.loss_bytes is None


async def test_what_an_earlier_step_makes_anew_does_not_refuse_a_later_one_and_all_else_does() -> None:
    """A rolling restart: each restart gives a server another start, and the switchover gives the cluster a leader."""
    database = MemoryDatabase()
    outside = Outside((), {}, {"orders": database})
    identity = Identity("orders", {"system id": "1", "leader": "n1", "timeline": "3", "n1": "a", "n2": "b", "n3": "c"})
    plan: list[Seen] = []
    for index, (kind, args) in enumerate(
        (
            ("database.restart", {"node": "n2"}),
            ("database.restart", {"node": "n3"}),
            ("database.switchover", {"to": "n2"}),
            ("database.restart", {"node": "n1"}),
        )
    ):
        spec = ChangeSpec(kind, {"database": "orders", **args})
        change = build(spec, ESTATE, outside)
        step = PlannedStep(f"s{index}", index, "change", kind, 0.0, kind, dict(spec.args))
        plan.append(Seen(step, change, identity, await change.preview(deadline=1)))
    pinned = pin(Draft("case", tuple(one.step for one in plan)), plan)
    told = [sorted(set(identity.facts) - set(step.identity or {})) for step in pinned]
    assert told == [[], ["n2"], ["n2", "n3"], ["leader", "n1", "n2", "n3", "timeline"]]
    assert all(step.identity and step.identity["system id"] == "1" for step in pinned)


class OffInjector:
    """A laboratory without a fault."""

    async def identify(self, *, deadline: float) -> Identity:
        return Identity("lab", {})

    async def faults(self, *, deadline: float) -> tuple[FaultStatus, ...]:
        return (FaultStatus("bad-release", "v42 fails", active=False, remaining=None, target=""),)


async def test_lifting_a_fault_that_the_plan_injects_is_not_called_inactive() -> None:
    def fault(*, on: bool) -> SetFault:
        return SetFault(ChangeSpec("fault", {}), "bad-release", 60.0, OffInjector(), on=on)  # type: ignore[arg-type]

    lift = fault(on=False)
    assert (await lift.preview(deadline=1)).refusals
    lift.follow((await fault(on=True).preview(deadline=1)).leaves)
    shown = await lift.preview(deadline=1)
    assert (shown.diffs[0].before, shown.refusals, shown.already) == ("active", (), False)


SERVER = {"balancer": "edge-east", "backend": "checkout", "server": "blue"}
KINDS: dict[str, dict[str, Any]] = {
    "server.weight": {**SERVER, "weight": 5},
    "server.drain": SERVER,
    "server.maint": SERVER,
    "server.ready": SERVER,
    "backend.flip": {"balancer": "edge-east", "backend": "checkout", "to": "blue"},
    "backend.share": {"balancer": "edge-east", "backend": "checkout", "to": "blue", "percent": 25},
    "backend.route": {"balancer": "edge-east", "service": "led", "to": "b"},
    "backend.weights": {"balancer": "edge-east", "backend": "checkout", "weights": {"blue": 5}},
    "database.switchover": {"database": "orders", "to": "n2"},
    "backend.leave-site": {"balancer": "edge-east", "backend": "checkout", "site": "east", "at_most": 20},
    "database.leave-site": {"database": "orders", "site": "east"},
    "database.restart": {"database": "orders", "node": "n2"},
    "database.failover": {"database": "orders", "to": "n2"},
    "database.promote": {"database": "orders"},
    "database.schedule": {"database": "orders", "to": "n2", "at": "2027-01-01T04:00:00+00:00"},
    "database.unschedule": {"database": "orders"},
    "database.pause": {"database": "orders"},
    "database.resume": {"database": "orders"},
    "database.reinitialize": {"database": "orders", "node": "n2"},
    "database.fence": {"database": "orders", "node": "n1"},
    "database.rejoin": {"database": "orders", "node": "n1"},
    "database.rebuild": {"database": "orders", "node": "n1"},
    "database.repoint": {"database": "orders", "node": "n3", "to": "n2"},
    "database.drop-slot": {"database": "orders", "node": "n1", "slot": "s"},
    "database.prove": {"database": "orders"},
    "access.grant": {
        "database": "orders",
        "grant": "G-7KQ2MX",
        "person": "ada",
        "bundle": "read-all",
        "seconds": 600,
        "ticket": "INC-42",
        "reason": "rows are missing",
    },
    "access.extend": {"database": "orders", "grant": "G-7KQ2MX", "seconds": 600, "reason": "the repair still runs"},
    "access.grant-host": {
        "host": "web1",
        "grant": "G-7KQ2MX",
        "person": "ada",
        "bundle": "shell",
        "seconds": 600,
        "ticket": "INC-42",
        "reason": "the disk is full",
    },
    "access.extend-host": {"host": "web1", "grant": "G-7KQ2MX", "seconds": 600, "reason": "the repair still runs"},
    "database.restore-point": {"database": "orders", "point": "before-v42"},
    "dns.set": {"zone": "shop.example", "record": "checkout", "a": ["10.1.0.10"], "ttl": 60},
    "dns.leave-site": {"zone": "shop.example", "record": "checkout", "site": "east"},
    "fault.inject": {"fault": "bad-release"},
    "fault.lift": {"fault": "bad-release"},
    "command.run": {"command": "restart", "args": {}},
    "http.call": {"call": "deploy", "args": {}},
    "sql.call": {"statement": "pause", "args": {}},
}
PAUSE = {"database": "orders", "user": "ops", "statement": "update jobs set paused = true", "record": "effects"}
ROUTES = {"map": "led.map", "key": "led.test", "backends": {"a": "led-a", "b": "led-b"}}
LED = {
    "tier": 2,
    "rto": "5m",
    "rpo": "0B",
    "traffic": {"balancers": ["edge-east"], "backend": "led-a", "routes": ROUTES},
}
OWN = ESTATE.model_copy(
    update={
        "services": {**ESTATE.services, "led": Service.model_validate(LED)},
        "commands": {"restart": CommandEntry(argv=("true",))},
        "http_calls": {"deploy": HttpCallEntry(url="https://deploy.example/")},
        "sql_calls": {"pause": SqlCallEntry.model_validate(PAUSE)},
        "zones": {"shop.example": ZoneEntry(kind="memory")},
        "hosts": {"web1": SshHost(address="10.1.0.5")},
        "sites": {**ESTATE.sites, "east": Site(addresses=("10.1.0.10",))},
    }
)


def test_every_change_of_the_product_can_follow_another() -> None:
    assert set(KINDS) == set(change_kinds())
    balancers = {"edge-east": MemoryBalancer("edge-east", {"checkout": {"blue": 1}})}
    own: Any = {"commands": {"restart": None}, "http_calls": {"deploy": None}, "sql_calls": {"pause": None}}
    own["zones"] = {"shop.example": MemoryZone("shop.example", {})}
    outside = Outside((), balancers, {"orders": MemoryDatabase()}, OffInjector(), **own)  # type: ignore[arg-type]
    for kind, args in KINDS.items():
        assert isinstance(build(ChangeSpec(kind, args), OWN, outside), CanFollow), kind
