"""Every kind of change, killed at every point around its effect: the restarted engine knows what is true."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from adapters.lab.client import LabClient
from state.changes.registry import change_kinds
from state.runs.fault_points import FAULT_POINTS
from tests.crash.access_targets import extend_access, give_access
from tests.crash.host_targets import extend_host_access, give_host_access
from tests.crash.manager_targets import failover, pause, prove, reinitialize, resume, schedule, unschedule
from tests.crash.own_targets import call, command, route, statement
from tests.crash.pair_targets import drop_slot, fence, promote, rebuild, rejoin, repoint, restore_point
from tests.crash.targets import Truth
from tests.crash.trials import SIGNS, Target, crash
from tests.support.real_engine import until

pytestmark = pytest.mark.lab

TRAFFIC = ("balancers", "services")
FAULT, LIFTED = "wrong-dns", "hang-source"


def weight(lab: LabClient, truth: Truth) -> Target:
    async def read() -> Any:
        return (await truth.servers("east", "catalog"))["a"]

    async def reset() -> None:
        assert (await truth.haproxy("east", "set server catalog/a weight 100")).strip() == ""

    args = {"balancer": "edge-east", "backend": "catalog", "server": "a", "weight": 77}
    return Target("server.weight", args, TRAFFIC, read, lambda was: (77, was[1]), prepare=reset, reset=reset)


def drain(lab: LabClient, truth: Truth) -> Target:
    async def read() -> Any:
        return (await truth.servers("east", "catalog"))["b"]

    async def reset() -> None:
        assert (await truth.haproxy("east", "set server catalog/b state ready")).strip() == ""

    args = {"balancer": "edge-east", "backend": "catalog", "server": "b"}
    return Target("server.drain", args, TRAFFIC, read, lambda was: (was[0], True), prepare=reset, reset=reset)


def ready(lab: LabClient, truth: Truth) -> Target:
    async def read() -> Any:
        return (await truth.servers("west", "catalog"))["b"]

    async def drained() -> None:
        assert (await truth.haproxy("west", "set server catalog/b state drain")).strip() == ""

    async def reset() -> None:
        assert (await truth.haproxy("west", "set server catalog/b state ready")).strip() == ""

    args = {"balancer": "edge-west", "backend": "catalog", "server": "b"}
    return Target("server.ready", args, TRAFFIC, read, lambda was: (was[0], False), prepare=drained, reset=reset)


def maint(lab: LabClient, truth: Truth) -> Target:
    async def read() -> Any:
        return "a" in await truth.maintained("west", "catalog")

    async def reset() -> None:
        assert (await truth.haproxy("west", "set server catalog/a state ready")).strip() == ""

    args = {"balancer": "edge-west", "backend": "catalog", "server": "a"}
    return Target("server.maint", args, TRAFFIC, read, lambda was: True, prepare=reset, reset=reset)


def flip(lab: LabClient, truth: Truth) -> Target:
    async def read() -> Any:
        servers = await truth.servers("west", "checkout")
        return servers["blue"][0], servers["green"][0]

    async def reset() -> None:
        for server, weight in (("blue", 100), ("green", 0)):
            assert (await truth.haproxy("west", f"set server checkout/{server} weight {weight}")).strip() == ""

    args = {"balancer": "edge-west", "backend": "checkout", "to": "green"}
    return Target("backend.flip", args, TRAFFIC, read, lambda was: (0, 100), 2, prepare=reset, reset=reset)


def weights(lab: LabClient, truth: Truth) -> Target:
    async def read() -> Any:
        servers = await truth.servers("east", "checkout")
        return servers["blue"][0], servers["green"][0]

    async def reset() -> None:
        for server, weight in (("blue", 100), ("green", 0)):
            assert (await truth.haproxy("east", f"set server checkout/{server} weight {weight}")).strip() == ""

    args = {"balancer": "edge-east", "backend": "checkout", "weights": {"blue": 60, "green": 40}}
    return Target("backend.weights", args, TRAFFIC, read, lambda was: (60, 40), 2, prepare=reset, reset=reset)


def records(lab: LabClient, truth: Truth) -> Target:
    """No command of it is recorded: updates are signed bytes. Whether it was sent twice the serial tells."""

    async def read() -> Any:
        return await truth.addresses("catalog")

    args = {"zone": "lab.test", "record": "catalog", "a": ["127.0.2.10"]}

    async def reset() -> None:
        await truth.point("catalog", began[0])

    began: list[list[str]] = []

    async def prepare() -> None:
        began.append((await truth.addresses("catalog"))[0])

    return Target(
        "dns.set",
        args,
        ("zones",),
        read,
        lambda was: (["127.0.2.10"], was[1] + 1),
        0,
        risky=True,
        prepare=prepare,
        reset=reset,
    )


def share(lab: LabClient, truth: Truth) -> Target:
    async def read() -> Any:
        servers = await truth.servers("west", "checkout")
        return servers["blue"][0], servers["green"][0]

    async def reset() -> None:
        for server, weight in (("blue", 100), ("green", 0)):
            assert (await truth.haproxy("west", f"set server checkout/{server} weight {weight}")).strip() == ""

    args = {"balancer": "edge-west", "backend": "checkout", "to": "green", "percent": 25}
    return Target("backend.share", args, TRAFFIC, read, lambda was: (75, 25), 2, prepare=reset, reset=reset)


def switchover(lab: LabClient, truth: Truth) -> Target:
    """Done when there is one writer more recent by exactly one timeline, on another node."""
    began: list[str] = []
    args = {"database": "orders"}

    async def streaming() -> bool:
        nodes = (await lab.status())["nodes"].values()
        following = [n for n in nodes if n["replica"] is True and n["age"] is not None and n["age"] < 3]
        return len(following) == len(nodes) - 1

    async def whole() -> None:
        await until(streaming, 40, "the cluster is not whole")
        began.append((await truth.writer())[0])
        args["to"] = next(name for name in await truth.postgres() if name != began[-1])

    async def read() -> Any:
        leader, timeline = await truth.writer()
        return leader != began[-1], timeline

    return Target(
        "database.switchover", args, ("databases",), read, lambda was: (True, was[1] + 1),
        seconds=150.0, risky=True, prepare=whole,
    )  # fmt: skip


def restart(lab: LabClient, truth: Truth) -> Target:
    """Done when the server of the last standby has started anew."""
    began: list[float] = []
    args = {"database": "orders"}

    async def following() -> list[str]:
        nodes = (await lab.status())["nodes"].items()
        return [name for name, n in nodes if n["replica"] is True and n["age"] is not None and n["age"] < 3]

    async def whole() -> None:
        async def streaming() -> bool:
            return len(await following()) == len(await truth.postgres()) - 1

        await until(streaming, 60, "the cluster is not whole")
        args["node"] = (await following())[-1]
        started = await truth.started(args["node"])
        assert started is not None
        began.append(started)

    async def read() -> Any:
        started = await truth.started(args["node"])
        return None if started is None else started > began[-1]

    return Target("database.restart", args, ("databases",), read, lambda was: True, seconds=60.0, prepare=whole)


def inject(lab: LabClient, truth: Truth) -> Target:
    async def read() -> Any:
        return FAULT in await truth.faults()

    async def reset() -> None:
        if FAULT in await truth.faults():
            await lab.undo(FAULT)

    args = {"fault": FAULT, "seconds": 100}
    return Target("fault.inject", args, ("none",), read, lambda was: True, prepare=reset, reset=reset)


def lift(lab: LabClient, truth: Truth) -> Target:
    async def read() -> Any:
        return LIFTED in await truth.faults()

    async def injected() -> None:
        if LIFTED not in await truth.faults():
            await lab.inject(LIFTED, "engine-patroni-n2")

    async def reset() -> None:
        if LIFTED in await truth.faults():
            await lab.undo(LIFTED)

    return Target("fault.lift", {"fault": LIFTED}, ("none",), read, lambda was: False, prepare=injected, reset=reset)


Make = Callable[[LabClient, Truth], Target]


def leave_share(lab: LabClient, truth: Truth) -> Target:
    """East keeps nothing of the catalog behind its own balancer."""

    async def read() -> Any:
        servers = await truth.servers("east", "catalog")
        return servers["a"][0], servers["b"][0]

    async def reset() -> None:
        for server in ("a", "b"):
            assert (await truth.haproxy("east", f"set server catalog/{server} weight 100")).strip() == ""

    args = {"balancer": "edge-east", "backend": "catalog", "site": "east"}
    return Target("backend.leave-site", args, TRAFFIC, read, lambda was: (0, 100), prepare=reset, reset=reset)


def leave_name(lab: LabClient, truth: Truth) -> Target:
    """The same sets as with `dns.set`, asked for by the site."""
    args = {"zone": "lab.test", "record": "catalog", "site": "east"}
    return replace(records(lab, truth), kind="dns.leave-site", args=args, sections=("zones", *TRAFFIC))


def leave_role(lab: LabClient, truth: Truth) -> Target:
    """The site is the one where the leader stands."""
    target, args = switchover(lab, truth), {"database": "orders"}

    async def whole() -> None:
        await target.prepare()
        args["site"] = lab.description()["nodes"][(await truth.writer())[0]]["site"]

    return replace(target, kind="database.leave-site", args=args, sections=("databases",), prepare=whole)


MAKERS: dict[str, Make] = {
    "server.weight": weight,
    "server.drain": drain,
    "server.maint": maint,
    "server.ready": ready,
    "backend.flip": flip,
    "backend.weights": weights,
    "backend.leave-site": leave_share,
    "dns.leave-site": leave_name,
    "database.leave-site": leave_role,
    "dns.set": records,
    "backend.share": share,
    "backend.route": route,
    "database.switchover": switchover,
    "database.restart": restart,
    "database.failover": failover,
    "database.pause": pause,
    "database.resume": resume,
    "database.schedule": schedule,
    "database.unschedule": unschedule,
    "database.reinitialize": reinitialize,
    "database.prove": prove,
    "database.fence": fence,
    "database.promote": promote,
    "database.rejoin": rejoin,
    "database.rebuild": rebuild,
    "database.repoint": repoint,
    "database.drop-slot": drop_slot,
    "access.grant": give_access,
    "access.extend": extend_access,
    "access.grant-host": give_host_access,
    "access.extend-host": extend_host_access,
    "database.restore-point": restore_point,
    "fault.inject": inject,
    "fault.lift": lift,
    "command.run": command,
    "http.call": call,
    "sql.call": statement,
}


def test_no_kind_and_no_point_is_left_out() -> None:
    assert set(MAKERS) == set(change_kinds())
    assert tuple(SIGNS) == FAULT_POINTS


@pytest.mark.parametrize("point", ["before_intent", "after_effect", "after_receipt"])
async def test_weight_and_flip(lab: LabClient, truth: Truth, point: str) -> None:
    await asyncio.gather(*(crash(lab, truth, make(lab, truth), point) for make in (weight, flip, weights, maint)))


@pytest.mark.parametrize("point", ["after_effect"])
async def test_share_and_route(lab: LabClient, truth: Truth, point: str) -> None:
    await asyncio.gather(*(crash(lab, truth, make(lab, truth), point) for make in (share, route, leave_share)))


@pytest.mark.parametrize("point", ["after_intent"])
async def test_faults(lab: LabClient, truth: Truth, point: str) -> None:
    await asyncio.gather(*(crash(lab, truth, make(lab, truth), point) for make in (inject, lift)))


@pytest.mark.parametrize("point", ["after_effect"])
async def test_own_changes(lab: LabClient, truth: Truth, point: str) -> None:
    await asyncio.gather(*(crash(lab, truth, make(lab, truth), point) for make in (command, call, statement)))


@pytest.mark.parametrize("point", ["after_intent", "after_effect"])
async def test_records(lab: LabClient, truth: Truth, point: str) -> None:
    await crash(lab, truth, records(lab, truth), point)


@pytest.mark.parametrize("point", ["after_effect"])
async def test_switchover(lab: LabClient, truth: Truth, point: str) -> None:
    await crash(lab, truth, switchover(lab, truth), point)


@pytest.mark.parametrize("point", ["after_effect"])
async def test_restart(lab: LabClient, truth: Truth, point: str) -> None:
    await crash(lab, truth, restart(lab, truth), point)


@pytest.mark.parametrize(
    "make", [pause, promote, restore_point, give_access, give_host_access], ids=lambda make: make.__name__
)
async def test_databases(lab: LabClient, truth: Truth, make: Make) -> None:
    await crash(lab, truth, make(lab, truth), "after_effect")


@pytest.mark.torture
@pytest.mark.parametrize("repeat", range(20))
@pytest.mark.parametrize("point", FAULT_POINTS)
@pytest.mark.parametrize("kind", MAKERS)
async def test_full_sweep(lab: LabClient, truth: Truth, kind: str, point: str, repeat: int) -> None:
    await crash(lab, truth, MAKERS[kind](lab, truth), point)
