"""Ways to tamper with a journal: its export, its database and its log, by bytes and by entries.

Each takes what is there and a source of chance, and changes it in place or gives the changed bytes.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from random import Random
from struct import pack

from adapters.journals.sqlite import SqliteJournal
from state.journal.format import GENESIS, Sealed, canonical
from state.proof.lines import export_line
from tests.support.year import Year

COUNT = 40
"""Entries of a journal that is tampered with."""
FRAME = 24


def chain(seed: int, count: int = COUNT) -> list[Sealed]:
    """A journal of its own: two of one seed differ in their salts."""
    return [*Year(seed).entries(count)]


def exported(entries: list[Sealed]) -> list[bytes]:
    return [export_line(entry) + b"\n" for entry in entries]


def rehashed(entries: list[Sealed], start: int) -> list[Sealed]:
    """Hashed onward anew, as a forger does who has no head."""
    fixed = entries[:start]
    head = fixed[-1].hash if fixed else GENESIS
    for entry in entries[start:]:
        head = sha256(head + entry.header).digest()
        fixed.append(replace(entry, hash=head))
    return fixed


def with_entry(entries: list[Sealed], at: int, **changed: bytes) -> list[Sealed]:
    return [*entries[:at], replace(entries[at], **changed), *entries[at + 1 :]]


def flipped(data: bytes, chance: Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def forged(entry: Sealed, payload: bytes) -> Sealed:
    """Another payload, with the commitment to it."""
    header = entry.header[:-66] + sha256(entry.salt + payload).hexdigest().encode() + entry.header[-2:]
    return replace(entry, header=header, payload=payload)


def renamed(entry: Sealed, old: bytes, new: bytes) -> Sealed:
    header = entry.header.replace(old, new, 1)
    return replace(entry, header=header if header != entry.header else entry.header[:-3] + b'x"]')


def _moved(entries: list[Sealed], chance: Random) -> list[Sealed]:
    a = chance.randrange(len(entries) - 3)
    rest = [*entries[:a], *entries[a + 1 :]]
    b = chance.choice([n for n in range(len(rest)) if n != a])
    return [*rest[:b], entries[a], *rest[b:]]


def _middle(chance: Random) -> int:
    return chance.randrange(1, COUNT - 1)


ByEntries = Callable[[list[Sealed], Random], list[Sealed]]
ENTRIES: dict[str, ByEntries] = {
    "a bit of a header": lambda e, c: with_entry(e, n := _middle(c), header=flipped(e[n].header, c)),
    "a bit of a payload": lambda e, c: with_entry(e, n := _middle(c), payload=flipped(e[n].payload, c)),
    "a bit of a salt": lambda e, c: with_entry(e, n := _middle(c), salt=flipped(e[n].salt, c)),
    "a bit of a hash": lambda e, c: with_entry(e, n := _middle(c), hash=flipped(e[n].hash, c)),
    "a hash of another length": lambda e, c: with_entry(e, n := _middle(c), hash=e[n].hash[: c.randrange(32)]),
    "a payload of another entry": lambda e, c: with_entry(e, n := _middle(c), payload=e[n - 1].payload + b" "),
    "payload and salt of another entry": lambda e, c: with_entry(
        e, n := _middle(c), payload=e[n - 1].payload, salt=e[n - 1].salt
    ),
    "a header of another entry": lambda e, c: with_entry(e, n := _middle(c), header=e[n - 1].header),
    "a payload with its commitment": lambda e, c: [
        *e[: (n := _middle(c))],
        forged(e[n], b'{"words":"x"}'),
        *e[n + 1 :],
    ],
    "a payload, commitment and hash": lambda e, c: [
        *e[: (n := _middle(c))],
        rehashed([*e[:n], forged(e[n], b'{"words":"x"}')], n)[n],
        *e[n + 1 :],
    ],
    "another actor, hashed onward": lambda e, c: rehashed(
        [*e[: (n := _middle(c))], renamed(e[n], b"engine@year", b"eve"), *e[n + 1 :]], n
    ),
    "another kind, hashed onward": lambda e, c: rehashed(
        [*e[: (n := _middle(c))], renamed(e[n], b"engine.heartbeat", b"engine.stopped"), *e[n + 1 :]], n
    ),
    "an erased payload": lambda e, c: with_entry(e, _middle(c), payload=b"", salt=b""),
    "an erased payload that keeps its salt": lambda e, c: with_entry(e, _middle(c), payload=b""),
    "an erased salt": lambda e, c: with_entry(e, _middle(c), salt=b""),
    "all payloads erased": lambda e, c: [replace(each, payload=b"", salt=b"") for each in e],
    "one is gone": lambda e, c: [*e[: (n := _middle(c))], *e[n + 1 :]],
    "the first is gone": lambda e, c: e[1:],
    "the first ones are gone": lambda e, c: e[_middle(c) :],
    "the last is gone": lambda e, c: e[:-1],
    "the last ones are gone": lambda e, c: e[: _middle(c)],
    "some are gone": lambda e, c: [*e[: (n := c.randrange(1, COUNT // 2))], *e[n + 2 + c.randrange(10) :]],
    "one is gone, the rest renumbered": lambda e, c: [
        *e[: (n := _middle(c))],
        *(replace(each, seq=each.seq - 1) for each in e[n + 1 :]),
    ],
    "one is gone, hashed onward": lambda e, c: rehashed([*e[: (n := _middle(c))], *e[n + 1 :]], n),
    "one comes again": lambda e, c: [*e[: (n := _middle(c))], e[n - 1], *e[n:]],
    "one comes again at the end": lambda e, c: [*e, e[_middle(c)]],
    "two changed places": lambda e, c: [*e[: (n := _middle(c) - 1)], e[n + 1], e[n], *e[n + 2 :]],
    "one was moved": _moved,
    "the other way round": lambda e, c: e[::-1],
    "one of another journal": lambda e, c: [*e[: (n := _middle(c))], chain(c.randrange(99))[n], *e[n + 1 :]],
    "an end of another journal": lambda e, c: [*e[: (n := _middle(c))], *chain(c.randrange(99))[n:]],
    "another journal": lambda e, c: chain(c.randrange(99)),
    "one was added, hashed onward": lambda e, c: rehashed([*e[: (n := _middle(c))], e[n - 1], *e[n:]], n),
}
"""Changed entries. What is valid by itself is found by the head that was stored elsewhere."""


def _line(change: Callable[[bytes, Random], bytes]) -> Callable[[list[bytes], Random], bytes]:
    def changed(lines: list[bytes], chance: Random) -> bytes:
        at = _middle(chance)
        return b"".join([*lines[:at], change(lines[at][:-1], chance) + b"\n", *lines[at + 1 :]])

    return changed


def _told(change: Callable[[dict[str, object]], dict[str, object]]) -> Callable[[bytes, Random], bytes]:
    return lambda line, chance: canonical(change(json.loads(line)))


def _cut(data: bytes, chance: Random) -> bytes:
    start = chance.randrange(len(data) - 1)
    return data[:start] + data[start + 1 + chance.randrange(200) :]


def _overwritten(data: bytes, chance: Random, filler: Callable[[int], bytes]) -> bytes:
    size = 1 + chance.randrange(300)
    start = chance.randrange(len(data) - size)
    return data[:start] + filler(size) + data[start + size :]


ByLines = Callable[[list[bytes], Random], bytes]
LINES: dict[str, ByLines] = {
    "any bit": lambda lines, c: flipped(b"".join(lines), c),
    "any byte gone": lambda lines, c: (d := b"".join(lines))[: (n := c.randrange(len(d) - 1))] + d[n + 1 :],
    "any byte more": lambda lines, c: (
        (d := b"".join(lines))[: (n := c.randrange(len(d) - 1))] + bytes([c.randrange(33, 127)]) + d[n:]
    ),
    "bytes gone": lambda lines, c: _cut(b"".join(lines), c),
    "zeros over bytes": lambda lines, c: _overwritten(b"".join(lines), c, bytes),
    "noise over bytes": lambda lines, c: _overwritten(b"".join(lines), c, c.randbytes),
    "a part twice": lambda lines, c: (d := b"".join(lines))[: (n := c.randrange(9, len(d)))] + d[n - 9 :],
    "cut short": lambda lines, c: (d := b"".join(lines))[: len(d) - 2 - c.randrange(len(d) - 2)],
    "cut in the last line": lambda lines, c: b"".join(lines)[: -2 - c.randrange(len(lines[-1]) - 3)],
    "another journal and a brace": lambda lines, c: b"".join(exported(chain(c.randrange(99)))) + b"{",
    "digits in upper case": _line(lambda line, c: json.dumps({**json.loads(line), "x": 1}).encode())
    and _line(_told(lambda told: {**told, "hash": "AB" + str(told["hash"])[2:].upper()})),
    "blanks in digits": _line(_told(lambda told: {**told, "salt": f"{str(told['salt'])[:2]} {str(told['salt'])[2:]}"})),
    "a name more": _line(_told(lambda told: {**told, "note": "x"})),
    "a name less": _line(_told(lambda told: {k: v for k, v in told.items() if k != "salt"})),
    "a name twice": _line(lambda line, c: line.replace(b'"payload":', b'"payload":"{}","payload":', 1)),
    "blanks between": _line(lambda line, c: line.replace(b'","', b'", "', 1)),
    "names in another order": _line(lambda line, c: json.dumps(dict(reversed(json.loads(line).items()))).encode()),
    "escaped otherwise": _line(lambda line, c: line.replace(b'"seq"', b'"\\u0073eq"', 1)),
    "a number with a fraction": _line(lambda line, c: line[:-1] + b".0}"),
    "a number as text": _line(_told(lambda told: {**told, "seq": str(told["seq"])})),
    "no number": _line(lambda line, c: line.replace(b'"seq":', b'"seq":NaN,"was":', 1)),
    "a list around it": _line(lambda line, c: b"[" + line + b"]"),
    "deep lists in it": _line(lambda line, c: line[:-1] + b',"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    "a huge number": _line(lambda line, c: line[:-1] + b"9" * 50_000 + b"}"),
    "a lone surrogate": _line(_told(lambda told: {**told, "payload": str(told["payload"])[:-1] + "\ud800}"})),
    "an empty line": lambda lines, c: b"".join([*lines[: (n := _middle(c))], b"\n", *lines[n:]]),
    "two lines in one": _line(lambda line, c: line + line),
    "a line in two": _line(lambda line, c: line[: (n := c.randrange(1, len(line) - 1))] + b"\n" + line[n:]),
}
"""Changed bytes of an export."""


def made(folder: Path, seed: int) -> tuple[Path, list[Sealed]]:
    """A journal as a killed engine leaves it: file, log and head; part of it is in the log."""
    live, folder = folder / "live", folder / "left"
    live.mkdir(parents=True)
    folder.mkdir()
    entries, store = chain(seed), SqliteJournal(live / "journal.db")
    half = COUNT // 2
    store.append(entries[:half])
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("PRAGMA wal_checkpoint(FULL)").fetchall()
    for entry in entries[half:]:
        store.append([entry])
    for name in ("journal.db", "journal.db-wal", "journal.head"):
        shutil.copy(live / name, folder / name)
    store.close()
    return folder / "journal.db", entries


def log_of(journal: Path) -> Path:
    return journal.with_name("journal.db-wal")


def written(path: Path, change: Callable[[bytes], bytes]) -> None:
    """In place, as a program does that writes to the file."""
    content = change(path.read_bytes())
    with path.open("r+b") as file:
        file.truncate(len(content))
        file.write(content)


def told(journal: Path, *statements: str) -> None:
    with closing(sqlite3.connect(journal, isolation_level=None)) as other:
        for statement in statements:
            other.execute(statement)


def _statement(*statements: str) -> Callable[[Path, Random], None]:
    def tamper(journal: Path, chance: Random) -> None:
        seq = 1 + _middle(chance)
        told(journal, "DROP TRIGGER entries_stay", "DROP TRIGGER entries_keep")
        told(journal, *(statement.format(seq=seq) for statement in statements), *GUARDS)

    return tamper


GUARDS = [
    f"CREATE TRIGGER entries_{name} BEFORE {what} ON entries\n"
    "    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
    for name, what in (("keep", "DELETE"), ("stay", "UPDATE"))
]


def _in_a_value(journal: Path, chance: Random, which: Callable[[Sealed], bytes]) -> None:
    """A byte of a header, hash, salt or payload, wherever the file or the log has it."""
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as db:
        rows = [Sealed(*row) for row in db.execute("SELECT seq, header, hash, salt, payload FROM entries")]
    chance.shuffle(rows)
    for path in (journal, log_of(journal)):
        content = path.read_bytes()
        for entry in rows:
            at = content.rfind(which(entry)[:60])
            if at >= 0 and (path != journal or entry.hash not in log_of(journal).read_bytes()):
                place = at + chance.randrange(min(60, len(which(entry))))
                written(path, lambda data, place=place: data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])  # type: ignore[misc]
                return


def _page(path: Path, chance: Random, change: Callable[[bytes], bytes], *, first: int, head: int = 0) -> None:
    """A whole page of the file, or a frame of the log."""
    size = 4096 + head
    start = 32 if head else 0
    count = (path.stat().st_size - start) // size
    place = start + size * chance.randrange(min(first, count - 1), count)
    written(path, lambda data: data[:place] + change(data[place : place + size]) + data[place + size :])


ByFile = Callable[[Path, Random], None]
FILES: dict[str, ByFile] = {
    "a byte of a header": lambda j, c: _in_a_value(j, c, lambda e: e.header),
    "a byte of a hash": lambda j, c: _in_a_value(j, c, lambda e: e.hash),
    "a byte of a salt": lambda j, c: _in_a_value(j, c, lambda e: e.salt),
    "a byte of a payload": lambda j, c: _in_a_value(j, c, lambda e: e.payload),
    "any byte of the file": lambda j, c: written(j, lambda data: flipped(data, c)),
    "any byte of the log": lambda j, c: written(log_of(j), lambda data: flipped(data, c)),
    "a page of zeros": lambda j, c: _page(j, c, lambda page: bytes(len(page)), first=1),
    "a page of noise": lambda j, c: _page(j, c, lambda page: c.randbytes(len(page)), first=1),
    "the first page of zeros": lambda j, c: written(j, lambda data: bytes(4096) + data[4096:]),
    "a frame of zeros": lambda j, c: _page(log_of(j), c, lambda page: bytes(len(page)), first=1, head=FRAME),
    "a frame of noise": lambda j, c: _page(log_of(j), c, lambda page: c.randbytes(len(page)), first=1, head=FRAME),
    "frames cut off": lambda j, c: os.truncate(log_of(j), 32 + (4096 + FRAME) * c.randrange(1, 6)),
    "the log cut anywhere": lambda j, c: os.truncate(log_of(j), c.randrange(32, log_of(j).stat().st_size // 2)),
    "the log emptied": lambda j, c: os.truncate(log_of(j), 0),
    "the log's salt": lambda j, c: written(log_of(j), lambda data: data[:16] + c.randbytes(8) + data[24:]),
    "the log's page size": lambda j, c: written(log_of(j), lambda data: data[:8] + pack(">I", 1024) + data[12:]),
    "the file cut short": lambda j, c: os.truncate(j, c.randrange(1, j.stat().st_size - 4096)),
    "the file emptied": lambda j, c: os.truncate(j, 0),
    "noise in its place": lambda j, c: written(j, lambda data: c.randbytes(len(data))),
    "an entry deleted": _statement("DELETE FROM entries WHERE seq = {seq}"),
    "all entries deleted": _statement("DELETE FROM entries"),
    "the last entry deleted": _statement("DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries)"),
    "a payload updated": _statement("UPDATE entries SET payload = CAST(payload || ' ' AS BLOB) WHERE seq = {seq}"),
    "a payload erased": _statement("UPDATE entries SET payload = x'', salt = x'' WHERE seq = {seq}"),
    "a number updated": _statement("UPDATE entries SET seq = seq + 1000 WHERE seq = {seq}"),
    "an entry inserted": _statement(
        "INSERT INTO entries SELECT max(seq) + 1, header, hash, salt, payload FROM entries"
    ),
    "entries exchanged": _statement(
        "UPDATE entries SET seq = -1 WHERE seq = {seq}",
        "UPDATE entries SET seq = {seq} WHERE seq = {seq} - 1",
        "UPDATE entries SET seq = {seq} - 1 WHERE seq = -1",
    ),
    "a trigger dropped": lambda j, c: told(j, f"DROP TRIGGER entries_{c.choice(('keep', 'stay'))}"),
    "a trigger added": lambda j, c: told(
        j, "CREATE TRIGGER swallow BEFORE INSERT ON entries BEGIN SELECT RAISE(IGNORE); END"
    ),
    "a table added": lambda j, c: told(j, f"CREATE TABLE t{c.randrange(99)} (x)"),
    "a view added": lambda j, c: told(j, f"CREATE VIEW v{c.randrange(99)} AS SELECT 1"),
    "an index added": lambda j, c: told(j, f"CREATE INDEX i{c.randrange(99)} ON entries (hash)"),
    "its version": lambda j, c: told(j, f"PRAGMA user_version = {1 + c.randrange(99)}"),
    "its application": lambda j, c: told(j, f"PRAGMA application_id = {1 + c.randrange(99)}"),
    "the table renamed": lambda j, c: told(j, "ALTER TABLE entries RENAME TO kept"),
}
"""Changed files."""


def same_entries(journal: Path, entries: list[Sealed]) -> bool:
    """Whether SQLite alone reads the same entries from the same table as before: then nothing that was recorded, and
    nothing that guards it, was changed, whichever byte was."""
    copy = journal.with_name("copy.db")
    for path in (journal, log_of(journal)):
        there = path.with_name(path.name.replace("journal.db", "copy.db"))
        if path.exists():
            shutil.copy(path, there)
        else:
            there.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(copy)) as db:
            rows = db.execute("SELECT seq, header, hash, salt, payload FROM entries ORDER BY seq").fetchall()
            guards = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            numbers = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "application_id")]
    except (sqlite3.Error, ValueError, OverflowError):
        return False
    kept = [(e.seq, e.header, e.hash, e.salt, e.payload) for e in entries]
    return rows == kept and guards == 3 and numbers == [0, 0]
