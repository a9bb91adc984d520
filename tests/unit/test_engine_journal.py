"""The engine and a journal it cannot rely on: tampered with, of another version, too large, or not to be written."""

import asyncio
from dataclasses import replace
from hashlib import sha256

import pytest

from adapters.balancers.memory import MemoryBalancer
from adapters.journals.memory import MemoryJournal
from state.api.requests import PlanRunbook
from state.engine.events import Heartbeat
from state.errors import JournalUnavailable, Refused
from state.journal.events import Event
from state.journal.format import GENESIS, Sealer
from tests.support.retained import retained
from tests.support.small_estate import COMMANDER, flip, small

pytestmark = pytest.mark.virtual_time

WAITING = {
    "runbook": "wait",
    "title": "Wait",
    "steps": [
        {"id": "w", "wait": "300ms"},
        {
            "id": "c",
            "change": "server.weight",
            "with": {"balancer": "edge", "backend": "shop", "server": "green", "weight": 3},
        },
    ],
}


class Edited(MemoryJournal):
    """A journal somebody may reach into."""

    def edit(self, seq: int, **fields: bytes) -> None:
        self._entries[seq - 1] = replace(self._entries[seq - 1], **fields)

    def drop(self, seq: int) -> None:
        del self._entries[seq - 1]


def balancer() -> MemoryBalancer:
    return MemoryBalancer("edge", {"shop": {"blue": 100, "green": 0}})


async def flipped(store: MemoryJournal, target: MemoryBalancer) -> None:
    async with small(store=store, balancer=target) as lab:
        await lab.ended((await lab.submit(await lab.preview(flip("green")))).run)


@pytest.mark.parametrize(
    "tamper",
    [
        lambda store: store.edit(3, payload=b'{"words":"never happened"}'),
        lambda store: store.edit(3, header=b"no json"),
        lambda store: store.edit(2, payload=b"\xff\x00"),
        lambda store: store.drop(4),
    ],
    ids=["payload", "header", "bytes", "dropped"],
)
async def test_on_a_journal_that_was_tampered_with_nothing_starts_while_reading_and_stopping_work(tamper):
    store, target = Edited(), balancer()
    await flipped(store, target)
    tamper(store)
    async with small(store=store, balancer=target) as lab:
        assert "is in doubt" in lab.engine.view("header").effects
        assert any("is in doubt" in alarm for alarm in lab.engine.view("header").alarms)
        card = await lab.preview(flip("blue"))
        assert any("is in doubt" in r.fact for r in card.refusals)
        with pytest.raises(Refused, match="is in doubt"):
            await lab.submit(card)
        assert (await lab.engine.journal_verify()).problem
        assert lab.engine.journal_rows(0, 1000)
        assert [line async for line in lab.engine.journal_export()]
        assert (await lab.engine.stop_all(COMMANDER)).message
        assert await lab.weights() == {"blue": 0, "green": 100}


async def test_a_run_holds_when_the_chain_breaks_under_it_and_can_be_stopped():
    store, target = Edited(), balancer()
    async with small(WAITING, store=store, balancer=target) as lab:
        run = (await lab.submit(await lab.preview(PlanRunbook("wait")))).run
        store.edit(1, payload=b"{}")
        assert (await lab.engine.journal_verify()).problem
        await asyncio.sleep(0.8)
        before = lab.engine.journal.seq
        await asyncio.sleep(1.5)
        assert lab.engine.journal.seq == before, "it goes on writing while it is held"
        assert "waiting for the journal" in lab.engine.history.runs[run].message
        await lab.engine.stop_all(COMMANDER)
        assert await lab.ended(run) == "stopped"
        assert (await lab.weights())["green"] == 0


async def test_an_entry_of_another_version_is_shown_and_nothing_starts():
    store, target = MemoryJournal(), balancer()
    await flipped(store, target)
    seq, head = store.head()
    entry = Sealer("new", "boot").seal(Event(Heartbeat("forged"), "eve"), seq=seq + 1, previous=head, at=1.0, mono=1.0)
    header = entry.header.replace(b"engine.heartbeat", b"approval.revoked")
    store.append([replace(entry, header=header, hash=sha256(head + header).digest())])
    async with small(store=store, balancer=target) as lab:
        assert "has a kind that this version does not know" in lab.engine.view("header").effects
        assert "approval.revoked" in lab.kinds()
        with pytest.raises(Refused):
            await lab.submit(await lab.preview(flip("blue")))


async def test_runs_erased_by_retention_neither_stop_the_engine_nor_give_their_name_away():
    store, target = Edited(), balancer()
    await flipped(store, target)
    count = len(store.rows())
    for seq, entry in enumerate(retained(store.rows(), range(1, count + 1)), 1):
        if seq > count:
            store.append([entry])
        else:
            store.edit(seq, payload=entry.payload, salt=entry.salt)
    async with small(store=store, balancer=target) as lab:
        assert lab.engine.view("header").effects == ""
        assert lab.engine.history.open() == []
        assert (await lab.submit(await lab.preview(flip("blue")))).run == "R-2"


async def test_two_checks_of_a_long_chain_at_once_raise_no_false_alarm():
    store = MemoryJournal()
    sealer, head = Sealer("h", "b"), GENESIS
    for seq in range(1, 6001):
        entry = sealer.seal(Event(Heartbeat("x"), "e"), seq=seq, previous=head, at=1, mono=1)
        store.append([entry])
        head = entry.hash
    async with small(store=store) as lab:
        checks = (lab.engine.journal_verify(), lab.engine.journal_verify(), lab.engine._keeper.verify())
        assert [found.problem for found in await asyncio.gather(*checks)] == ["", "", ""]
        assert lab.engine.journal.unavailable == ""


async def test_an_engine_starts_on_a_full_disk_and_goes_on_with_its_runs_when_there_is_room():
    class Full(MemoryJournal):
        full = False

        def append(self, entries):
            if self.full:
                raise JournalUnavailable("disk full")
            super().append(entries)

    store, target = Full(), balancer()
    async with small(WAITING, store=store, balancer=target) as lab:
        run = (await lab.submit(await lab.preview(PlanRunbook("wait")))).run
    store.full = True
    async with small(WAITING, store=store, balancer=target) as lab:
        await asyncio.sleep(0.5)
        assert "disk full" in lab.engine.view("header").effects
        assert (await lab.weights())["green"] == 0
        store.full = False
        assert await lab.ended(run, 10) == "done"
        assert (await lab.weights())["green"] == 3
