"""The tamper corpus: every kind of change to a journal is found and its place named, offline and while an engine has it
open; a clean journal whose end was lost in a crash is never called tampered with."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from adapters.journals.reading import JournalFile
from adapters.journals.sqlite import SqliteJournal
from state.engine.events import Heartbeat
from state.errors import JournalUnavailable
from state.journal.events import Event
from state.journal.format import Sealed, Sealer, verify
from state.proof.lines import verify_export
from state.views.journal import chain_proof
from tests.attack.tampering import ENTRIES, FILES, LINES, chain, exported, log_of, made, same_entries

SHORT, LONG = 3, 200
CLEAN_SHORT, CLEAN_LONG = 40, 1000
NAMED = re.compile(r"entr(y|ies)|line \d|journal\.db|hash")
"""What every finding tells: an entry, a line, a file or the hash that is not reached."""


def found_in(export: bytes, head: str) -> str:
    """What `verify --file --head` says of an export; empty when it passes."""
    return chain_proof(verify_export(iter(export.splitlines(keepends=True)), known=head), head).problem


def tampered_exports(mutants: int) -> Iterator[tuple[str, bytes, str]]:
    for kind, by_entries in ENTRIES.items():
        for number in range(mutants):
            chance, entries = Random(f"{kind}/{number}"), chain(number)
            yield kind, b"".join(exported(by_entries(entries, chance))), entries[-1].hash.hex()
    for kind, by_lines in LINES.items():
        for number in range(mutants):
            chance, entries = Random(f"{kind}/{number}"), chain(number)
            lines = exported(entries)
            changed = by_lines(lines, chance)
            if changed.replace(b"\r", b"") != b"".join(lines):
                yield kind, changed, entries[-1].hash.hex()


def run_exports(mutants: int) -> None:
    missed: list[str] = []
    count = 0
    for kind, export, head in tampered_exports(mutants):
        count += 1
        said = found_in(export, head)
        if not NAMED.search(said):
            missed.append(f"{kind}: {said!r}")
    assert missed == []
    assert len(ENTRIES) + len(LINES) >= 40
    assert count >= (len(ENTRIES) + len(LINES)) * mutants * 0.98
    print(f"{count} tampered exports of {len(ENTRIES) + len(LINES)} kinds, all found and named")


def test_every_tampered_export_is_found_and_named() -> None:
    run_exports(SHORT)


@pytest.mark.torture
def test_every_tampered_export_is_found_and_named_many() -> None:
    run_exports(LONG)


def found_offline(journal: Path) -> str:
    """What `verify` says of a journal without an engine."""
    try:
        with closing(JournalFile(journal)) as file:
            proof = chain_proof(verify(file.rows()))
            return proof.problem or file.missing()
    except JournalUnavailable as error:
        return str(error)


def found_online(store: SqliteJournal) -> str:
    """What an engine notices that has the journal open."""
    try:
        store.look()
    except JournalUnavailable as error:
        return str(error)
    return ""


def copied(template: Path, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template.parent, folder)
    return folder / template.name


def run_files(tmp_path: Path, mutants: int, *, online: bool) -> None:
    template, entries = made(tmp_path / "template", 1)
    missed: list[str] = []
    count = same = 0
    for kind, tamper in FILES.items():
        for number in range(mutants):
            journal = copied(template, tmp_path / "tried")
            count += 1
            if online:
                said, equal = _while_open(journal, entries, lambda j, k=kind, n=number: FILES[k](j, Random(f"{k}/{n}")))  # type: ignore[misc]
            else:
                tamper(journal, Random(f"{kind}/{number}"))
                equal = same_entries(journal, entries)
                said = found_offline(journal)
            same += equal
            if not (equal or NAMED.search(said)):
                missed.append(f"{kind} {number}: {said!r}")
    assert missed == []
    assert len(FILES) >= 30
    assert same < count / 4, "most of these change what is recorded"
    where = "open" if online else "closed"
    print(f"{count} tampered journals of {len(FILES)} kinds, {where}: all found but {same} that read as before")


def _while_open(journal: Path, entries: list[Sealed], tamper: Callable[[Path], None]) -> tuple[str, bool]:
    store = SqliteJournal(journal)
    try:
        store.append([*chain_after(entries)])
        known = [*store.rows()]
        store.look()
        tamper(journal)
        said = found_online(store)
        again = found_online(store)
        assert bool(said) == bool(again), (said, again)
        return said, same_entries(journal, known)
    finally:
        store.close()


def chain_after(entries: list[Sealed]) -> Iterator[Sealed]:
    """Some more entries, so that the open journal has a log."""
    sealer, head = Sealer("h", "b"), entries[-1].hash
    for seq in range(len(entries) + 1, len(entries) + 9):
        entry = sealer.seal(Event(Heartbeat("x" * 900), "e"), seq=seq, previous=head, at=2e9, mono=2e9)
        head = entry.hash
        yield entry


@pytest.mark.parametrize("online", [False, True], ids=["closed", "open"])
def test_every_tampered_journal_is_found_and_named(tmp_path: Path, online: bool) -> None:
    run_files(tmp_path, SHORT, online=online)


@pytest.mark.torture
@pytest.mark.parametrize("online", [False, True], ids=["closed", "open"])
def test_every_tampered_journal_is_found_and_named_many(tmp_path: Path, online: bool) -> None:
    run_files(tmp_path, LONG, online=online)


def run_clean(tmp_path: Path, count: int) -> None:
    """Exports cut in their last line, and logs cut behind the last entry that was named: a crash, and no alarm."""
    false: list[str] = []
    for number in range(count):
        chance = Random(number)
        lines = exported(chain(number, 2 + chance.randrange(40)))
        lost = 1 + chance.randrange(len(lines[-1]) - 1)
        found = verify_export([*lines[:-1], lines[-1][:-lost]])
        whole = lost == 1  # only the end of the line is missing
        if found.problem or bool(found.torn) == whole or found.entries != len(lines) - (not whole):
            false.append(f"export {number}, {lost} bytes lost: {found}")
    template, entries = made(tmp_path / "clean", 1)
    for number in range(count):
        chance, journal = Random(number), copied(template, tmp_path / "tried")
        with log_of(journal).open("ab") as log:  # what a kill leaves of a commit that had not ended
            log.write(log_of(template).read_bytes()[32 : 56 + chance.randrange(4096)] if number % 2 else b"")
        said = found_offline(journal)
        with closing(SqliteJournal(journal)) as store:
            said = said or store.missing or found_online(store)
            if said or [e.hash for e in store.rows()] != [e.hash for e in entries]:
                false.append(f"journal {number}: {said}")
    assert false == []
    print(f"{2 * count} clean journals with torn ends, no alarm")


def test_a_torn_end_is_never_called_tampering(tmp_path: Path) -> None:
    run_clean(tmp_path, CLEAN_SHORT)


@pytest.mark.torture
def test_a_torn_end_is_never_called_tampering_many(tmp_path: Path) -> None:
    run_clean(tmp_path, CLEAN_LONG)
