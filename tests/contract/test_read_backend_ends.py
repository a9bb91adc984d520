"""Reading one backend ends, whatever an answer says of whom a server tracks."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.balancers.haproxy import HAProxy
from tests.support.haproxy_peer import haproxy_peer


@pytest.mark.parametrize("leader", ["gone/x", "shop/x", "shop/blue", "0"])
async def test_a_backend_is_asked_for_once_when_its_leader_is_not_there(folder: Path, leader: str) -> None:
    with haproxy_peer(folder) as peer:
        peer.tracked = leader
        servers = await HAProxy("edge", str(peer.socket)).read_backend("shop", deadline=10)
    assert {server.name for server in servers} == {"blue", "green"}
    assert sum(asked.startswith("show servers state") for asked in peer.asked) <= 2
