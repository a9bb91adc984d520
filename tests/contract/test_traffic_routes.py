"""Colours as separate backends by a map, on every HAProxy of this machine; traps 16 to 18 of the map."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.balancers.haproxy import HAProxy
from state.changes.model import ChangeSpec, Finding, Preview
from state.changes.registry import build
from state.errors import EffectRefused, ReadFailure
from state.estate.model import Estate
from state.health import Health
from state.ports.outside import Outside
from state.verdicts.drift import difference
from state.verdicts.routing import routed
from state.verdicts.service import service_verdicts
from state.world.world import World
from tests.contract.haproxy_sections import by_hand, checked, estate_of, healthy, listening, until
from tests.contract.test_traffic_shares import requests
from tests.support.ports import free_port
from tests.unit.verdict_world import NOW, put

CONFIG = """
frontend f
  bind 127.0.0.1:{front}
  use_backend %[str(x.test),map_str({map},nowhere)]
backend nowhere
  http-request return status 503
backend web-blue
  option httpchk
  server a 127.0.0.1:{port} check inter 200ms
  server b 127.0.0.1:{port} check inter 200ms
backend web-green
  option httpchk
  server c 127.0.0.1:{green} check inter 200ms fall 1
  server d 127.0.0.1:{port} check inter 200ms
"""


def file_with(*lines: str) -> str:
    path = Path(tempfile.mkdtemp(dir="/tmp")) / "colours.map"
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def place(file: str, floor: int = 1) -> Estate:
    routes = {"map": file, "key": "x.test", "backends": {"blue": "web-blue", "green": "web-green"}}
    return estate_of(shop={"backend": "web-blue", "floor": floor, "routes": routes})


def change(balancer: HAProxy, estate: Estate, to: str = "green") -> Any:
    args = {"balancer": "edge", "service": "shop", "to": to}
    return build(ChangeSpec("backend.route", args), estate, Outside((), {"edge": balancer}, {}))


async def lead(balancer: HAProxy, estate: Estate, to: str = "green") -> tuple[Preview, Finding]:
    made = change(balancer, estate, to)
    preview = await made.preview(deadline=2)
    assert not preview.refusals, preview.refusals
    await made.apply(preview.facts, effect="E-1", deadline=2)
    return preview, (await made.read_back(preview.facts, deadline=2)).finding


async def refused(balancer: HAProxy, estate: Estate, to: str = "green") -> dict[str, str]:
    preview = await change(balancer, estate, to).preview(deadline=2)
    return {rule.rule: rule.fact for rule in preview.rules if not rule.passed}


async def started(run: Callable[..., HAProxy], port: int, file: str, **more: Any) -> HAProxy:
    values = {"port": port, "green": port, "front": free_port(), "map": file, **more}
    balancer = run(CONFIG, **values)
    reader = HAProxy("edge", balancer._api.place, None, [file])  # type: ignore[arg-type]
    await checked(reader, "web-blue")
    return reader


async def test_a_service_is_led_to_the_other_backend_and_back(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        file, front = file_with("x.test web-blue"), free_port()
        balancer = await started(run, port, file, front=front)
        await checked(balancer, "web-green")
        preview, finding = await lead(balancer, place(file))
        assert finding is Finding.DONE
        assert [str(d) for d in preview.diffs] == [f"edge {file} x.test: web-blue → web-green"]
        assert preview.services == ("shop",)
        await requests(front, 4)
        reading = await balancer.read(deadline=2)
        assert sum(s.requests for s in reading.of("web-green")) == 4
        assert preview.undo is not None
        assert preview.undo.args["to"] == "blue"
        assert (await lead(balancer, place(file), "blue"))[1] is Finding.DONE


async def test_trap_16_a_key_that_is_there_twice_or_never_is_refused(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        for lines, told in (
            (("x.test web-blue", "x.test web-green"), "has 2 entries x.test: web-blue, web-green, of which the first"),
            (("other.test web-blue",), "has 0 entries x.test"),
        ):
            file = file_with(*lines)
            balancer = await started(run, port, file)
            await checked(balancer, "web-green")
            assert told in (await refused(balancer, place(file)))["map-entry"]


async def test_trap_16_a_value_must_be_a_backend_that_serves(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        file = file_with("x.test web-blue")
        balancer = await started(run, port, file, green=free_port())
        await until(balancer, lambda r: not r.servers["web-green/c"].up and r.servers["web-green/d"].checked)
        fact = (await refused(balancer, place(file, floor=2)))["make-before-break"]
        assert fact == "1 of 2 servers of web-green serve, shop needs at least 2; c down"
        routes = {"map": file, "key": "x.test", "backends": {"blue": "web-blue", "green": "web-gren"}}
        wrong = estate_of(shop={"backend": "web-blue", "routes": routes})
        assert (await refused(balancer, wrong))["make-before-break"] == "edge has no backend web-gren with servers"


async def test_trap_16_other_spellings_that_clients_send_are_on_the_card(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        file = file_with("x.test web-blue", "X.TEST web-blue", "x.test:80 web-green", "y.test web-blue")
        balancer = await started(run, port, file)
        await checked(balancer, "web-green")
        preview = await change(balancer, place(file)).preview(deadline=2)
        assert [w.message for w in preview.warnings] == [
            "other spellings stay as they are: X.TEST → web-blue, x.test:80 → web-green"
        ]


async def test_trap_17_what_is_in_memory_only_is_drift_after_a_restart(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        file = file_with("x.test web-blue")
        balancer = await started(run, port, file)
        await checked(balancer, "web-green")
        made = change(balancer, place(file))
        preview = await made.preview(deadline=2)
        assert "at a reload or restart" in made.forgotten
        await made.apply(preview.facts, effect="E-1", deadline=2)
        (left,) = (await made.read_back(preview.facts, deadline=2)).leaves
        reading = await balancer.read(deadline=2)
        assert difference(reading, left, restarted=False, known=None) is None
        assert Path(file).read_text() == "x.test web-blue\n", "memory changed, the file did not"
        again = await started(run, port, file)
        found = difference(await again.read(deadline=2), left, restarted=True, known=None)
        assert found is not None
        assert "x.test → web-green, it is web-blue" in found.message


async def test_trap_18_the_map_always_has_its_entry(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        file = file_with("x.test web-blue", "y.test web-blue")
        balancer = await started(run, port, file)
        await checked(balancer, "web-green")
        before = await balancer.read_map(file, deadline=2)
        await lead(balancer, place(file))
        after = await balancer.read_map(file, deadline=2)
        assert [key for key, _ in after] == [key for key, _ in before]


async def test_a_service_is_judged_by_the_backend_that_has_its_traffic(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        file = file_with("x.test web-green")
        balancer = await started(run, port, file, green=free_port())
        await by_hand(balancer, "set server web-green/d state maint")
        reading = await until(balancer, lambda r: not r.servers["web-green/c"].up)
        estate, world = place(file), World()
        put(world, "balancer:edge", reading)
        verdict = service_verdicts(estate, world, NOW, {})["shop"]
        assert verdict.health is Health.FAIL, "web-blue serves, but nobody gets there"
        lost = file_with("other.test web-blue")
        unknown = await started(run, port, lost)
        put(world, "balancer:edge", await unknown.read(deadline=2))
        verdict = service_verdicts(place(lost), world, NOW, {})["shop"]
        assert (verdict.health, "has no entry x.test" in verdict.message) == (Health.UNKNOWN, True)


async def test_hostile_words_are_refused_before_the_socket(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        file = file_with("x.test web-blue")
        balancer = await started(run, port, file)
        for key in ("x;show info", "x y", "x\ny", "#0x1", "x\\ y", "", "x\x1b"):
            with pytest.raises(EffectRefused):
                await balancer.set_map(file, key, "web-green", deadline=2)
            with pytest.raises(ReadFailure):
                await balancer.look_up(file, key, deadline=2)
        with pytest.raises(ReadFailure):
            await balancer.read_map("/tmp/nothing.map", deadline=2)
        estate = place(file)
        traffic = estate.services["shop"].traffic
        assert traffic is not None
        assert routed(traffic, await balancer.read(deadline=2)) == ("web-blue", "")
