"""What others reported of frontends, added servers, reloads and drains, on every HAProxy here."""

from __future__ import annotations

import asyncio
import math
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.balancers.haproxy import HAProxy
from adapters.balancers.haproxy_parse import Intake
from adapters.balancers.haproxy_process import process_info
from state.checks.model import Answer
from state.checks.registry import check_kinds
from state.errors import EffectRefused, ReadFailure
from state.health import Health
from state.verdicts.traffic import backend_verdict, counted, reason_word, server_health, way_in
from state.views.trends import observe_trends
from state.world.balancer_parts import BalancerReading
from state.world.observed import Observed
from state.world.shapes import misfit
from state.world.world import World
from tests.contract.components import answers, haproxies, wait_for
from tests.contract.haproxy_sections import HEAD, by_hand, card, checked, estate_of, healthy, listening, sections, until
from tests.contract.test_traffic_shares import requests
from tests.support.ports import free_port

PLACE = estate_of(shop={"backend": "web"})
WEB = """
frontend f
  bind 127.0.0.1:{front}
  default_backend web
backend web
  option httpchk
  server a 127.0.0.1:{port} check inter 200ms weight 10
  server b 127.0.0.1:{port} check inter 200ms weight 10
"""


@pytest.fixture(params=haproxies())
def run(request: pytest.FixtureRequest, folder: Path) -> Iterator[Callable[..., HAProxy]]:
    with sections(haproxies()[request.param], folder) as start:
        yield start


def closed(reading: BalancerReading) -> tuple[Health, str]:
    verdict = backend_verdict(reading.of("web"), 1, {}, entry=way_in(reading, "web"))
    return verdict.health, verdict.message


async def test_a_backend_whose_frontend_is_disabled_serves_nobody(run: Callable[..., HAProxy]) -> None:
    """haproxy/haproxy#1626: every server is UP, and the port takes no connection."""
    async with listening(healthy) as (port,):
        balancer = run(WEB, port=port, front=(front := free_port()))
        await checked(balancer, "web")
        assert closed(await balancer.read(deadline=2))[0] is Health.PASS
        await requests(front, 2)
        await by_hand(balancer, "disable frontend f")
        health, said = closed(await balancer.read(deadline=2))
        assert health is Health.FAIL
        assert said.startswith("no frontend takes connections: f (")
        await by_hand(balancer, "enable frontend f")
        assert closed(await balancer.read(deadline=2))[0] is Health.PASS
        await by_hand(balancer, "set maxconn frontend f 1")
        assert closed(await balancer.read(deadline=2))[0] is Health.PASS


async def test_one_closed_frontend_of_several_is_told_and_a_listen_section_has_its_own(
    run: Callable[..., HAProxy],
) -> None:
    both = WEB + "\nfrontend g\n  bind 127.0.0.1:{other}\n  default_backend web\n"
    both += "\nlisten l\n  bind 127.0.0.1:{third}\n  server a 127.0.0.1:{port}\n"
    async with listening(healthy) as (port,):
        balancer = run(both, port=port, front=free_port(), other=free_port(), third=free_port())
        await checked(balancer, "web")
        await by_hand(balancer, "disable frontend g")
        reading = await balancer.read(deadline=2)
        assert closed(reading)[0] is Health.WARN
        assert "a frontend takes no connections: g (" in closed(reading)[1]
        assert way_in(reading, "l").health is Health.PASS, "of a section that is both it is known"
        assert (misfit(reading), reading.listens) == (None, {"l"})
        await by_hand(balancer, "shutdown frontend l")
        reading = await balancer.read(deadline=2)
        assert (way_in(reading, "l").health, closed(reading)[0]) == (Health.FAIL, Health.WARN)


async def test_trap_19_an_added_server_is_returned_only_with_its_check_on(run: Callable[..., HAProxy]) -> None:
    """haproxytech/dataplaneapi#299, haproxy/haproxy#1994: it is added in maintenance, and its check is off."""
    async with listening(healthy) as (port,):
        balancer = run(WEB, port=port, front=free_port())
        await checked(balancer, "web")
        await balancer.ask(f"add server web/n 127.0.0.1:{port} check inter 200ms weight 10", deadline=2)
        server = (await balancer.read(deadline=2)).servers["web/n"]
        assert (server.check_off, server.maintenance, server.checked) == (True, True, False)
        refused = await card(balancer, "server.ready", PLACE, backend="web", server="n")
        assert [(r.rule, r.way_out) for r in refused.refusals] == [
            ("checks", "On the balancer: enable health web/n"),
        ]
        await by_hand(balancer, "enable health web/n")
        allowed = await card(balancer, "server.ready", PLACE, backend="web", server="n")
        assert not allowed.refusals
        await balancer.set_state("web", "n", "ready", deadline=2)
        reading = await checked(balancer, "web")
        assert [s.name for s in counted(reading.of("web"))] == ["a", "b", "n"]
        restarted = run(WEB, port=port, front=free_port())
        assert "web/n" not in (await restarted.read(deadline=2)).servers, "a reload loses it"


async def test_checks_that_somebody_switched_off_are_seen_while_nothing_else_changes(
    run: Callable[..., HAProxy],
) -> None:
    """haproxy/haproxy#51: it is UP for ever, and nothing proves it."""
    async with listening(healthy) as (port,):
        balancer = run(WEB, port=port, front=free_port())
        await checked(balancer, "web")
        await by_hand(balancer, "disable health web/a")
        server = (await until(balancer, lambda r: r.servers["web/a"].check_off)).servers["web/a"]
        assert (server.up, server_health(server)) == (True, Health.UNKNOWN)
        assert reason_word(server) == "its checks are off"
        assert not (await balancer.read(deadline=2)).servers["web/b"].check_off
        await by_hand(balancer, "enable health web/a")
        server = (await until(balancer, lambda r: not r.servers["web/a"].check_off)).servers["web/a"]
        assert reason_word(server) != "its checks are off"


class Watched:
    """Readings as the poller takes them in, one a second."""

    def __init__(self) -> None:
        self.world, self.now = World(), 100.0

    async def poll(self, balancer: HAProxy) -> None:
        before: Observed[Any] = self.world.observed.get("balancer:edge") or Observed("balancer:edge", 3.0)
        self.now += 1.0
        reading = await balancer.read(deadline=2)
        seen = Observed("balancer:edge", 3.0, reading, 1_000.0 + self.now, self.now)
        self.world.observed["balancer:edge"] = seen
        observe_trends(self.world, "balancer:edge", reading, before)

    def drained(self) -> Answer:
        kind = check_kinds()["server.drained"]
        args = kind.args.model_validate({"balancer": "edge", "backend": "web", "server": "a"})
        return kind.ask(args, self.world, PLACE, self.now, -math.inf)


STICKY = """
frontend f
  bind 127.0.0.1:{front}
  default_backend web
backend web
  stick-table type ip size 10 expire 1m
  stick on src
  server a 127.0.0.1:{port} weight 100
  server b 127.0.0.1:{port} weight 0
"""


async def test_trap_25_and_26_a_stick_table_leads_to_a_drained_server_and_one_reading_proves_nothing(
    run: Callable[..., HAProxy],
) -> None:
    """haproxy/haproxy#2894, #2729, opserver/Opserver#132: no session is open at any reading, each request is its."""
    async with listening(healthy) as (port,):
        balancer, seen = run(STICKY, port=port, front=(front := free_port())), Watched()
        await requests(front, 3)
        await balancer.set_state("web", "a", "drain", deadline=2)
        await balancer.set_weight("web", "b", 100, deadline=2)
        await seen.poll(balancer)
        first = seen.drained()
        assert first.health is Health.UNKNOWN, first
        assert "counted from the next reading on" in first.evidence[0]
        for _ in range(3):
            await requests(front, 4)
            await seen.poll(balancer)
            answer = seen.drained()
            assert answer.health is Health.FAIL, answer
            assert "0 sessions; still" in answer.evidence[0]
        await by_hand(balancer, "clear table web")
        await requests(front, 4)
        await seen.poll(balancer)
        assert seen.drained().health is Health.PASS


async def test_trap_27_streams_outlive_a_drain_and_maintenance(run: Callable[..., HAProxy]) -> None:
    """envoyproxy/envoy#36958, istio/istio#13908: it is not drained while one is open, however it was taken out."""
    text = WEB.replace("frontend f", "frontend f\n  mode tcp").replace("  option httpchk", "  mode tcp")

    async def stream(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(stream) as (port,):
        balancer, seen = run(text, port=port, front=(front := free_port())), Watched()
        await checked(balancer, "web")
        await balancer.set_state("web", "b", "maint", deadline=2)
        _, client = await asyncio.open_connection("127.0.0.1", front)
        client.write(b"x")
        await until(balancer, lambda r: r.servers["web/a"].sessions == 1)
        for state in ("drain", "maint"):
            await balancer.set_state("web", "a", state, deadline=2)  # type: ignore[arg-type]
            await seen.poll(balancer)
            await seen.poll(balancer)
            assert (seen.drained().health, seen.drained().figures["sessions"]) == (Health.FAIL, 1)
        client.close()
        await until(balancer, lambda r: r.servers["web/a"].sessions == 0)
        await seen.poll(balancer)
        assert seen.drained().health is Health.PASS


GONE = """
resolvers nobody
  nameserver one 127.0.0.1:{closed}
backend web
  server a nobody.invalid:80 check resolvers nobody init-addr none
  server b 127.0.0.1:{port} check inter 200ms
"""


async def test_trap_30_a_server_whose_name_is_gone_is_in_maintenance_and_no_drain_waits(
    run: Callable[..., HAProxy],
) -> None:
    """jcmoraisjr/haproxy-ingress#42"""
    async with listening(healthy) as (port,):
        balancer, seen = run(GONE, port=port, closed=free_port()), Watched()
        reading = await until(balancer, lambda r: r.servers["web/a"].unresolved and r.servers["web/b"].checked)
        assert reason_word(reading.servers["web/a"]) == "its name has no address"
        await seen.poll(balancer)
        await seen.poll(balancer)
        assert seen.drained().health is Health.PASS


async def test_trap_08_right_after_a_reload_nothing_is_called_drained(run: Callable[..., HAProxy]) -> None:
    """ray-project/ray#63620, haproxy/haproxy#228: the new process has no session, the old one goes on serving."""
    async with listening(healthy) as (port,):
        old, new = (run(WEB, port=port, front=free_port()) for _ in range(2))
        seen = Watched()
        for balancer in (old, new):
            await checked(balancer, "web")
            await balancer.set_state("web", "a", "drain", deadline=2)
        await seen.poll(old)
        await seen.poll(old)
        assert seen.drained().health is Health.PASS
        await seen.poll(new)
        assert seen.drained().health is Health.UNKNOWN


@pytest.mark.parametrize("program", haproxies().values(), ids=haproxies())
async def test_trap_08_while_an_old_worker_lives_nothing_is_called_drained(program: Path, folder: Path) -> None:
    """ray-project/ray#63620: what the old worker serves is in no answer of the new one."""
    place, front = Path(tempfile.mkdtemp(dir=folder)), free_port()

    async def stream(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    text = HEAD + WEB.replace("frontend f", "frontend f\n  mode tcp").replace("  option httpchk", "  mode tcp")
    async with listening(stream) as (port,):
        (place / "h.cfg").write_text(text.format(socket=place / "s", front=front, port=port))
        argv = [program, "-W", "-db", "-f", place / "h.cfg"]
        with subprocess.Popen(argv, env={}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as master:
            try:
                wait_for(lambda: answers(place / "s"))
                balancer, seen = HAProxy("edge", str(place / "s")), Watched()
                first = await checked(balancer, "web")
                assert first.leaving == 0
                _, client = await asyncio.open_connection("127.0.0.1", front)
                client.write(b"x")
                await until(balancer, lambda r: sum(s.sessions for s in r.of("web")) == 1)
                master.send_signal(signal.SIGUSR2)
                await until(balancer, lambda r: r.process != first.process and r.leaving == 1)
                await balancer.set_state("web", "a", "drain", deadline=2)
                for _ in range(3):
                    await seen.poll(balancer)
                assert seen.drained().health is Health.UNKNOWN
                assert "since a reload an old process serves on" in seen.drained().evidence[0]
                client.close()
                await until(balancer, lambda r: r.leaving == 0)
                await seen.poll(balancer)
                assert seen.drained().health is Health.PASS
            finally:
                master.kill()


def test_trap_24_a_process_that_stops_is_no_source() -> None:
    """What it says of its servers is the past: `show info` of a kept connection has `Stopping: 1` (seen, 2.6)."""
    info = b"Name: HAProxy\nVersion: 2.6.12\nPid: 7\nStopping: %d\nStart_time_sec: 1700000000\n"
    assert process_info(info % 0)["Pid"] == "7"
    with pytest.raises(ReadFailure, match="process 7 is stopping"):
        process_info(info % 1)


async def test_trap_11_and_24_each_command_has_a_connection_and_a_verdict_of_its_own(
    run: Callable[..., HAProxy], folder: Path
) -> None:
    """jcmoraisjr/haproxy-ingress#807: in a chain a silent success hides the failure before it. A kept connection stays
    with the old process after a reload."""
    lines: list[bytes] = []
    async with listening(healthy) as (port,):
        real = run(WEB, port=port, front=free_port())
        [entry] = [each for each in real.acts_at() if " /" in each]
        place = Path(tempfile.mkdtemp(dir=folder)) / "s"

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_unix_connection(entry.partition(" ")[2])
            lines.append(line := await reader.readline())
            back.write(line)
            while chunk := await there.read(1 << 16):
                writer.write(chunk)
            assert not reader.at_eof() or not await reader.read()
            writer.close()
            back.close()

        async with await asyncio.start_unix_server(relay, place):
            balancer = HAProxy("edge", str(place))
            await checked(balancer, "web")
            lines.clear()
            await balancer.set_weight("web", "a", 5, deadline=2)
            await balancer.set_state("web", "a", "drain", deadline=2)
            with pytest.raises(EffectRefused) as refused:
                await balancer.set_map("/no.map", "x", "web", deadline=2)
            await balancer.set_state("web", "a", "ready", deadline=2)
    assert refused.value.code == "refused"
    assert [line.decode() for line in lines] == [
        "set server web/a weight 5\n",
        "set server web/a state drain\n",
        "set map /no.map x web\n",
        "set server web/a state ready\n",
    ]


async def test_trap_10_a_weight_that_is_missing_is_unknown_and_not_0_or_its_default(
    run: Callable[..., HAProxy],
) -> None:
    """haproxytech/dataplaneapi#408: an answer without weights is no reading; the answer after it is one."""
    async with listening(healthy) as (port,):
        balancer = run(WEB, port=port, front=free_port())
        await checked(balancer, "web")
        states, stats = [await balancer.ask(each, deadline=2) for each in ("show servers state", "show stat -1 7 -1")]
    head, body = states.split(b"web 1 a", 1)
    fields = (b"web 1 a" + body).split(b" ")
    intake = Intake()
    for missing in (b"", b"-"):
        cut = b" ".join([*fields[:6], missing, *fields[7:]])
        with pytest.raises(ReadFailure, match="a table of servers"):
            await intake.take(head + cut, stats)
    assert (await intake.take(states, stats))["web/a"].weight == 10
