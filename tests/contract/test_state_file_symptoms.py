"""State files as others saw them go wrong, on every HAProxy of this machine: what is kept is what the next process has,
and what is called kept is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest

from adapters.balancers.haproxy import HAProxy
from state.health import Health
from state.verdicts.keeping import Keeping, keeping
from state.world.balancer_parts import SavedSettings
from tests.contract.haproxy_sections import checked, healthy, listening, until
from tests.contract.state_files import LOADED, OWN, Reloadable

Start = Callable[..., Reloadable]
TLS, CHECK_PORT, ADDRESS = 20, 21, 4
"""Columns of `show servers state`."""


def said(saved: SavedSettings | None, backend: str = "shop") -> Keeping:
    assert saved is not None
    found = keeping(saved, backend)
    assert found is not None
    return found


async def rows(edge: HAProxy) -> Mapping[str, list[str]]:
    """The columns of each server, as the process has it."""
    answer = (await edge.ask("show servers state", deadline=2)).decode()
    return {fields[3]: fields for fields in map(str.split, answer.strip().splitlines()[2:])}


async def weights(running: Reloadable, edge: HAProxy) -> Mapping[str, int]:
    """The weights after a reload."""
    return {server.name: server.weight for server in (await running.reload(edge)).of("shop")}


async def set_and_saved(edge: HAProxy) -> None:
    await checked(edge, "shop")
    await edge.set_weight("shop", "blue", 30, deadline=2)
    assert said(await edge.save("shop", deadline=2)).health is Health.PASS


@asynccontextmanager
async def saved(reloadable: Start) -> AsyncIterator[tuple[Reloadable, HAProxy]]:
    """A HAProxy whose server is up and has a weight that its state file keeps."""
    async with listening(healthy) as (port,):
        running = reloadable(LOADED, port=port)
        edge = running.edge()
        await set_and_saved(edge)
        yield running, edge


BROKEN = {
    "no-last-line-end": (lambda text: text.rstrip(b"\n"), "its last line has no end"),
    "line-ends-of-windows": (lambda text: text.replace(b"\n", b"\r\n"), "it has not the form of"),
    "a-row-cut-off": (
        lambda text: text + b"2 shop 3 third - 2 0 50 100 0 0 1 0 6 0 0 0 - 80\n",
        "a row that is too short",
    ),
    "a-comment-without-end": (lambda text: text + b"#" * 3000 + b"\n", "a line of more than 1998 bytes"),
}


@pytest.mark.parametrize("how", BROKEN)
async def test_a_file_that_haproxy_calls_corrupted_keeps_nothing(reloadable: Start, how: str) -> None:
    """jcmoraisjr/haproxy-ingress#1404: a client cut the last line end off, and HAProxy took nothing of the file."""
    broken, why = BROKEN[how]
    async with saved(reloadable) as (running, edge):
        running.state.write_bytes(broken(running.state.read_bytes()))
        told = said((await edge.read(deadline=2)).saved)
        assert told.health is Health.WARN
        assert "a reload sets blue to weight 100" in told.message
        assert why in told.message
        assert (await weights(running, edge))["blue"] == 100, "and so it is"


async def test_of_two_rows_of_a_server_the_first_one_counts(reloadable: Start) -> None:
    """haproxy/haproxy#199: a job that appends to the file (a second version in it would break it)."""
    async with saved(reloadable) as (running, edge):
        before = running.state.read_bytes()
        await edge.set_weight("shop", "blue", 60, deadline=2)
        await edge.save("shop", deadline=2)
        running.state.write_bytes(
            before + running.state.read_bytes().split(b"\n", 1)[1]
        )  # without a second version, which is another way to break it
        told = said((await edge.read(deadline=2)).saved)
        assert told.message.startswith("a reload sets blue to weight 30")
        assert (await weights(running, edge))["blue"] == 30, "and so it is"


async def test_a_row_with_a_wrong_value_brings_its_server_nothing(reloadable: Start) -> None:
    """haproxy/haproxy#576: `invalid srv_admin_state value`."""
    async with saved(reloadable) as (running, edge):
        running.state.write_bytes(
            running.state.read_bytes().replace(b" - 2 0 30 ", b" - 2 9 30 ").replace(b" 2 0 30 ", b" 2 9 30 ")
        )
        assert said((await edge.read(deadline=2)).saved).message.startswith("a reload sets blue to weight 100")
        assert (await weights(running, edge))["blue"] == 100, "and so it is"


async def test_a_server_without_an_address_keeps_its_weight(reloadable: Start) -> None:
    """haproxy/haproxy#576: maintenance by the look-up of a name is in the row, and is no operator's."""
    text = """
global
  server-state-file {state}
defaults
  load-server-state-from-file global
resolvers none
  nameserver one 127.0.0.1:1
backend shop
  server-template slot 2 app.invalid:80 check resolvers none init-addr last,none weight 100
"""
    running = reloadable(text)
    edge = running.edge()
    await until(edge, lambda reading: len(reading.of("shop")) == 2)
    await edge.set_weight("shop", "slot1", 30, deadline=2)
    assert said(await edge.save("shop", deadline=2)).health is Health.PASS
    assert await weights(running, edge) == {"slot1": 30, "slot2": 100}


async def test_a_server_by_name_is_looked_up_again(reloadable: Start) -> None:
    """haproxy/haproxy#75: with the address of the file a reload never asks for the name again."""
    text = LOADED.replace("server blue 127.0.0.1", "server blue localhost")
    async with listening(healthy) as (port,):
        running = reloadable(text, port=port)
        edge = running.edge()
        await checked(edge, "shop")
        assert b"changed from" in await edge.ask("set server shop/blue addr 127.0.0.9", deadline=2)
        await edge.set_weight("shop", "blue", 30, deadline=2)
        await edge.save("shop", deadline=2)
        assert (await weights(running, edge))["blue"] == 30
        assert (await rows(edge))["blue"][ADDRESS] == "127.0.0.1", "what the name has now, not what it had then"


@pytest.mark.parametrize("file", [LOADED, OWN], ids=["global", "local"])
async def test_tls_and_the_port_of_checks_are_as_configured_after_a_reload(reloadable: Start, file: str) -> None:
    """haproxy/haproxy#2401 and #2103: requests went on without TLS, checks to the former port."""
    async with listening(healthy, healthy) as (port, other):
        running = reloadable(
            file.replace("inter 200ms weight {weight}", "inter 200ms weight {weight} {more}"), port=port, more=""
        )
        edge = running.edge(state=f"{running.folder}/{{backend}}" if file is OWN else None)
        await set_and_saved(edge)
        running.configure(more=f"ssl verify none no-check-ssl port {other}")
        assert (await weights(running, edge))["blue"] == 30
        blue = (await rows(edge))["blue"]
        assert (blue[TLS], blue[CHECK_PORT]) == ("1", str(other))
        await until(edge, lambda reading: reading.servers["shop/blue"].up and reading.servers["shop/blue"].checked)


async def test_the_file_of_one_backend_keeps_nothing_of_another(reloadable: Start) -> None:
    """haproxy/haproxy#2085: a job that writes the whole output into the file of each backend, and one of them fails."""
    text = OWN + "backend other\n  option httpchk\n  server red 127.0.0.1:{port} check inter 200ms weight 100\n"
    async with listening(healthy) as (port,):
        running = reloadable(text, port=port)
        edge = running.edge(state=f"{running.folder}/{{backend}}")
        await checked(edge, "shop")
        await edge.set_weight("other", "red", 30, deadline=2)
        dump = (await edge.ask("show servers state", deadline=2)).lstrip(b"\n")
        (running.folder / "shop").write_bytes(dump + b"\n")
        assert said((await edge.read(deadline=2)).saved, "other").message.startswith("a reload sets red to weight 100")
        after = await running.reload(edge)
        assert after.servers["other/red"].weight == 100, "and so it is"


async def test_a_port_that_was_configured_anew_and_that_the_file_holds_is_told(reloadable: Start) -> None:
    """haproxy/haproxy#985, #1412, #2103, #3296: the reload keeps the former port, and nothing says so."""
    async with listening(healthy, healthy) as (port, other):
        running = reloadable(LOADED, port=port)
        edge = running.edge()
        await set_and_saved(edge)
        running.configure(port=other)
        holds = f"a reload sets blue to port {port}: the configuration on the disk says otherwise"
        assert said((await edge.read(deadline=2)).saved).message == holds
        after = await running.reload(edge)
        assert after.servers["shop/blue"].address == f"127.0.0.1:{port}", "and so it is"
        assert after.servers["shop/green"].address == f"127.0.0.1:{other}", "of one that was not set nothing is held"
        assert said(after.saved).message == holds, "also at the next one"
        await edge.set_weight("shop", "blue", 100, deadline=2)
        saved = await edge.save("shop", deadline=2)
        assert saved is not None
        assert keeping(saved, "shop") is None
        assert (await running.reload(edge)).servers["shop/blue"].address == f"127.0.0.1:{other}", "the way out"
