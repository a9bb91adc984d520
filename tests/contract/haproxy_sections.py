"""HAProxy processes with the sections that a test names, servers that are well, and what the cards of changes say."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.balancers.haproxy import HAProxy
from state.changes.model import ChangeSpec, Preview
from state.changes.registry import build
from state.errors import ReadFailure, Trouble
from state.estate.model import Estate
from state.ports.outside import Outside
from state.world.balancer_parts import BalancerReading
from state.world.shapes import misfit
from tests.contract.components import answers, serving, wait_for

HEAD = """
global
  stats socket {socket} level admin mode 600
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
  timeout check 5s
"""


@contextmanager
def sections(program: Path, folder: Path) -> Iterator[Callable[..., HAProxy]]:
    """Starts HAProxy processes; all are gone afterwards."""
    started: list[subprocess.Popen[bytes]] = []

    def start(text: str, **values: Any) -> HAProxy:
        place = Path(tempfile.mkdtemp(dir=folder))
        socket = place / "a.sock"
        (place / "h.cfg").write_text((HEAD + text).format(socket=socket, **values))
        argv = [program, "-db", "-f", place / "h.cfg"]
        started.append(subprocess.Popen(argv, env={}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
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


def saying(words: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """An agent with these words."""

    async def agent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words.encode() + b"\n")
        await writer.drain()

    return agent


@asynccontextmanager
async def listening(*serve: Callable[..., Awaitable[None]]) -> AsyncIterator[list[int]]:
    """The ports of little servers."""
    if not serve:
        yield []
        return
    async with serving(serve[0]) as port, listening(*serve[1:]) as others:
        yield [port, *others]


async def until(balancer: HAProxy, when: Callable[[BalancerReading], bool]) -> BalancerReading:
    """The first reading of which something is true."""
    end = time.monotonic() + 30
    while not when(reading := await balancer.read(deadline=2)):
        assert time.monotonic() < end, reading
        await asyncio.sleep(0.05)
    assert misfit(reading) is None, "the engine refuses such a reading"
    return reading


async def checked(balancer: HAProxy, backend: str) -> BalancerReading:
    """The first reading in which a check has answered for every server of a backend."""
    return await until(balancer, lambda reading: all(s.checked for s in reading.of(backend)))


def estate_of(**services: dict[str, Any]) -> Estate:
    """Services on backends of one balancer."""
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


async def by_hand(balancer: HAProxy, command: str) -> None:
    """A command of somebody else; HAProxy answers one that is done with nothing."""
    with pytest.raises(ReadFailure) as failure:
        await balancer.ask(command, deadline=2)
    assert failure.value.trouble is Trouble.EMPTY, failure.value.message


async def card(balancer: HAProxy, kind: str, place: Estate, **args: Any) -> Preview:
    """What the card of a change is made from."""
    made = build(ChangeSpec(kind, {"balancer": "edge", **args}), place, Outside((), {"edge": balancer}, {}))
    return await made.preview(deadline=2)


async def refusals(balancer: HAProxy, kind: str, place: Estate, **args: Any) -> dict[str, str]:
    """The rules that a card does not pass, with their facts."""
    return {r.rule: r.fact for r in (await card(balancer, kind, place, **args)).rules if not r.passed}
