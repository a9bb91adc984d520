"""`journal verify` proves only what was checked: nothing of an empty file, and a head that was given is looked for."""

import gzip
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from adapters.journals.memory import MemoryJournal
from adapters.journals.sqlite import SqliteJournal
from console.cli.ending import run_to_code
from console.cli.verbs import recovery
from state.engine.events import Heartbeat
from state.errors import UnsuitableArgument
from state.journal.events import Event
from state.journal.format import GENESIS, Sealed, Sealer, canonical, known_head, verify
from state.proof.lines import export_line, verify_export
from state.views.journal import chain_proof
from tests.support.retained import retained
from tests.support.small_estate import small


def chain(count: int) -> list[Sealed]:
    sealer, head, made = Sealer("h", "b"), GENESIS, []
    for seq in range(1, count + 1):
        made.append(sealer.seal(Event(Heartbeat(f"entry {seq}"), "e"), seq=seq, previous=head, at=1.0, mono=1.0))
        head = made[-1].hash
    return made


ENTRIES = chain(12)
LINES = [export_line(entry) + b"\n" for entry in ENTRIES]
WHOLE = b"".join(LINES)


def without_payload(line: bytes) -> bytes:
    return canonical({**json.loads(line), "payload": "", "salt": ""}) + b"\n"


def twice_named(line: bytes) -> bytes:
    """Two payloads: this program reads the last one, another one may read the first."""
    return line.replace(b'"payload":', b'"payload":"{}","payload":', 1)


MOVED = [*LINES[:4], LINES[5], LINES[4], *LINES[6:]]
DOUBLED = [*LINES[:4], twice_named(LINES[4]), *LINES[5:]]
PARTLY = [*map(without_payload, LINES[:5]), *LINES[5:]]
NO_LINE, NO_FIFTH = "line 1 is not a journal entry", "line 5 is not a journal entry"
RETAINED = b"".join(export_line(entry) + b"\n" for entry in retained(ENTRIES, {1, 2, 3, 4, 5}))


def line_changed(change: Callable[[dict[str, Any]], dict[str, Any]]) -> bytes:
    """The export with another fifth line, written as the program writes lines."""
    return b"".join([*LINES[:4], canonical(change(json.loads(LINES[4]))) + b"\n", *LINES[5:]])


EXPORTS: dict[str, tuple[bytes, int, str]] = {
    "whole": (WHOLE, 0, "valid: 12 entries, head"),
    "CRLF": (WHOLE.replace(b"\n", b"\r\n"), 0, "valid: 12 entries, head"),
    "BOM": (b"\xef\xbb\xbf" + WHOLE, 0, "valid: 12 entries, head"),
    "last newline lost": (WHOLE[:-1], 0, "valid: 12 entries, head"),
    "blank line at the end": (WHOLE + b"\n", 0, "valid: 12 entries, head"),
    "some without payload": (b"".join(PARTLY), 1, "of entry 1, and of 4 others was erased, and no entry"),
    "all without payload": (b"".join(map(without_payload, LINES)), 1, "of entry 1, and of 11 others was erased"),
    "some erased by retention": (RETAINED, 0, "; 5 of them without payload"),
    "upper-case digits": (line_changed(lambda told: {**told, "hash": told["hash"].upper()}), 1, NO_FIFTH),
    "blanks between digits": (line_changed(lambda told: {**told, "salt": " " + told["salt"]}), 1, NO_FIFTH),
    "another name": (line_changed(lambda told: {**told, "note": 1}), 1, NO_FIFTH),
    "a number as text": (line_changed(lambda told: {**told, "seq": "5"}), 1, NO_FIFTH),
    "true for a number": (line_changed(lambda told: {**told, "seq": True}), 1, NO_FIFTH),
    "5.0": (WHOLE.replace(b'"seq":5}', b'"seq":5.0}'), 1, NO_FIFTH),
    "a huge number": (WHOLE.replace(b'"seq":5}', b'"seq":' + b"5" * 100_000 + b"}"), 1, NO_FIFTH),
    "NaN": (WHOLE.replace(b'"seq":5}', b'"seq":NaN}'), 1, NO_FIFTH),
    "a surrogate": (line_changed(lambda told: {**told, "payload": told["payload"] + "\ud800"}), 1, NO_FIFTH),
    "deep": (WHOLE.replace(b'"seq":5}', b'"seq":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), 1, NO_FIFTH),
    "blanks": (WHOLE.replace(b'"seq":5}', b'"seq": 5}'), 1, NO_FIFTH),
    "escaped otherwise": (WHOLE.replace(b'"seq":5}', b'"s\\u0065q":5}'), 1, NO_FIFTH),
    "an empty line between": (b"".join([*LINES[:4], b"\n", *LINES[4:]]), 1, "line 6 is not a journal entry"),
    "empty lines without end": (WHOLE + b"\n" * 5000, 1, "is not a journal entry"),
    "empty": (b"", 1, "there is no entry"),
    "newlines only": (b"\n\n", 1, "there is no entry"),
    "one line of text": (b"hello\n", 1, NO_LINE),
    "one word": (b"hello", 1, NO_LINE),
    "an error in its place": (b'{"error": {"kind": "unreachable"}}\n', 1, NO_LINE),
    "nested": (b"[" * 200_000, 1, NO_LINE),
    "zeros": (bytes(4096), 1, NO_LINE),
    "gzip": (gzip.compress(WHOLE), 1, "compressed (gzip): unpack it first"),
    "UTF-16": (WHOLE.decode().encode("utf-16"), 1, "UTF-16"),
    "cut in the last line": (WHOLE[:-40], 3, "TORN AT THE END: line 12 is not a journal entry: it is cut short"),
    "cut in the first line": (WHOLE[:40], 1, NO_LINE),
    "zeros at the end": (WHOLE + bytes(100), 3, "TORN AT THE END: line 13"),
    "text at the end": (WHOLE + b"12 entries\n", 1, "line 13 is not a journal entry"),
    "begins in the middle": (b"".join(LINES[4:]), 1, "entry 5: what was before is not proven; from there on 8"),
    "begins later and lacks one": (b"".join([*LINES[4:7], *LINES[8:]]), 1, "entry 9 is in the place of entry 8"),
    "one is twice": (b"".join([*LINES[:5], *LINES[4:]]), 1, "entry 5 comes again in the place of entry 6"),
    "two exports": (WHOLE + WHOLE, 1, "entry 1 comes again in the place of entry 13"),
    "out of order": (b"".join(reversed(LINES)), 1, "entry 11 is in the place of entry 13"),
    "two changed places": (b"".join(MOVED), 1, "entry 6 is in the place of entry 5"),
    "a payload named twice": (b"".join(DOUBLED), 1, "line 5 is not a journal entry"),
}  # fmt: skip


def verified(argv: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = run_to_code(recovery, ["journal", "verify", *argv])
    told = capsys.readouterr()
    return code, told.out + told.err


@pytest.mark.parametrize("kind", EXPORTS)
def test_a_file_proves_what_it_has(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, code, said = EXPORTS[kind]
    (tmp_path / "x").write_bytes(content)
    found, told = verified(["--file", str(tmp_path / "x")], capsys)
    assert (found, said in told) == (code, True), told
    found, told = verified(["--file", str(tmp_path / "x"), "--json"], capsys)
    seen: dict[str, Any] = json.loads(told)
    assert (found, seen["ok"], bool(seen["problem"])) == (code, code == 0, code == 1)
    # A head that it has not is found missing in every one of them.
    found, told = verified(["--file", str(tmp_path / "x"), "--head", "0123456789abcdef"], capsys)
    assert found == 1, told


def journal_file(folder: Path, entries: list[Sealed]) -> Path:
    with closing(SqliteJournal(folder / "journal.db")) as store:
        if entries:
            store.append(entries)
    return folder / "journal.db"


def export_file(folder: Path, entries: list[Sealed]) -> Path:
    (folder / "export").write_bytes(b"".join(export_line(entry) + b"\n" for entry in entries))
    return folder / "export"


@pytest.mark.parametrize("stored", [journal_file, export_file], ids=lambda each: each.__name__)
def test_a_head_is_looked_for_in_every_file(
    stored: Callable[[Path, list[Sealed]], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(stored(tmp_path, ENTRIES))
    last, earlier = ENTRIES[-1].hash.hex(), ENTRIES[6].hash.hex()
    for head, code, said in (
        (last, 0, "entry 12 has the hash that was given, it is the last one"),
        (last[:8].upper(), 0, "entry 12 has the hash"),
        (earlier[:16], 0, "entry 7 has the hash that was given, 5 entries after it"),
        (chain(12)[-1].hash.hex(), 1, "no entry has the hash"),
        ("00" * 32, 1, "no entry has the hash"),
        (last[:7], 2, "8 to 64 hexadecimal digits"),
        (f"{last}0", 2, "8 to 64 hexadecimal digits"),
        ("00", 2, "8 to 64 hexadecimal digits"),
        ("12 entries", 2, "8 to 64 hexadecimal digits"),
        ("", 2, "it is empty"),
    ):
        assert (code, True) == ((found := verified(["--file", file, "--head", head], capsys))[0], said in found[1]), (
            found
        )
    cut = str(stored(tmp_path, []) if stored is export_file else tmp_path / "none")
    assert verified(["--file", cut, "--head", last], capsys)[0] in (1, 2)


def test_a_journal_of_no_entry_and_a_journal_cut_in_front_of_its_head_prove_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verified(["--file", str(journal_file(tmp_path, []))], capsys)[0] == 1
    found = verify(ENTRIES[:11])
    assert found.ok
    assert chain_proof(found).problem == ""
    assert chain_proof(verify([])).problem == "there is no entry"
    torn = verify_export([*LINES[:11], LINES[11][:40]], known=ENTRIES[11].hash.hex())
    assert "no entry has the hash" in chain_proof(torn, ENTRIES[11].hash.hex()).problem


@pytest.mark.parametrize("wrong", ["", "1234567", "g" * 8, "0" * 65, "１２３４５６７８", "0" * 8 + "\n", " 12345678"])
def test_what_is_no_head_is_bad_input(wrong: str) -> None:
    with pytest.raises(UnsuitableArgument, match="8 to 64 hexadecimal digits"):
        known_head(wrong)


async def test_an_engine_looks_for_a_head_and_a_wrong_one_is_no_doubt_about_its_journal() -> None:
    store = MemoryJournal()
    async with small(store=store) as lab:
        first = store.rows()[0].hash.hex()
        proof = await lab.engine.journal_verify(first)
        assert (proof.problem, proof.known, proof.entries >= 1) == ("", 1, True)
        proof = await lab.engine.journal_verify("00" * 32)
        assert "no entry has the hash" in proof.problem
        assert lab.engine.journal.unavailable == ""
        assert (await lab.engine.journal_verify()).problem == ""
