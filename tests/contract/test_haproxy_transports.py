"""Where HAProxy's runtime API is found: a TCP socket, the master's socket, another product name; on real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from adapters.balancers.haproxy import OPTIONS, HAProxy, HaproxyOptions
from adapters.balancers.haproxy_address import RuntimeApi
from adapters.discovery.asking import discover
from adapters.discovery.looking import Looking
from state.discovery.found import FoundBalancer
from state.errors import EffectRefused, ReadFailure, Trouble
from tests.contract.components import answers, haproxies, listens, serving, wait_for
from tests.support.ports import free_port

CONFIG = """
global
  stats socket {socket} level admin mode 600
  stats socket ipv4@127.0.0.1:{port} level {level}
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend app
  bind 127.0.0.1:{front}
  default_backend app
backend app
  server blue 127.0.0.1:1 weight 100
  server green 127.0.0.1:1 weight 0
"""


@dataclass(frozen=True)
class Master:
    """HAProxy as a master with one worker, its master's socket, and a TCP socket of the worker."""

    process: subprocess.Popen[bytes]
    config: Path
    socket: Path
    port: int


@pytest.fixture(params=haproxies())
def master(request: pytest.FixtureRequest, folder: Path) -> Iterator[Master]:
    place = Path(tempfile.mkdtemp(dir=folder))
    port, front = free_port(), free_port()
    config, socket = place / "h.cfg", place / "m.sock"
    config.write_text(CONFIG.format(socket=place / "a.sock", port=port, front=front, level="admin"))
    argv = [haproxies()[request.param], "-W", "-S", f"{socket},mode,600,level,admin", "-f", config]
    process = subprocess.Popen(argv, env={}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: answers(socket) and listens(port), 60)
    yield Master(process, config, socket, port)
    process.send_signal(signal.SIGTERM)
    process.wait(60)


T = TypeVar("T")


async def reached(ask: Callable[[], Awaitable[T]]) -> T:
    """What comes once the master listens: it starts itself again at its start and at a reload."""
    end = time.monotonic() + 60
    while True:
        try:
            return await ask()
        except (ReadFailure, EffectRefused) as failure:
            starting = any(word in failure.message for word in ("refused", "No such file", "reset"))
            if not starting or time.monotonic() > end:
                raise
            await asyncio.sleep(0.05)


async def test_the_masters_socket_leads_to_its_worker_and_after_a_reload_to_the_next_one(master: Master) -> None:
    edge = HAProxy("edge", f"{master.socket}@1")
    seen = await reached(lambda: edge.read(deadline=60))
    assert list(seen.servers) == ["app/blue", "app/green"]
    identity = await reached(lambda: edge.identify(deadline=60))
    assert (await reached(lambda: edge.set_weight("app", "green", 40, deadline=60))).code == "silent"
    assert [s.weight for s in await reached(lambda: edge.read_backend("app", deadline=60))] == [100, 40]
    os.kill(master.process.pid, signal.SIGUSR2)
    end, after = time.monotonic() + 60, seen
    while after.process == seen.process and time.monotonic() < end:
        try:
            after = await edge.read(deadline=60)
        except ReadFailure:  # no worker, or the master starts again
            await asyncio.sleep(0.05)
    assert after.process != seen.process
    assert after.servers["app/green"].weight == 0, "what was set at run time is lost with the worker"
    assert "process was" in identity.difference(await reached(lambda: edge.identify(deadline=60)))


async def test_a_master_without_its_worker_named_is_told_from_a_silent_one(master: Master) -> None:
    """HAProxy 2.6 answers a foreign command at its master's socket and leaves the connection open."""
    await reached(lambda: HAProxy("edge", f"{master.socket}@1").read(deadline=60))
    with pytest.raises(ReadFailure) as failure:
        await reached(lambda: HAProxy("edge", str(master.socket)).read(deadline=2))
    assert failure.value.trouble is Trouble.ERROR
    (fact,) = await discover([str(master.socket)], Looking(deadline=5))
    assert isinstance(fact, FoundBalancer)
    assert fact.socket == f"{master.socket}@1"


async def test_a_worker_that_is_not_there_is_no_reading_and_nothing_is_sent(master: Master) -> None:
    edge = HAProxy("edge", f"{master.socket}@7")
    with pytest.raises(ReadFailure, match="prefix '@7'") as failure:
        await reached(lambda: edge.read(deadline=60))
    assert failure.value.trouble is Trouble.UNREACHABLE
    with pytest.raises(EffectRefused, match="prefix '@7'"):
        await reached(lambda: edge.set_state("app", "blue", "drain", deadline=60))


async def test_a_tcp_socket_reads_and_sets(master: Master) -> None:
    edge = HAProxy("edge", f"127.0.0.1:{master.port}")
    assert (await edge.set_weight("app", "blue", 7, deadline=60)).code == "silent"
    assert (await edge.read(deadline=60)).servers["app/blue"].weight == 7


async def test_haproxy_enterprise_is_haproxy(folder: Path) -> None:
    """Its `show info` begins with another name, and its versions are longer."""
    path = Path(tempfile.mkdtemp(dir=folder)) / "e.sock"
    info = b"Name: hapee-lb\nVersion: 2.8.0-1.0.0-318.1060\nPid: 7\nnode: edge7\nStart_time_sec: 5\n\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(info)

    async with serving(serve, path):
        facts = (await HAProxy("edge", str(path)).identify(deadline=60)).facts
    assert (facts["host"], facts["version"]) == ("edge7", "2.8.0-1.0.0-318.1060")


@pytest.mark.parametrize(
    ("text", "api"),
    [
        ("/run/h.sock", RuntimeApi("/run/h.sock")),
        ("/run/master.sock@1", RuntimeApi("/run/master.sock", worker=1)),
        ("127.0.0.1:9999@2", RuntimeApi(("127.0.0.1", 9999), worker=2)),
        ("[::1]:9999", RuntimeApi(("::1", 9999))),
        ("ssh://edge1/run/h@home.sock", RuntimeApi("/run/h@home.sock", host="edge1")),
        ("ssh://edge1/run/master.sock@1", RuntimeApi("/run/master.sock", host="edge1", worker=1)),
    ],
)
def test_addresses_are_understood(text: str, api: RuntimeApi) -> None:
    assert RuntimeApi.of(text) == api


@pytest.mark.parametrize(
    "text", ["relative.sock", "/run/h.sock@0", "ssh://edge1", "ssh:///run/h", "ssh://a@b/run/h", "/" + "x" * 120, ""]
)
def test_other_addresses_are_not(text: str) -> None:
    with pytest.raises(ValueError, match=r"path|@1|HOST"):
        RuntimeApi.of(text)


def test_every_command_at_the_masters_socket_names_its_worker() -> None:
    assert RuntimeApi("/m", worker=1).line("show info", "show stat") == b"@1 show info;@1 show stat"
    assert RuntimeApi("/m").line("show info", "show stat") == b"show info;show stat"


def test_plain_text_to_another_machine_needs_a_reason_and_a_reason_needs_plain_text() -> None:
    waive = {"tls": "VLAN 12 has these two hosts only"}
    far = HaproxyOptions(kind="haproxy", site="east", socket="10.1.0.5:9999", waive=waive)
    assert far.waive.given == waive
    for socket, given, message in (
        ("10.1.0.5:9999", {}, "has no encryption"),
        ("127.0.0.1:9999", waive, "no waiver, because nothing here goes without it"),
        ("/run/h.sock", waive, "no waiver, because nothing here goes without it"),
        ("10.1.0.5:9999", {"tls": "because"}, "at least 10"),
        ("10.1.0.5:9999", {"tls": "two lines\nof reason"}, "one line"),
    ):
        with pytest.raises(ValueError, match=message):
            OPTIONS(kind="haproxy", site="east", socket=socket, waive=given)
