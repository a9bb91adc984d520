"""What a state file keeps where the configuration on the disk is not the one that runs: on every HAProxy here."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.balancers.haproxy import HAProxy
from adapters.balancers.haproxy_starter import StartingAccount, barrier, starter
from adapters.balancers.haproxy_state import kept_whole, lost, present_in, rows_in, written
from state.health import Health
from state.verdicts.keeping import Keeping, keeping
from state.world.balancer_parts import NextReads, SavedSettings
from tests.contract.haproxy_sections import by_hand, checked, healthy, listening
from tests.contract.state_files import LOADED, Reloadable

Start = Callable[..., Reloadable]
HEAD = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight x\n"
ROW = "2 shop 1 {name} {address} 2 {admin} {weight} 100 3600 15 3 4 6 {agent} 0 0 {fqdn} 80 {record} 0 0 - - 0\n"


async def said(edge: HAProxy) -> Keeping:
    saved = await edge.save("shop", deadline=2)
    assert saved is not None
    found = keeping(saved, "shop")
    assert found is not None
    return found


async def test_a_weight_that_is_configured_anew_is_not_called_kept_before_the_reload(reloadable: Start) -> None:
    async with listening(healthy) as (port,):
        running = reloadable(LOADED, port=port)
        edge = running.edge()
        await checked(edge, "shop")
        await edge.set_weight("shop", "blue", 30, deadline=2)
        assert (await said(edge)).health is Health.PASS
        running.configure(weight=50)
        found = await said(edge)
        assert found.message == "a reload sets blue to weight 50: the configuration on the disk says otherwise"
        assert found.health is Health.WARN
        assert (await running.reload(edge)).servers["shop/blue"].weight == 50, "and so it is"


async def test_servers_that_the_configuration_does_not_have_are_told(reloadable: Start) -> None:
    """One that was renamed there, and one that was added at run time."""
    async with listening(healthy) as (port,):
        text = LOADED.replace("option httpchk", "option httpchk\n  balance roundrobin")
        running = reloadable(text, port=port)
        edge = running.edge()
        await checked(edge, "shop")
        assert b"registered" in await edge.ask(f"add server shop/extra 127.0.0.1:{port} weight 10", deadline=2)
        await by_hand(edge, "enable server shop/extra")
        await edge.set_state("shop", "green", "drain", deadline=2)
        assert (await said(edge)).message == "a reload takes extra away: the configuration on the disk says otherwise"
        running.configure(text.replace("server green", "server verde"))
        assert (await said(edge)).message.startswith("a reload takes green, extra away: ")
        after = await running.reload(edge)
        assert {s.name: s.drained for s in after.of("shop")} == {"blue": False, "verde": False, "third": False}


async def test_a_name_is_resolved_again_and_not_kept_as_it_was(reloadable: Start) -> None:
    """HAProxy's default is `init-addr last,libc`, and the address of a row is the last one."""
    async with listening(healthy) as (port,):
        running = reloadable(LOADED + "  server named localhost:{port} check weight 100\n", port=port)
        edge = running.edge()
        await checked(edge, "shop")
        moved = await edge.ask("set server shop/named addr 127.0.0.9", deadline=2)  # as after weeks, by its name
        assert b"127.0.0.9" in moved
        await edge.set_weight("shop", "named", 30, deadline=2)
        assert (await said(edge)).health is Health.PASS
        after = (await running.reload(edge)).servers["shop/named"]
        assert (after.address, after.weight) == (f"127.0.0.1:{port}", 30)


def dump(*rows: str) -> bytes:
    """Rows of `name address admin weight agent fqdn record`."""
    names = ("name", "address", "admin", "weight", "agent", "fqdn", "record")
    return (HEAD + "".join(ROW.format(**dict(zip(names, each.split(), strict=True))) for each in rows)).encode()


@pytest.mark.parametrize("source", ["app.test -", "a.test _app._tcp.test"])
def test_slots_that_share_a_name_keep_their_machines(source: str) -> None:
    """Without the addresses of all of them a drain would be another machine's after the reload."""
    slots = [f"web{n} 10.0.0.{n} {8 if n == 2 else 0} 100 0 {source}" for n in (1, 2, 3)]
    kept = written(dump(*slots, "alone 10.0.1.1 0 30 0 one.test -", "plain 10.0.1.2 0 30 0 - -"))
    addresses = {line.split()[3]: line.split()[4] for line in kept.decode().splitlines()[2:]}
    assert addresses == {
        "web1": "10.0.0.1",
        "web2": "10.0.0.2",
        "web3": "10.0.0.3",
        "alone": "-",
        "plain": "10.0.1.2",
    }
    quiet = [f"web{n} 10.0.0.{n} 0 100 0 {source}" for n in (1, 2, 3)]
    assert len(written(dump(*quiet)).splitlines()) == 2, "nothing is set, nothing is pinned"


def test_of_two_rows_of_one_server_the_first_counts_as_it_does_for_haproxy() -> None:
    twice = rows_in(dump("a 10.0.0.1 0 100 0 - -", "a 10.0.0.1 8 100 0 - -"))
    assert lost(present_in(dump("a 10.0.0.1 8 100 0 - -")), twice, {}) == {"shop/a": "ready"}


def test_a_server_with_an_agent_is_not_called_saved_without_a_file() -> None:
    present = present_in(dump("a 10.0.0.1 8 100 4 - -"))
    assert (lost(present, {}, {}), kept_whole(present, {}, {})) == ({}, frozenset())
    rows = rows_in(written(dump("a 10.0.0.1 8 100 4 - -")))
    assert kept_whole(present, rows, {}) == {"shop"}


def test_a_file_that_the_starter_cannot_get_to_is_named() -> None:
    with tempfile.TemporaryDirectory() as folder:  # of this account alone
        state = Path(folder, "state")
        state.write_text("1\n")
        state.chmod(0o644)
        other = StartingAccount(os.geteuid() + 4321, frozenset({os.getegid() + 4321}))
        assert barrier(str(state), other).endswith(f"{other.uid}, who starts HAProxy, may not read {folder}")
        Path(folder).chmod(0o755)
        assert not barrier(str(state), other)
        state.chmod(0o640)
        assert barrier(str(state), other).endswith(f"may not read {state}")
        assert not barrier(str(state), other._replace(groups=frozenset({state.stat().st_gid})))
        assert not barrier(f"{folder}/gone", other), "what is not there is told as that"
        assert not barrier(str(state), None), "nobody knows who starts it"


def test_what_bars_the_file_is_the_reason(reloadable: Start) -> None:
    running = reloadable(LOADED, port=1)
    assert running.process is not None
    worker = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()[0]
    found = starter(int(worker), drops=True)
    assert found is not None
    assert found.uid == os.geteuid(), "the master starts the next one"
    saved = SavedSettings("/s", {"shop/a": "ready"}, reads={"shop": NextReads.NO}, barred={"shop": "x may not read /s"})
    told = keeping(saved, "shop")
    assert told is not None
    assert (told.health, told.message) == (Health.WARN, "a reload sets a to ready: x may not read /s")
