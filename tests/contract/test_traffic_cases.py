"""Inputs on which the product was wrong about balancers, on every HAProxy of this machine; each is named after its
case."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.balancers.haproxy import HAProxy
from state.changes.floors import promise_of
from state.errors import EffectRefused, ReadFailure
from state.health import Health
from state.verdicts.traffic import active_message, backend_verdict, floor_after, reason_word, server_health, taking
from tests.contract.components import answers, haproxies, wait_for
from tests.contract.haproxy_sections import (
    HEAD,
    checked,
    estate_of,
    healthy,
    listening,
    refusals,
    saying,
    until,
)
from tests.support.ports import free_port
from tests.support.small_estate import change, flip, small


@pytest.fixture(params=haproxies())
def program(request: pytest.FixtureRequest) -> Path:
    return haproxies()[request.param]


THREE = """
backend web
  option httpchk
  server a 127.0.0.1:{port} check inter 200ms
  server b 127.0.0.1:{port} check inter 200ms
  server c 127.0.0.1:{port} check inter 200ms
"""


@pytest.mark.parametrize("order", [("blog", "shop"), ("shop", "blog")])
async def test_04_two_services_one_backend(run: Callable[..., HAProxy], order: tuple[str, str]) -> None:
    floors = {"blog": 1, "shop": 3}
    place = estate_of(**{name: {"backend": "web", "floor": floors[name]} for name in order})
    async with listening(healthy) as (port,):
        balancer = run(THREE, port=port)
        await checked(balancer, "web")
        refused = await refusals(balancer, "server.drain", place, backend="web", server="a")
    assert refused["floor"] == "2 of 3 servers would serve, shop needs at least 3"
    assert promise_of(place, "edge", "web")[::3] == ("shop", order)


async def test_05_frontend_and_backend_share_a_name(run: Callable[..., HAProxy]) -> None:
    front = "frontend web\n  bind 127.0.0.1:{front}\n  default_backend web\n"
    async with listening(healthy) as (port,):
        balancer = run(front + THREE, front=free_port(), port=port)
        await checked(balancer, "web")
        assert (
            await refusals(balancer, "server.drain", estate_of(blog={"backend": "web"}), backend="web", server="a")
            == {}
        )


SPARE = """
backend web
  option httpchk
  server a1 127.0.0.1:{port} check inter 200ms
  server spare 127.0.0.1:{port} check inter 200ms backup
  server spare2 127.0.0.1:{port} check inter 200ms backup
"""


async def test_06_backup_server(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        balancer = run(SPARE, port=port)
        reading = await checked(balancer, "web")
        servers = reading.of("web")
        verdict = backend_verdict(servers, 1, {})
        assert (verdict.health, verdict.active, verdict.message) == (
            Health.PASS,
            "a1 100%",
            "1 of 1 serve, 2 in reserve",
        )
        place = estate_of(shop={"backend": "web"})
        fact = (await refusals(balancer, "server.drain", place, backend="web", server="a1"))["floor"]
        assert "0 of 3 servers would serve" in fact
        assert "a backup does not count" in fact
        counting = estate_of(shop={"backend": "web", "backups": "first"})
        assert await refusals(balancer, "server.drain", counting, backend="web", server="a1") == {}
        await balancer.set_state("web", "a1", "drain", deadline=2)
        drained = (await balancer.read(deadline=2)).of("web")
    assert [s.name for s in taking(drained)] == ["spare"], "without `option allbackups` the first takes all"
    assert active_message(drained, {}, "all") == "spare 50% · spare2 50%"
    assert backend_verdict(drained, 1, {}).health is Health.WARN
    assert (floor_after(drained, {}), floor_after(drained, {}, "first"), floor_after(drained, {}, "all")) == (0, 1, 2)


STATIC = """
backend shop
  balance source
  server blue 127.0.0.1:{port} weight 100
  server green 127.0.0.1:{port} weight 1
"""


async def test_09_refused_effect_never_ends(run: Callable[..., HAProxy]) -> None:
    balancer = run(STATIC, port=free_port())
    async with small(balancer=balancer) as lab:  # type: ignore[arg-type]
        for request in (change("server.weight", server="green", weight=50), flip("green")):
            card = await lab.preview(request)
            done = await lab.submit(card)
            assert await lab.ended(done.run) == "failed"
            assert "static" in str(lab.engine.history.runs[done.run]).lower(), "the words of the target"
        again = await lab.preview(change("server.weight", server="green", weight=50))
        assert not [each for each in again.refusals if each.rule == "lease"]


async def test_12_no_check_is_green(run: Callable[..., HAProxy]) -> None:
    balancer = run("backend nocheck\n  server n 127.0.0.1:9\nbackend nobody\n")
    reading = await balancer.read(deadline=2)
    verdict = backend_verdict(reading.of("nocheck"), 1, {})
    assert (verdict.health, verdict.message) == (Health.UNKNOWN, "1 of 1 in rotation, none checked")
    assert server_health(reading.servers["nocheck/n"]) is Health.UNKNOWN
    assert reading.empty == {"nobody"}
    assert backend_verdict((), 1, {}, empty=True).health is Health.FAIL, "it answers 503"
    assert backend_verdict((), 1, {}).health is Health.UNKNOWN


async def test_a_server_is_unproven_before_its_first_check(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy) as (port,):
        balancer = run("backend web\n  server a 127.0.0.1:{port} check inter 3s\n", port=port)
        first = await balancer.read(deadline=2)
        if not first.servers["web/a"].checked:
            assert backend_verdict(first.of("web"), 1, {}).health is Health.UNKNOWN
        reading = await until(balancer, lambda reading: reading.servers["web/a"].checked)
    assert backend_verdict(reading.of("web"), 1, {}).health is Health.PASS


COLONS = """
backend be_http:shop:checkout
  server pod:checkout-5d9c-x2x7q:checkout:10.1.2.3:8080 127.0.0.1:{port}
  server pod:checkout-5d9c-9ff2d:checkout:10.1.2.4:8080 127.0.0.1:{port}
"""


async def test_14_names_with_colons(run: Callable[..., HAProxy]) -> None:
    backend, server = "be_http:shop:checkout", "pod:checkout-5d9c-x2x7q:checkout:10.1.2.3:8080"
    place = estate_of(checkout={"backend": backend, "colours": {server: "v1"}})
    balancer = run(COLONS, port=free_port())
    assert await refusals(balancer, "server.drain", place, backend=backend, server=server) == {}
    assert await refusals(balancer, "server.weight", place, backend=backend, server=server, weight=7) == {}
    await balancer.set_weight(backend, server, 7, deadline=2)
    assert (await balancer.read(deadline=2)).servers[f"{backend}/{server}"].weight == 7


AGENT = """
backend agents
  option httpchk GET /hc
  server down 127.0.0.1:{port} check inter 200ms agent-check agent-port {agent} agent-inter 200ms
  server plain 127.0.0.1:{port} check inter 200ms
"""


async def test_30_agent_took_it_down(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy, saying("down #app maintenance")) as (port, other):
        balancer = run(AGENT, port=port, agent=other)
        reading = await until(
            balancer, lambda r: all(s.check == "L7OK" for s in r.of("agents")) and not r.servers["agents/down"].up
        )
    server = reading.servers["agents/down"]
    assert (reason_word(server), server_health(server)) == ("agent: app maintenance", Health.FAIL)
    verdict = backend_verdict(reading.of("agents"), 1, {})
    assert verdict.message == "down down (agent: app maintenance)"


async def test_33_master_socket(program: Path, folder: Path) -> None:
    place = Path(tempfile.mkdtemp(dir=folder))
    (place / "h.cfg").write_text((HEAD + "backend b\n  server s 127.0.0.1:9\n").format(socket=place / "a.sock"))
    master = place / "m.sock"
    argv = [program, "-W", "-S", f"{master},mode,600,level,admin", "-f", place / "h.cfg"]
    process = subprocess.Popen(argv, env={}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(master) and answers(place / "a.sock"))
        end = time.monotonic() + 20
        while True:
            with pytest.raises((ReadFailure, EffectRefused)) as failure:
                await HAProxy("edge", str(master)).read(deadline=2)
            if "master" in failure.value.message or time.monotonic() > end:
                break  # it starts itself again at its start
            await asyncio.sleep(0.1)
    finally:
        process.terminate()
        process.wait(30)
    assert "master" in failure.value.message
    assert "@1" in failure.value.message
