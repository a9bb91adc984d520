"""An engine seals its journal with keys that it destroys; OpenSSH itself agrees with every signature."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from adapters.journals.keys import KeyFiles
from adapters.journals.memory import MemoryJournal
from state.audit.events import JournalSealed
from state.audit.sealing import Sealing
from state.audit.seals import Seals
from state.engine.events import Heartbeat
from state.errors import JournalUnavailable
from state.journal.events import Event
from state.journal.format import Sealed, Sealer, unseal
from state.journal.writer import Journal
from state.ports.keys import KeysFailed
from state.proof.chain import Verifier
from state.proof.seals import NAMESPACE, Seal, seal_of, statement
from state.proof.sshsig import armoured, fingerprint, wrong
from tests.support.sealed import TestKey
from tests.support.small_estate import LoopClock, small


def seals_in(entries: list[Sealed]) -> list[Seal]:
    return [seal for e in entries if b',"journal.sealed",' in e.header and (seal := seal_of(e.seq, e.payload))]


def proven(entries: list[Sealed], *keys: str) -> str:
    verifier = Verifier()
    verifier.feed(entries)
    return verifier.prove(trusted=keys).problem


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.02)


class Bare:
    """A journal with its seals and nothing else: as much of an engine as seals need."""

    def __init__(self, store: MemoryJournal, keys: KeyFiles) -> None:
        self.store, self.clock = store, LoopClock()
        self.journal = Journal(store, Sealer("here", "boot"), self.clock)
        self.seals = Seals.__new__(Seals)
        self.seals.period = self.seals.sealed = 0
        self.seals.public = self.seals.failing = ""
        self.seals.at = float("-inf")
        self.seals._mono = lambda recorded: recorded.mono
        for entry in store.rows():
            self.seals.fold(unseal(entry))
        self.journal.on_recorded = self.seals.fold
        self.sealing = Sealing(keys, self.journal, self.seals, "engine@here", self.clock.mono)

    async def beat(self, count: int = 3) -> None:
        for _ in range(count):
            await self.journal.append(Event(Heartbeat("running"), "engine@here"))

    @property
    def entries(self) -> list[Sealed]:
        return [*self.store.rows()]


async def test_each_period_has_a_key_that_the_one_before_certifies_and_that_is_gone_afterwards(tmp_path: Path) -> None:
    folder = tmp_path / "journal.keys"
    bare = Bare(MemoryJournal(), KeyFiles(folder))
    for _ in range(4):
        await bare.beat()
        await bare.sealing.seal()
    seals = seals_in(bare.entries)
    assert [seal.period for seal in seals] == [1, 2, 3, 4]
    assert [seal.public for seal in seals[1:]] == [seal.next for seal in seals[:-1]]
    assert [seal.first for seal in seals[1:]] == [seal.last + 1 for seal in seals[:-1]]
    assert sorted(path.name for path in folder.glob("period-*")) == ["period-5", "period-5.pub"]
    assert (folder / "period-5").stat().st_mode & 0o777 == 0o600
    assert proven(bare.entries, fingerprint(seals[0].public)) == ""


async def test_openssh_and_the_verifier_agree_about_signatures(tmp_path: Path) -> None:
    bare = Bare(MemoryJournal(), KeyFiles(tmp_path / "journal.keys"))
    await bare.beat()
    await bare.sealing.seal()
    seal = seals_in(bare.entries)[0]
    assert openssh(tmp_path, seal.public, statement(seal.told()), seal.signature) == 0
    assert seal.wrong() == ""
    assert openssh(tmp_path, seal.public, statement({**seal.told(), "last": 1}), seal.signature) != 0
    made = TestKey(b"7" * 32)
    ours = made.sign(b"a message", NAMESPACE)
    assert openssh(tmp_path, made.public, b"a message", ours) == 0
    assert wrong(made.public, b"a message", ours, NAMESPACE) == ""


def openssh(folder: Path, public: str, message: bytes, signature: str) -> int:
    (folder / "signers").write_text(f"journal {public}\n")
    (folder / "signature").write_text(armoured(signature))
    command = ["ssh-keygen", "-Y", "verify", "-f", folder / "signers", "-I", "journal", "-n", NAMESPACE]
    done = subprocess.run(
        [*command, "-s", folder / "signature"], input=message, capture_output=True, check=False, timeout=60
    )
    return done.returncode


@pytest.mark.parametrize("killed", ["make", "sign", "record", "destroy"])
async def test_a_kill_in_the_middle_of_a_seal_leaves_a_line_that_goes_on(tmp_path: Path, killed: str) -> None:
    """What a process does that ends there: nothing of what would come next."""

    class Dies(KeyFiles):
        async def make(self, period: int) -> str:
            if killed == "make" and period == 3:
                raise asyncio.CancelledError
            return await super().make(period)

        async def sign(self, period: int, message: bytes, namespace: str) -> str:
            made = await super().sign(period, message, namespace)
            if killed == "sign" and period == 2:
                raise asyncio.CancelledError
            return made

        async def destroy(self, upto: int) -> None:
            if killed == "destroy" and upto == 2:
                raise asyncio.CancelledError
            await super().destroy(upto)

    class Ends(MemoryJournal):
        def append(self, entries: list[Sealed]) -> None:  # type: ignore[override]
            if killed == "record" and any(seal.period == 2 for seal in seals_in(entries)):
                raise JournalUnavailable("the disk is gone")
            super().append(entries)

    store, folder = Ends(), tmp_path / "journal.keys"
    first = Bare(store, Dies(folder))
    await first.beat()
    await first.sealing.seal()
    await first.beat()
    with pytest.raises(asyncio.CancelledError) if killed != "record" else nullcontext():
        await first.sealing.seal()
    killed = ""
    again = Bare(store, KeyFiles(folder))
    await again.beat()
    await again.sealing.seal()
    await again.sealing.seal()
    seals = seals_in(again.entries)
    assert [seal.period for seal in seals] == list(range(1, len(seals) + 1))
    assert proven(again.entries) == ""
    assert len(list(folder.glob("period-*[0-9]"))) == 1, "one private key is left: the one in use"


async def test_a_lost_key_begins_a_new_line_that_is_told_and_not_proven(tmp_path: Path) -> None:
    store, folder = MemoryJournal(), tmp_path / "journal.keys"
    first = Bare(store, KeyFiles(folder))
    await first.beat()
    await first.sealing.seal()
    for path in folder.iterdir():
        path.unlink()
    again = Bare(store, KeyFiles(folder))
    await again.beat()
    await again.sealing.seal()
    begun = [entry for entry in again.entries if b',"journal.keyed",' in entry.header]
    assert len(begun) == 2
    assert "which no former key certifies" in proven(again.entries)
    assert str(begun[1].seq) in proven(again.entries)
    keys = [fingerprint(json.loads(entry.payload)["public"]) for entry in begun]
    assert proven(again.entries, *keys) == "", "whoever has both keys from elsewhere has both lines proven"


async def test_an_engine_seals_what_it_found_and_its_own_end(tmp_path: Path) -> None:
    store, keys = MemoryJournal(), KeyFiles(tmp_path / "journal.keys")
    async with small(store=store, keys=keys) as site:
        await until(lambda: "journal.sealed" in site.kinds())
    kinds = [unseal(entry).kind for entry in store.rows()]
    assert kinds[:3] == ["engine.started", "journal.keyed", "journal.sealed"]
    assert kinds[-2:] == ["engine.stopped", "journal.sealed"]
    async with small(store=store, keys=keys) as site:
        await until(lambda: site.kinds()[len(kinds) :].count("journal.sealed") == 1)
    assert proven([*store.rows()]) == ""


async def test_keys_that_cannot_be_made_are_shown_and_told_once_and_stop_nothing(tmp_path: Path) -> None:
    class Fails(KeyFiles):
        asked = 0

        async def make(self, period: int) -> str:
            self.asked += 1
            raise KeysFailed("there is no ssh-keygen")

    keys = Fails(tmp_path / "journal.keys")
    async with small(keys=keys) as site:
        await until(lambda: "journal.unsealed" in site.kinds())
        header = site.engine.view("header")
        assert any("the journal is not sealed: there is no ssh-keygen" in repr(cause) for cause in header.causes)
        assert site.engine.journal.unavailable == "", "what happens is recorded and chained as before"
    assert site.store.rows()
    assert [unseal(e).kind for e in site.store.rows()].count("journal.unsealed") == 1
    assert keys.asked >= 2


async def test_a_seal_says_what_was_recorded_while_it_was_made(tmp_path: Path) -> None:
    """Entries that come between the reading of the head and the seal belong to the next period."""

    class Slow(KeyFiles):
        async def sign(self, period: int, message: bytes, namespace: str) -> str:
            made = await super().sign(period, message, namespace)
            await bare.beat(5)
            return made

    bare = Bare(MemoryJournal(), Slow(tmp_path / "journal.keys"))
    await bare.beat()
    await bare.sealing.seal()
    await bare.sealing.seal()
    sealed = [body for e in bare.entries if isinstance(body := unseal(e).body, JournalSealed)]
    assert [(body.first, body.last) for body in sealed] == [(1, 4), (5, 10)]
    assert proven(bare.entries) == ""
