"""Known traps of audit logs, each with the number it has in our list."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import textwrap
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from adapters.anchors.http import HttpAnchorOptions
from adapters.anchors.http import build as build_http
from adapters.context import AdapterContext
from adapters.journals.keys import KeyFiles
from adapters.journals.memory import MemoryJournal
from adapters.journals.reading import JournalFile
from adapters.journals.sqlite import SqliteJournal
from state.audit.events import AnchorLost
from state.engine.events import Heartbeat
from state.errors import JournalUnavailable, ReadFailure, Refused, Trouble
from state.estate.model import Polling
from state.journal.events import Event
from state.journal.format import Sealed, Sealer, canonical, unseal, verify
from state.journal.writer import Journal
from state.proof.chain import Verifier
from state.proof.lines import verify_export
from tests.attack.journal_files import told
from tests.attack.tampering import exported
from tests.attack.tampering_seals import (
    an_empty_period_is_gone,
    bare_tail,
    sealed_with_a_newer_key,
    truncated_and_resumed,
)
from tests.contract.web import canned
from tests.support.sealed import eventful, written
from tests.support.small_estate import COMMANDER, ESTATE, LoopClock, flip, small

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("how", ["unlinked", "replaced"])
async def test_access_trap_55_a_journal_unlinked_or_replaced_is_noticed_before_the_next_effect(
    tmp_path: Path, how: str
) -> None:
    path = tmp_path / "journal.db"
    async with small(store=SqliteJournal(path)) as site:
        card = await site.preview(flip("green"))
        if how == "unlinked":
            path.unlink()
        else:
            shutil.copy(path, tmp_path / "copy")
            (tmp_path / "copy").replace(path)
        before = await site.weights()
        with suppress(JournalUnavailable, Refused):
            accepted = await site.submit(card)
            assert await site.ended(accepted.run) != "done"
        await asyncio.sleep(0.2)
        assert await site.weights() == before
        assert "journal" in site.engine.journal.unavailable


FULL = """
    import asyncio, sys
    from pathlib import Path
    from adapters.journals.sqlite import SqliteJournal
    from state.errors import RecoveryError
    from tests.support.small_estate import COMMANDER, flip, small

    async def main(folder):
        async with small(store=SqliteJournal(folder / "j.db")) as site:
            card = await site.preview(flip("green"))
            with (folder / "filler").open("wb") as filler:
                filler.write(b"x" * 20_000_000)
            before = await site.weights()
            try:
                accepted = await site.submit(card)
                print("ended", await site.ended(accepted.run))
            except RecoveryError as error:
                print("refused", error)
            print("unchanged", before == await site.weights())
            print("stopped", (await site.engine.stop_all(COMMANDER)).message)
            (folder / "filler").unlink()
            await asyncio.sleep(2.5)
            accepted = await site.submit(await site.preview(flip("green")))
            print("then", await site.ended(accepted.run))

    asyncio.run(main(Path(sys.argv[1])))
"""


def test_access_trap_56_with_a_full_disk_effects_are_refused_and_ends_work(tmp_path: Path) -> None:
    (tmp_path / "full.py").write_text(textwrap.dedent(FULL))
    (tmp_path / "small").mkdir()
    mounted = f"mount -t tmpfs -o size=32m,mode=700 none {tmp_path}/small"
    inside = f"{mounted} && exec {sys.executable} {tmp_path}/full.py {tmp_path}/small"
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", inside],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=120,
    )
    assert "disk full" in done.stdout, done.stdout + done.stderr
    assert "unchanged True" in done.stdout
    assert "stopped" in done.stdout
    assert "then done" in done.stdout, done.stdout


@pytest.mark.virtual_time
async def test_access_trap_57_a_silent_place_delays_nobody_beyond_its_limit() -> None:
    class Silent:
        async def look(self, *, deadline: float) -> str:
            return await asyncio.sleep(10**9, "")

        async def keep(self, line: str, *, deadline: float) -> None:
            await asyncio.sleep(10**9)

    policies = {**ESTATE["policies"], "anchors": {"wait": "1s"}}
    estate = {**ESTATE, "anchors": {"there": {"kind": "memory"}}, "policies": policies}
    async with small(anchors={"there": Silent()}, estate=estate) as site:
        await asyncio.sleep(1)
        loop = asyncio.get_running_loop()
        for _ in range(3):
            begun = loop.time()
            assert await site.engine._audit.anchoring.before("B3") == ""
            assert loop.time() - begun <= 1.01
        accepted = await site.submit(await site.preview(flip("green")))
        assert await site.ended(accepted.run) == "done"


async def test_access_trap_58_after_a_crash_between_a_seal_and_the_next_entry_number_and_hash_go_on(
    tmp_path: Path,
) -> None:
    store, keys = MemoryJournal(), KeyFiles(tmp_path / "journal.keys")
    async with small(store=store, keys=keys):
        await asyncio.sleep(0.5)
    last = store.rows()[-1]
    assert unseal(last).kind == "journal.sealed"
    async with small(store=store, keys=keys):
        await asyncio.sleep(0.5)
    assert [entry.seq for entry in store.rows()] == list(range(1, len(store.rows()) + 1))
    verifier = Verifier()
    verifier.feed(store.rows())
    assert verifier.prove().problem == ""


async def test_access_trap_58_a_copy_and_truncate_is_detected(tmp_path: Path) -> None:
    """What a rotation of logs does to a file that somebody holds open."""
    path = tmp_path / "journal.db"
    with closing(SqliteJournal(path)) as store:
        journal = Journal(store, Sealer("h", "b"), LoopClock())
        for _ in range(20):
            await journal.append(Event(Heartbeat("running"), "engine@h"))
        shutil.copy(path, tmp_path / "journal.db.1")
        os.truncate(path, 0)
        event = Event(Heartbeat("x"), "e")
        following = Sealer("h", "b").seal(event, seq=21, previous=journal.head, at=1, mono=1)
        with pytest.raises(JournalUnavailable, match=r"cut short|empty|disk"):
            store.append([following])


def test_access_trap_59_stored_bytes_are_hashed_and_what_reads_in_two_ways_cannot_be_written() -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"Out of range|not JSON"):
            canonical({"a": value})
    assert (
        canonical({"a": "\ud800", "b": ["x\udfff", "\U0001f600"]})
        == b'{"a":"\\ufffd","b":["x\\ufffd","\\ud83d\\ude00"]}'
    )
    with pytest.raises(ValueError, match="two keys"):
        canonical(dict.fromkeys(["\ud800", "\ud801"], 1))
    event = Event(Heartbeat("half \ud83d of one"), "e")
    made = Sealer("h", "b").seal(event, seq=1, previous=bytes(32), at=1.5, mono=0.1)
    assert b"\\ud83d" not in made.payload
    assert verify([made]).ok
    other = Sealed(made.seq, made.header.replace(b",", b", ", 1), made.hash, made.salt, made.payload)
    assert not verify([other]).ok, "the same values in other bytes are another entry"
    line = exported([made])[0]
    twice = line.replace(b'{"hash"', b'{"seq":9,"hash"', 1)
    assert "is not a journal entry" in verify_export([twice]).problem


def test_access_trap_60_a_valid_chain_without_its_tail_or_head_fails_against_an_anchor() -> None:
    made = written(1)
    for part in (made.entries[:-1], made.entries[: len(made.entries) // 2], made.entries[1:], made.entries[20:]):
        assert verify(part).ok is (part[0].seq == 1)
        assert verify_export(exported(part), anchors=made.anchors).problem
    assert verify_export(exported(made.entries), anchors=made.anchors).problem == ""


async def test_access_trap_61_nothing_is_pruned_but_by_an_entry_and_from_a_chain_that_was_verified(
    tmp_path: Path,
) -> None:
    """Payloads alone, by the policy, and only while the whole chain is valid."""
    estate = {**ESTATE, "policies": {**ESTATE["policies"], "retain": {"observed": "1d", "heartbeats": "1d"}}}
    path = tmp_path / "journal.db"
    async with small(store=SqliteJournal(path), estate=estate) as site:
        await asyncio.sleep(0.3)
        told(path, "DROP TRIGGER entries_stay", "UPDATE entries SET payload = x'7b7d' WHERE seq = 1")
        with pytest.raises((JournalUnavailable, Refused)):
            await site.engine.journal_retain(COMMANDER, dry_run=False)
        assert "journal.retained" not in [unseal(e).kind for e in site.store.rows() if e.seq > 1]


@pytest.mark.parametrize("attack", [sealed_with_a_newer_key, bare_tail, an_empty_period_is_gone, truncated_and_resumed])
def test_access_trap_62_newer_keys_unsealed_stretches_and_gaps_of_periods_fail(attack: Any) -> None:
    for seed in range(5):
        made = written(seed)
        root = made.root
        found = verify_export(exported(attack(made, Random(seed)).entries), trusted=[root])
        assert "entr" in found.problem


async def test_access_trap_63_a_live_journal_reboots_and_clock_steps_raise_no_alarm(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with small(store=SqliteJournal(path), keys=KeyFiles(tmp_path / "journal.keys")) as site:
        for _ in range(40):
            await site.engine.journal.append(Event(Heartbeat("running"), "engine@here"))
            with closing(JournalFile(path)) as file:
                verifier = Verifier()
                verifier.feed(file.rows())
                assert verifier.prove().problem == ""
    for seed in range(30):
        made = eventful(seed)
        assert verify_export(exported(made.entries), anchors=made.anchors).problem == "", seed


async def test_access_trap_64_a_payload_altered_at_rest_is_found_though_nobody_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with small(store=SqliteJournal(path)):
        await asyncio.sleep(0.2)
    with closing(JournalFile(path)) as file:
        payload = file.rows()[0].payload
    content = path.read_bytes()
    assert payload in content
    path.write_bytes(content.replace(payload, payload.replace(b"started", b"startle"), 1))
    async with small(store=SqliteJournal(path)) as site:
        async with asyncio.timeout(30):
            while not site.engine.journal.doubt:
                await asyncio.sleep(0.02)
        assert "entry 1" in site.engine.journal.doubt


async def test_access_trap_65_a_token_that_a_place_says_again_is_in_no_entry_and_no_export(tmp_path: Path) -> None:
    secret = "t0ken-c4nary-9f31"
    (tmp_path / "token").write_text(secret)
    (tmp_path / "token").chmod(0o600)
    async with canned({"POST /anchors": (503, f"your Authorization was Bearer {secret}")}) as server:
        options = HttpAnchorOptions.model_validate(
            {"kind": "http", "url": f"{server.url}/anchors", "token": {"file": "token"}}
        )
        place = build_http("notary", options, AdapterContext(tmp_path, Polling()))
        with pytest.raises(ReadFailure) as failure:
            await place.keep(written(1).anchors[0].line, deadline=30)
        assert secret not in failure.value.message
        assert failure.value.trouble is Trouble.ERROR
        estate = {**ESTATE, "anchors": {"notary": {"kind": "http"}}}
        async with small(anchors={"notary": place}, estate=estate, keys=KeyFiles(tmp_path / "keys")) as site:
            for hold in (await held(site)).values():
                hold._fails = 1  # the second time in a row is told
            async with asyncio.timeout(60):
                while not any(isinstance(unseal(e).body, AnchorLost) for e in site.store.rows()):
                    await asyncio.sleep(0.05)
            said = json.dumps([e.payload.decode() for e in site.store.rows()])
            private = [path.read_text() for path in (tmp_path / "keys").glob("period-*") if path.suffix != ".pub"]
        assert "anchors.notary has taken no anchor for" in said
        assert "answered 503" in said
        assert secret not in said
        assert server.asked
        assert private
        assert all(key.split("\n")[1] not in said for key in private), "nor is a private key"


async def held(site: Any) -> Any:
    async with asyncio.timeout(30):
        while not site.engine._audit.anchoring._holds:
            await asyncio.sleep(0.02)
    return site.engine._audit.anchoring._holds
