"""Inputs on which the product was wrong about balancers, on every HAProxy of this machine; each is named after its
case."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.balancers.haproxy import HAProxy
from state.changes.floors import promise_of
from state.changes.model import ChangeSpec
from state.changes.registry import build
from state.errors import EffectRefused, ReadFailure
from state.estate.model import Estate
from state.health import Health
from state.ports.outside import Outside
from state.verdicts.traffic import active_message, backend_verdict, floor_after, reason_word, server_health, taking
from state.world.readings import BalancerReading
from tests.contract.components import answers, free_port, haproxies, serving, wait_for
from tests.support.small_estate import change, flip, small

HEAD = """
global
  stats socket {socket} level admin mode 600
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
  timeout check 500ms
"""


@pytest.fixture(params=haproxies())
def program(request: pytest.FixtureRequest) -> Path:
    return haproxies()[request.param]


@pytest.fixture
def run(program: Path, folder: Path) -> Iterator[Callable[..., HAProxy]]:
    """Starts a HAProxy with the sections that are given; gone after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(sections: str, **values: Any) -> HAProxy:
        place = Path(tempfile.mkdtemp(dir=folder))
        socket = place / "a.sock"
        (place / "h.cfg").write_text((HEAD + sections).format(socket=socket, **values))
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        started.append(subprocess.Popen([program, "-db", "-f", place / "h.cfg"], env={}, **silent))  # type: ignore[call-overload]
        wait_for(lambda: answers(socket))
        return HAProxy("edge", str(socket))

    yield start
    for process in started:
        process.kill()
        process.wait()


async def healthy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that is well."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n")
    await writer.drain()


async def agent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An agent that takes its server out."""
    writer.write(b"down #app maintenance\n")
    await writer.drain()


@asynccontextmanager
async def listening(*serve: Callable[..., Awaitable[None]]) -> AsyncIterator[list[int]]:
    if not serve:
        yield []
        return
    async with serving(serve[0]) as port, listening(*serve[1:]) as others:
        yield [port, *others]


async def until(balancer: HAProxy, when: Callable[[BalancerReading], bool]) -> BalancerReading:
    """The first reading of which something is true."""
    end = time.monotonic() + 20
    while not when(reading := await balancer.read(deadline=2)):
        assert time.monotonic() < end, reading
        await asyncio.sleep(0.05)
    return reading


def estate(**services: dict[str, Any]) -> Estate:
    return Estate.model_validate(
        {
            "estate": "cases",
            "environment": "lab",
            "sites": {"east": {}},
            "people": {"ada": {"accounts": ["ada"], "roles": ["commander", "responder"]}},
            "balancers": {"edge": {"kind": "memory", "site": "east"}},
            "services": {
                name: {"tier": 1, "rto": "5m", "rpo": "0B", "traffic": {"balancers": ["edge"], **traffic}}
                for name, traffic in services.items()
            },
        }
    )


async def refusals(balancer: HAProxy, kind: str, place: Estate, **args: Any) -> list[str]:
    """The facts of the rules that a card of this change does not pass."""
    made = build(ChangeSpec(kind, {"balancer": "edge", **args}), place, Outside((), {"edge": balancer}, {}))
    preview = await made.preview(deadline=2)
    return [rule.fact for rule in preview.rules if not rule.passed]


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
    place = estate(**{name: {"backend": "web", "floor": floors[name]} for name in order})
    async with listening(healthy) as (port,):
        balancer = run(THREE, port=port)
        await until(balancer, lambda reading: all(s.checked for s in reading.of("web")))
        (fact,) = await refusals(balancer, "server.drain", place, backend="web", server="a")
    assert fact == "2 of 3 servers would serve, shop needs at least 3"
    assert promise_of(place, "edge", "web")[::3] == ("shop", order)


async def test_05_frontend_and_backend_share_a_name(run: Callable[..., HAProxy]) -> None:
    front = "frontend web\n  bind 127.0.0.1:{front}\n  default_backend web\n"
    async with listening(healthy) as (port,):
        balancer = run(front + THREE, front=free_port(), port=port)
        await until(balancer, lambda reading: all(s.checked for s in reading.of("web")))
        assert (
            await refusals(balancer, "server.drain", estate(blog={"backend": "web"}), backend="web", server="a") == []
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
        reading = await until(balancer, lambda reading: all(s.checked for s in reading.of("web")))
        servers = reading.of("web")
        verdict = backend_verdict(servers, 1, {})
        assert (verdict.health, verdict.active, verdict.message) == (
            Health.PASS,
            "a1 100%",
            "1 of 1 serve, 2 in reserve",
        )
        place = estate(shop={"backend": "web"})
        (fact,) = await refusals(balancer, "server.drain", place, backend="web", server="a1")
        assert "0 of 3 servers would serve" in fact
        assert "a backup does not count" in fact
        counting = estate(shop={"backend": "web", "backups": "first"})
        assert await refusals(balancer, "server.drain", counting, backend="web", server="a1") == []
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
    place = estate(checkout={"backend": backend, "colours": {server: "v1"}})
    balancer = run(COLONS, port=free_port())
    assert await refusals(balancer, "server.drain", place, backend=backend, server=server) == []
    assert await refusals(balancer, "server.weight", place, backend=backend, server=server, weight=7) == []
    await balancer.set_weight(backend, server, 7, deadline=2)
    assert (await balancer.read(deadline=2)).servers[f"{backend}/{server}"].weight == 7


AGENT = """
backend agents
  option httpchk GET /hc
  server down 127.0.0.1:{port} check inter 200ms agent-check agent-port {agent} agent-inter 200ms
  server plain 127.0.0.1:{port} check inter 200ms
"""


async def test_30_agent_took_it_down(run: Callable[..., HAProxy]) -> None:
    async with listening(healthy, agent) as (port, other):
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
