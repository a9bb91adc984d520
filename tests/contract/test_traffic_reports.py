"""What others reported of agents, backups and checks, on every HAProxy of this machine; each names its thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.balancers.haproxy import HAProxy
from adapters.balancers.haproxy_parse import Intake
from state.health import Health
from state.verdicts.traffic import backend_verdict, counted, reason_word, server_health, set_down, state_word, sure
from tests.contract.components import haproxies
from tests.contract.haproxy_sections import checked, healthy, listening, sections, until
from tests.support.ports import free_port


@pytest.fixture(params=haproxies())
def run(request: pytest.FixtureRequest, folder: Path) -> Iterator[Callable[..., HAProxy]]:
    with sections(haproxies()[request.param], folder) as start:
        yield start


class Agent:
    """An agent whose words change; without words it hangs up."""

    words = "up"

    async def __call__(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.words:
            writer.write(self.words.encode() + b"\n")
            await writer.drain()


async def hanging(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """An agent that takes the connection and says nothing."""
    await reader.read()


BOTH = """
backend web
  option httpchk
  server a 127.0.0.1:{port} check inter 200ms agent-check agent-port {agent} agent-inter 200ms weight 100
"""


@pytest.mark.parametrize("then", ["50%", ""])
async def test_a_server_that_its_agent_put_down_says_so_until_the_agent_says_up(
    run: Callable[..., HAProxy], then: str
) -> None:
    """haproxy/haproxy#2039: a share alone brings nothing up. Nor does an agent that is gone: it changes nothing."""
    agent = Agent()
    async with listening(healthy, agent) as (port, words):
        balancer = run(BOTH, port=port, agent=words)
        await checked(balancer, "web")
        agent.words = "down # disk full"
        reading = await until(balancer, lambda r: not r.servers["web/a"].up)
        assert reason_word(reading.servers["web/a"]) == "agent: disk full"
        agent.words = then
        reading = await until(balancer, lambda r: r.servers["web/a"].agent_says != "disk full")
    server = reading.servers["web/a"]
    assert (state_word(server), server.check) == ("down", "L7OK"), "its health check passes"
    assert reason_word(server) == "agent: it said down, and has not said up since"


@pytest.mark.parametrize("agent", [hanging, Agent()], ids=["hangs", "hangs up"])
async def test_an_agent_that_says_nothing_is_no_evidence(
    run: Callable[..., HAProxy], agent: Callable[..., object]
) -> None:
    """HAProxy lets its silence change nothing, so a server without a health check is in rotation, and unproven."""
    if isinstance(agent, Agent):
        agent.words = ""
    alone = "backend web\n  server a 127.0.0.1:{port} agent-check agent-port {words} agent-inter 200ms\n"
    async with listening(healthy, agent) as (port, words):  # type: ignore[arg-type]
        balancer = run(alone, port=port, words=words)
        silent = b",L7TOUT," if agent is hanging else b",L7RSP,"
        for _ in range(200):
            if silent in (await balancer.ask("show stat", deadline=2)).replace(b"* ", b""):
                break
            await asyncio.sleep(0.05)
        else:
            pytest.fail("the agent's silence was never told")
        server = (await balancer.read(deadline=2)).servers["web/a"]
    assert (server.up, server.checked) == (True, False)
    assert server_health(server) is Health.UNKNOWN
    assert backend_verdict((server,), 1, {}).health is Health.UNKNOWN


async def test_a_backup_takes_over_from_servers_that_are_up_and_have_no_weight(run: Callable[..., HAProxy]) -> None:
    """haproxy/haproxy#866, rancher/rancher#10593: UP with weight 0 is no server, so the backup has all of it."""
    text = (
        "backend web\n  option httpchk\n  server m 127.0.0.1:{port} check inter 200ms\n"
        "  server k 127.0.0.1:{port} check inter 200ms backup\n"
        "frontend edge\n  bind 127.0.0.1:{front}\n  default_backend web\n"
    )
    async with listening(healthy) as (port,):
        balancer = run(text, port=port, front=(front := free_port()))
        await checked(balancer, "web")
        await balancer.set_weight("web", "m", 0, deadline=2)
        for _ in range(4):
            reader, writer = await asyncio.open_connection("127.0.0.1", front)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            assert b" 200 " in await reader.read()
            writer.close()
        reading = await until(balancer, lambda r: r.servers["web/k"].requests == 4)
    verdict = backend_verdict(reading.of("web"), 1, {})
    assert (verdict.health, verdict.message, verdict.active) == (
        Health.WARN,
        "only the backup k serves",
        "k 100%",
    )


class Ailing:
    """A server that is well until it is told otherwise."""

    well = True

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 %d said\r\ncontent-length: 0\r\n\r\n" % (200 if self.well else 500))
        await writer.drain()


async def test_a_server_that_fails_some_checks_serves_until_it_is_down(run: Callable[..., HAProxy]) -> None:
    """prometheus/haproxy_exporter#116, sensu-plugins/sensu-plugins-haproxy#19: `UP 2/3` is up."""
    server = Ailing()
    text = "backend web\n  option httpchk\n  server a 127.0.0.1:{port} check inter 100ms fall 250\n"
    async with listening(server) as (port,):
        balancer = run(text, port=port)
        await checked(balancer, "web")
        server.well = False
        read = (await until(balancer, lambda r: r.servers["web/a"].check == "L7STS")).servers["web/a"]
    assert read.status.startswith("UP ")
    assert (state_word(read), read.serving, read.failing) == ("ready", True, True)
    assert counted([read]), "it has requests"
    assert not sure([read]), "and nothing is led to it as if it were well"


async def test_who_follows_a_server_fails_its_check_too(run: Callable[..., HAProxy]) -> None:
    server = Ailing()
    text = (
        "backend web\n  option httpchk\n  server a 127.0.0.1:{port} check inter 100ms fall 250\n"
        "backend more\n  server b 127.0.0.1:{port} track web/a\n"
    )
    async with listening(server) as (port,):
        balancer = run(text, port=port)
        await checked(balancer, "web")
        assert not (await balancer.read(deadline=2)).servers["more/b"].failing
        server.well = False
        read = (await until(balancer, lambda r: r.servers["web/a"].failing)).servers["more/b"]
    assert (read.up, read.failing) == (True, True)


STATE = (
    b"1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
    b"srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state "
    b"bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr "
    b"srv_agent_addr srv_agent_port\n2 web 1 a 10.0.0.1 0 0 1 1 1 1 0 0 7 0 0 0 - 80 - 0 0 - - 0\n"
)


async def test_a_server_that_begins_down_waits_for_its_first_check_and_nobody_set_it_down() -> None:
    """haproxy/haproxy#3405, #51: `init-state down` of HAProxy 3.1, as its manual has the statuses."""
    fields = [b""] * 44
    fields[0], fields[1], fields[17], fields[18], fields[36], fields[32] = b"web", b"a", b"DOWN", b"1", b"INI", b"2"
    head = (
        b"# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,"
        b"act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,"
        b"rate_max,check_status,check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,\n"
    )
    server = (await Intake().take(STATE, head + b",".join(fields) + b",\n"))["web/a"]
    assert (state_word(server), set_down(server)) == ("down", False)
    assert reason_word(server) == "its first check has not answered yet"
