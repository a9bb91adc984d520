"""What every balancer owes the engine, run over every adapter, and what only HAProxy can get wrong."""

from __future__ import annotations

import asyncio
import pkgutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

import adapters.balancers
from adapters.balancers import haproxy_socket
from adapters.balancers.haproxy import HAProxy, HaproxyOptions
from adapters.balancers.memory import MemoryBalancer
from adapters.registry import kinds
from state.errors import EffectRefused, EffectUnknown, ReadFailure, Trouble
from state.verdicts.traffic import admin_state
from tests.contract.balancer_suite import BACKENDS, BalancerSuite, StateSuite, WeightSuite, one
from tests.contract.components import RunningHAProxy, haproxies, serving
from tests.support.ports import free_port

MAKERS = ("memory", *(f"haproxy-{name}" for name in haproxies()))


@pytest.fixture(params=MAKERS)
def balancer(request: pytest.FixtureRequest, running_haproxies: dict[str, RunningHAProxy]) -> HAProxy | MemoryBalancer:
    kind, _, name = request.param.partition("-")
    if kind == "memory":
        return MemoryBalancer("edge", BACKENDS)
    running_haproxies[name].restart()
    return HAProxy("edge", str(running_haproxies[name].socket))


class TestEveryBalancerOfTheProduct(BalancerSuite, WeightSuite, StateSuite):
    """Each of them can set weights and states."""

    async def test_the_configured_weight_stays_and_states_keep_a_changed_weight(
        self, balancer: HAProxy | MemoryBalancer
    ) -> None:
        assert (await balancer.set_weight("app", "blue", 40, deadline=2)).code == "silent"
        await balancer.set_state("app", "blue", "drain", deadline=2)
        await balancer.set_state("app", "blue", "ready", deadline=2)
        blue = await one(balancer, "blue")
        assert (blue.weight, blue.configured_weight, blue.serving) == (40, 100, True)


def test_every_balancer_found_is_under_contract() -> None:
    """Here, or in a `test_KIND_balancer.py` beside this file."""
    found = {kind for role, kind in kinds() if role == "balancers"}
    elsewhere = {kind for kind in found if Path(__file__).with_name(f"test_{kind}_balancer.py").exists()}
    assert found == {maker.partition("-")[0] for maker in MAKERS} | elsewhere
    assert found <= {info.name for info in pkgutil.iter_modules(adapters.balancers.__path__)}


# HAProxy alone


async def test_unchanged_servers_are_the_same_objects(haproxy: RunningHAProxy) -> None:
    edge = HAProxy("edge", str(haproxy.socket))
    first = (await edge.read(deadline=2)).servers
    await asyncio.sleep(1.1)  # columns that count seconds have moved on
    second = (await edge.read(deadline=2)).servers
    assert all(second[key] is first[key] for key in ("app/blue", "app/green", "pinned/one"))
    await edge.set_weight("app", "green", 7, deadline=2)
    third = (await edge.read(deadline=2)).servers
    assert third["app/green"].weight == 7
    assert third["app/green"] is not first["app/green"]
    assert third["app/blue"] is first["app/blue"]
    await edge.set_weight("app", "green", 0, deadline=2)


ASIDE = """
global
  stats socket {socket} level admin mode 600
  stats socket {user_socket} level user mode 600
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
  timeout check 5s
frontend web
  bind 127.0.0.1:{front}
backend told
  server blue 127.0.0.1:{port} weight 100 agent-check agent-port {agent} agent-inter 100ms
  server green 127.0.0.1:{port} weight 100
backend polite
  option httpchk GET /
  http-check disable-on-404
  server one 127.0.0.1:{port} check inter 100ms
"""


async def test_who_sets_a_server_besides_operators_is_read(haproxy: RunningHAProxy) -> None:
    async def agent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"40%\n")
        writer.close()

    async def leaving(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Going\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with serving(agent) as agent_port, serving(leaving) as port:
        place = haproxy.config.with_name("aside")
        place.mkdir()
        other = RunningHAProxy(haproxy.program, place / "h.cfg", place / "a.sock", place / "u.sock", free_port())
        text = ASIDE.format(
            socket=other.socket, user_socket=other.user_socket, front=other.front, port=port, agent=agent_port
        )
        other.config.write_text(text)
        await asyncio.to_thread(other.start)
        try:
            edge = HAProxy("edge", str(other.socket))
            async with asyncio.timeout(10):
                while not (found := (await edge.read(deadline=2)).servers)["polite/one"].aside:
                    await asyncio.sleep(0.1)
                while (found := (await edge.read(deadline=2)).servers)["told/blue"].weight != 40:
                    await asyncio.sleep(0.1)
            assert (found["told/blue"].agent, found["told/green"].agent) == (True, False)
            polite = found["polite/one"]
            assert (polite.drained, polite.serving, admin_state(polite)) == (True, False, "ready")
            await edge.set_state("polite", "one", "drain", deadline=2)
            (polite,) = await edge.read_backend("polite", deadline=2)
            assert admin_state(polite) == "drain"
        finally:
            other.stop()


async def test_a_backend_is_found_by_its_name_also_when_a_frontend_has_it_too(haproxy: RunningHAProxy) -> None:
    edge = HAProxy("edge", str(haproxy.socket))
    assert b"frontend app\n" in haproxy.config.read_bytes()
    assert [s.name for s in await edge.read_backend("app", deadline=2)] == ["blue", "green"]


async def test_counters_move_when_requests_fail(haproxy: RunningHAProxy) -> None:
    edge = HAProxy("edge", str(haproxy.socket))
    haproxy.restart()
    before = (await edge.read(deadline=2)).servers["app/blue"]
    reader, writer = await asyncio.open_connection("127.0.0.1", haproxy.front)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert b"503" in await reader.read()
    writer.close()
    after = (await edge.read(deadline=2)).servers["app/blue"]
    assert after.requests > before.requests


async def test_a_server_that_fails_its_checks_is_not_up(haproxy: RunningHAProxy) -> None:
    edge = HAProxy("edge", str(haproxy.socket))
    for _ in range(1200):
        gone = (await edge.read(deadline=60)).servers["broken/gone"]
        if not gone.up:
            break
        await asyncio.sleep(0.05)
    assert (gone.up, gone.status, gone.check, gone.serving) == (False, "DOWN", "L4CON", False)


async def test_trap_10_restart_shows_as_another_process_with_the_configured_weights(haproxy: RunningHAProxy) -> None:
    edge = HAProxy("edge", str(haproxy.socket))
    await edge.set_weight("app", "blue", 3, deadline=2)
    before = await edge.read(deadline=2)
    identity = await edge.identify(deadline=2)
    haproxy.restart()
    after = await edge.read(deadline=2)
    assert after.process != before.process
    assert after.servers["app/blue"].weight == 100
    assert "process was" in identity.difference(await edge.identify(deadline=2))


@pytest.fixture
def half_disabled(haproxy: RunningHAProxy) -> Iterator[RunningHAProxy]:
    """One whose configuration has app/green disabled."""
    place = Path(tempfile.mkdtemp(dir=haproxy.socket.parent.parent))
    other = replace(
        haproxy, config=place / "h.cfg", socket=place / "a.sock", user_socket=place / "u.sock", front=free_port()
    )
    config = haproxy.config.read_text().replace(str(haproxy.socket.parent), str(place))
    config = config.replace(f":{haproxy.front}\n", f":{other.front}\n").replace("weight 0\n", "weight 20 disabled\n")
    other.config.write_text(config)
    other.start()
    yield other
    other.stop()


async def test_a_server_disabled_in_the_configuration_is_in_service_once_it_was_made_ready(
    half_disabled: RunningHAProxy,
) -> None:
    edge = HAProxy("edge", str(half_disabled.socket))
    green = await one(edge, "green")
    assert (green.maintenance, green.serving) == (True, False)
    await edge.set_state("app", "green", "ready", deadline=2)
    green = (await edge.read(deadline=2)).servers["app/green"]
    assert (green.maintenance, green.serving) == (False, True)
    await edge.set_state("app", "green", "maint", deadline=2)
    assert (await edge.read(deadline=2)).servers["app/green"].maintenance


async def test_a_server_that_got_another_port_is_shown_with_it(haproxy: RunningHAProxy) -> None:
    haproxy.restart()
    edge = HAProxy("edge", str(haproxy.socket))
    before = (await edge.read(deadline=2)).servers["app/green"].address
    line = b"set server app/green addr 127.0.0.1 port 18099"
    assert b"port changed" in await haproxy_socket.read(str(haproxy.socket), line, 2)
    after = (await edge.read(deadline=2)).servers["app/green"].address
    assert before != after == "127.0.0.1:18099"
    haproxy.restart()


async def test_static_algorithms_refuse_in_haproxys_own_message(haproxy: RunningHAProxy) -> None:
    edge = HAProxy("edge", str(haproxy.socket))
    with pytest.raises(EffectRefused) as refusal:
        await edge.set_weight("pinned", "one", 4, deadline=2)
    assert "consistent" in refusal.value.message or "algorithm" in refusal.value.message


async def test_a_socket_for_reading_reads_and_denies_changes(haproxy: RunningHAProxy) -> None:
    edge = HAProxy("edge", str(haproxy.user_socket))
    assert len((await edge.read(deadline=2)).servers) == 4
    with pytest.raises(EffectRefused) as refusal:
        await edge.set_weight("app", "blue", 3, deadline=2)
    assert refusal.value.code == "denied"


async def test_no_socket_is_an_error_for_reading_and_certain_for_effects() -> None:
    edge = HAProxy("edge", "/tmp/there-is-no-such.sock")
    with pytest.raises(ReadFailure) as failure:
        await edge.read(deadline=1)
    assert failure.value.trouble is Trouble.UNREACHABLE
    with pytest.raises(EffectRefused) as refusal:
        await edge.set_weight("app", "blue", 3, deadline=1)
    assert refusal.value.code == "unreachable"


Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def pretender(haproxy: RunningHAProxy, answer: Answer) -> AsyncIterator[HAProxy]:
    """A socket that answers questions like the real HAProxy and commands as the test says."""
    path = Path(tempfile.mkdtemp(dir=haproxy.socket.parent)) / "p.sock"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        if not line.startswith(b"show"):
            await answer(line, writer)
            return
        up, out = await asyncio.open_unix_connection(str(haproxy.socket))
        out.write(line)
        writer.write(await up.read())
        out.close()

    async with serving(serve, path):
        yield HAProxy("edge", str(path))


async def test_trap_11_empty_answer_is_only_a_receipt_and_the_truth_is_read_back(haproxy: RunningHAProxy) -> None:
    """A lying socket says success to everything: the receipt claims nothing and the next reading shows it."""
    lines: list[bytes] = []

    async def say_nothing(line: bytes, writer: asyncio.StreamWriter) -> None:
        lines.append(line)
        writer.write(b"\n")

    haproxy.restart()
    async with pretender(haproxy, say_nothing) as edge:
        receipt = await edge.set_weight("app", "blue", 5, deadline=2)
        assert (receipt.code, receipt.message) == ("silent", "")
        assert (await one(edge, "blue")).weight == 100
    assert lines == [b"set server app/blue weight 5\n"]


async def test_trap_11_connection_lost_without_a_byte_is_unknown_not_success(haproxy: RunningHAProxy) -> None:
    async def vanish(line: bytes, writer: asyncio.StreamWriter) -> None:
        return None

    async with pretender(haproxy, vanish) as edge:
        with pytest.raises(EffectUnknown) as unknown:
            await edge.set_weight("app", "blue", 5, deadline=2)
    assert unknown.value.code == "reset"


@pytest.mark.parametrize("severity", ["", "[err]: ", "[3]:"])
async def test_a_refusal_is_known_also_on_a_socket_that_states_severities(
    haproxy: RunningHAProxy, severity: str
) -> None:
    async def deny(line: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{severity}Permission denied\n\n".encode())

    async with pretender(haproxy, deny) as edge:
        with pytest.raises(EffectRefused) as refusal:
            await edge.set_weight("app", "blue", 5, deadline=2)
    assert (refusal.value.code, refusal.value.message) == ("denied", "Permission denied")


async def test_silence_is_unknown_for_effects_and_a_timeout_for_readings(haproxy: RunningHAProxy) -> None:
    async def hang(line: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(1)

    async with pretender(haproxy, hang) as edge:
        with pytest.raises(EffectUnknown) as unknown:
            await edge.set_state("app", "blue", "maint", deadline=0.2)
        assert unknown.value.code == "timeout"


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 200 OK\r\n\r\n<html>",
        b"\xff\xfe\x00" * 400,
        b"Name: HAProxy\n\n\n\n",
        b"\n",
    ],
)
async def test_garbage_is_no_reading(garbage: bytes, folder: Path) -> None:
    path = Path(tempfile.mkdtemp(dir=folder)) / "g.sock"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(garbage)

    async with serving(serve, path):
        edge = HAProxy("edge", str(path))
        for read in (edge.read(deadline=1), edge.identify(deadline=1), edge.read_backend("app", deadline=1)):
            with pytest.raises(ReadFailure) as failure:
                await read
            assert failure.value.trouble in (Trouble.ERROR, Trouble.EMPTY)


async def test_unknown_columns_are_no_reading(folder: Path) -> None:
    path = Path(tempfile.mkdtemp(dir=folder)) / "c.sock"
    info = b"Name: HAProxy\nVersion: 2\nPid: 1\nStart_time_sec: 5\n\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(info + b"1\n# other columns\n\n# pxname,svname\n")

    async with serving(serve, path):
        with pytest.raises(ReadFailure, match="columns"):
            await HAProxy("edge", str(path)).read(deadline=1)


async def test_a_hung_socket_times_out(folder: Path) -> None:
    path = Path(tempfile.mkdtemp(dir=folder)) / "h.sock"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(serve, path):
        with pytest.raises(ReadFailure) as failure:
            await HAProxy("edge", str(path)).read(deadline=0.2)
    assert failure.value.trouble is Trouble.TIMEOUT


@pytest.mark.parametrize("socket", ["192.0.2.1:9999", "haproxy.example:9999", "relative.sock", "/" + "x" * 120])
def test_only_local_sockets_are_options(socket: str) -> None:
    with pytest.raises(ValueError, match="socket"):
        HaproxyOptions(kind="haproxy", site="east", socket=socket)
    assert HaproxyOptions(kind="haproxy", site="east", socket="127.0.0.1:9999").socket == "127.0.0.1:9999"
