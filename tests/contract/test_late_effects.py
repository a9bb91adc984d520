"""Nothing leaves late, nothing crowds a target: who stood still sends nothing, two connections are the most."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adapters.balancers.haproxy import HAProxy
from adapters.net.http_act import HttpActor
from adapters.net.origin import Origin
from state.errors import EffectRefused, EffectUnknown, ReadFailure


class Target:
    """Listens, counts connections and what was said, answers nothing."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.open = self.most = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most = max(self.most, self.open)
        while line := await reader.read(65536):
            self.heard.append(line)
        self.open -= 1
        writer.close()


@asynccontextmanager
async def target(path: Path) -> AsyncIterator[Target]:
    made = Target()
    server = await asyncio.start_unix_server(made.serve, str(path))
    try:
        yield made
    finally:
        server.close()
        await asyncio.sleep(0.02)


def stand_still(seconds: float) -> None:
    """Hold this process up, as SIGSTOP would, in the very next turn of the loop: while a connection is being made."""
    asyncio.get_running_loop().call_soon(time.sleep, seconds)


async def test_a_command_is_not_sent_by_a_process_that_stood_still_while_connecting(tmp_path):
    async with target(tmp_path / "h.sock") as there:
        balancer = HAProxy("edge", str(tmp_path / "h.sock"))
        balancer._intake._servers = {"shop/green": object()}
        stand_still(0.4)
        with pytest.raises(EffectRefused, match="no connection"):
            await balancer.set_weight("shop", "green", 5, deadline=0.3)
        await asyncio.sleep(0.05)
        assert there.heard == []


async def test_a_request_is_not_sent_by_a_process_that_stood_still_while_connecting(tmp_path):
    async with target(tmp_path / "p.sock") as there:
        actor = HttpActor(Origin.of("http://patroni"), unix=str(tmp_path / "p.sock"))
        stand_still(0.4)
        with pytest.raises(EffectRefused, match="no connection"):
            await actor.send("POST", "/switchover", {"leader": "n1"}, deadline=0.3)
        await asyncio.sleep(0.05)
        assert there.heard == []
        with pytest.raises(EffectUnknown):
            await actor.send("POST", "/switchover", {"leader": "n1"}, deadline=0.3)
        assert there.heard


async def test_however_many_look_and_act_a_balancer_sees_two_connections(tmp_path):
    async with target(tmp_path / "h.sock") as there:
        balancer = HAProxy("edge", str(tmp_path / "h.sock"))
        balancer._intake._servers = {"shop/green": object()}
        looks = [balancer.read(deadline=0.3) for _ in range(4)]
        looks += [balancer.identify(deadline=0.3) for _ in range(4)]
        acts = [balancer.set_weight("shop", "green", 5, deadline=0.3) for _ in range(4)]
        met = await asyncio.gather(*looks, *acts, return_exceptions=True)
        assert {type(m) for m in met[:8]} == {ReadFailure}
        assert {type(m) for m in met[8:]} == {EffectUnknown, EffectRefused}
        assert there.most == 2
        assert sum(b"set server" in line for line in there.heard) == 1
