"""What is set is kept by a reload where the estate names the state file: on every HAProxy of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from adapters.balancers.haproxy import HAProxy
from state.api.card import FactKind
from state.api.views.traffic import BackendRow
from state.health import Health
from state.verdicts.keeping import keeping
from state.world.balancer_parts import BalancerReading, NextReads
from tests.contract.haproxy_sections import by_hand, checked, healthy, listening, until
from tests.contract.state_files import LOADED, OWN, UNREAD, Reloadable
from tests.support.ports import free_port
from tests.support.small_estate import ESTATE, Small, change, small

Start = Callable[..., Reloadable]


def set_on(reading: BalancerReading) -> dict[str, tuple[str, int]]:
    """State and weight of each server."""
    return {
        s.name: ("maint" if s.maintenance else "drain" if s.drained else "ready", s.weight) for s in reading.of("shop")
    }


async def set_some(edge: HAProxy) -> None:
    await edge.set_weight("shop", "blue", 30, deadline=2)
    await edge.set_state("shop", "green", "drain", deadline=2)


@pytest.mark.parametrize(
    ("text", "file", "socket"),
    [(LOADED, "state", "a.sock"), (OWN, "{backend}", "a.sock"), (LOADED, "state", "m.sock@1")],
    ids=["global", "local", "master"],
)
async def test_what_is_saved_is_kept_by_a_reload(reloadable: Start, text: str, file: str, socket: str) -> None:
    async with listening(healthy) as (port,):
        running = reloadable(text, port=port)
        edge = HAProxy("edge", f"{running.folder}/{socket}", state_file=f"{running.folder}/{file}")
        await checked(edge, "shop")
        await set_some(edge)
        reading = await edge.read(deadline=2)
        assert reading.saved is not None
        assert dict(reading.saved.lost) == {"shop/blue": "weight 100", "shop/green": "ready"}, "nothing is saved yet"
        saved = await edge.save("shop", deadline=2)
        assert saved is not None
        assert (dict(saved.lost), saved.kept, saved.reads["shop"]) == ({}, {"shop"}, NextReads.YES), saved
        found = keeping(saved, "shop")
        assert found is not None
        assert found.health is Health.PASS
        after = await running.reload(edge)
        assert set_on(after) == {"blue": ("ready", 30), "green": ("drain", 100), "third": ("ready", 100)}


async def test_nothing_is_called_kept_where_the_configuration_does_not_read_it(reloadable: Start) -> None:
    async with listening(healthy) as (port,):
        running = reloadable(UNREAD, port=port)
        edge = running.edge()
        await checked(edge, "shop")
        await set_some(edge)
        saved = await edge.save("shop", deadline=2)
        assert saved is not None
        assert saved.reads["shop"] is NextReads.NO
        found = keeping(saved, "shop")
        assert found is not None
        assert found.health is Health.WARN
        assert found.message == (
            f"a reload sets blue to weight 100, green to ready: nothing reads {running.state} for it"
        )
        assert set_on(await running.reload(edge))["blue"] == ("ready", 100), "and so it is"


async def test_a_configuration_that_cannot_be_judged_is_unknown_and_never_kept(reloadable: Start) -> None:
    async with listening(healthy) as (port,):
        running = reloadable(LOADED, port=port)
        edge = running.edge()
        await checked(edge, "shop")
        await set_some(edge)
        config = running.folder / "h.cfg"
        whole = config.read_text()
        for text in (".if defined(X)\n.endif\n" + whole, whole.replace("a.sock", "another.sock")):
            config.write_text(text)
            saved = await edge.save("shop", deadline=2)
            assert saved is not None
            found = keeping(saved, "shop")
            assert found is not None
            assert found.health is Health.UNKNOWN, found.message
        config.unlink()
        saved = await edge.save("shop", deadline=2)
        assert saved is not None
        assert "No such file" in saved.unknown


async def test_an_old_file_neither_revives_what_was_down_nor_holds_a_port(reloadable: Start) -> None:
    """HAProxy's own dump does both: seconds out of rotation for a server that is well, traffic to the former port."""
    async with listening(healthy, healthy) as (port, other):
        gone = free_port()
        running = reloadable(LOADED, port=gone)
        edge = running.edge()
        await until(edge, lambda reading: not any(s.up for s in reading.of("shop")))
        await set_some(edge)
        dump = await edge.ask("show servers state", deadline=2)
        await edge.save("shop", deadline=2)
        running.configure(port=port, slow="30s")
        after = await running.reload(edge)
        assert after.servers["shop/third"].up, "it is not as it was an hour ago, but as configured"
        assert after.servers["shop/third"].address == f"127.0.0.1:{port}"
        assert after.servers["shop/blue"].address == f"127.0.0.1:{gone}", "of one that was set HAProxy keeps the port"
        running.state.write_bytes(dump)
        running.configure(port=other)
        full = await running.reload(edge)
        assert not full.servers["shop/third"].up, "so it would be with all of the dump"


async def test_a_weight_that_was_configured_anew_is_not_called_kept_afterwards(reloadable: Start) -> None:
    async with listening(healthy) as (port,):
        running = reloadable(LOADED, port=port)
        edge = running.edge()
        await checked(edge, "shop")
        await set_some(edge)
        await edge.save("shop", deadline=2)
        running.configure(weight=50)
        after = await running.reload(edge)
        assert set_on(after)["blue"] == ("ready", 50), "the configuration goes before the file"
        assert set_on(after)["green"] == ("drain", 100)


async def test_a_file_that_is_older_than_a_hand_is_told(reloadable: Start) -> None:
    async with listening(healthy) as (port,):
        running = reloadable(LOADED, port=port)
        edge = running.edge()
        await checked(edge, "shop")
        await set_some(edge)
        await edge.save("shop", deadline=2)
        await by_hand(edge, "set server shop/green state ready")
        reading = await edge.read(deadline=2)
        assert reading.saved is not None
        found = keeping(reading.saved, "shop")
        assert found is not None
        assert found.message == f"a reload sets green to drain: {running.state} has it otherwise"
        assert set_on(await running.reload(edge))["green"] == ("drain", 100), "and so it is"


async def test_a_server_disabled_by_the_configuration_stays_ready_after_it_was_made_so(reloadable: Start) -> None:
    async with listening(healthy) as (port,):
        running = reloadable(LOADED + "  server fourth 127.0.0.1:{port} check disabled\n", port=port)
        edge = running.edge()
        reading = await until(edge, lambda r: r.servers["shop/fourth"].maintenance)
        assert reading.saved is not None
        assert (dict(reading.saved.lost), reading.saved.kept) == ({}, frozenset()), "it is as configured"
        await edge.set_state("shop", "fourth", "ready", deadline=2)
        saved = await edge.save("shop", deadline=2)
        assert saved is not None
        assert not saved.lost
        assert set_on(await running.reload(edge))["fourth"] == ("ready", 1)


def estate() -> dict[str, Any]:
    traffic = {"balancers": ["edge"], "backend": "shop", "floor": 0}
    service = {**ESTATE["services"]["shop"], "traffic": traffic}
    return {**ESTATE, "services": {"shop": service}}


def engine(edge: HAProxy) -> Any:
    return small(balancer=cast(Any, edge), estate=estate(), every=0.2)


async def shown(lab: Small, when: Callable[[BackendRow], bool]) -> BackendRow:
    """The row of the backend once something is true of it."""
    async with asyncio.timeout(20):
        while not when(row := lab.engine.view("traffic").backends["edge/shop"]):
            await asyncio.sleep(0.05)
    return cast(BackendRow, row)


async def test_a_run_saves_what_it_set_and_a_reload_that_keeps_it_is_no_drift(reloadable: Start) -> None:
    async with listening(healthy) as (port,):
        running = reloadable(LOADED, port=port)
        edge = running.edge()
        await checked(edge, "shop")
        async with engine(edge) as lab:
            card = await lab.preview(change("server.weight", server="blue", weight=30))
            assert [(f.value, f.health) for f in card.of(FactKind.SAVED)] == [(str(running.state), Health.PASS)]
            assert not card.of(FactKind.FORGOTTEN)
            run = (await lab.submit(card)).run
            assert await lab.ended(run, 20) == "done"
            (step,) = lab.engine.history.runs[run].all_steps()
            assert f"saved in {running.state}, which a reload reads" in step.evidence
            assert (step.message, step.unsaved) == ("done, read back twice", "")
            after = await running.reload(edge)
            assert set_on(after)["blue"] == ("ready", 30)
            row = await shown(lab, lambda each: bool(each.keeping) and each.kept is Health.PASS)
            assert (row.drift, row.keeping) == ("", f"saved in {running.state}, which a reload reads")
            assert "drift.detected" not in lab.kinds()


async def test_a_save_that_fails_is_told_and_the_change_is_done(reloadable: Start) -> None:
    async with listening(healthy) as (port,):
        running = reloadable(LOADED, port=port)
        (running.folder / "state").mkdir()
        edge = running.edge()
        await checked(edge, "shop")
        async with engine(edge) as lab:
            run = (await lab.submit(await lab.preview(change("server.weight", server="blue", weight=30)))).run
            assert await lab.ended(run, 20) == "done"
            told = lab.engine.history.runs[run]
            (step,) = told.all_steps()
            said = f"set, and not saved: {running.state} is no regular file; a reload forgets it"
            assert (step.message, step.unsaved) == (f"done, read back twice; {said}", said)
            assert "a reload does not keep it: Set weight of edge/shop/blue to 30" in told.message
            row = await shown(lab, lambda each: each.kept is Health.WARN)
            assert "a reload sets blue to weight 100" in row.message
