"""The tables of a journal's file, exactly: what is not of this program is named, and its entries are not relied on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from state.errors import JournalUnavailable
from state.journal.format import Sealed

STATEMENTS = {
    ("table", "entries"): (
        "CREATE TABLE entries (\n"
        "    seq INTEGER PRIMARY KEY, header BLOB NOT NULL, hash BLOB NOT NULL, salt BLOB NOT NULL, "
        "payload BLOB NOT NULL\n"
        ") STRICT"
    ),
    ("trigger", "entries_keep"): (
        "CREATE TRIGGER entries_keep BEFORE DELETE ON entries\n"
        "    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
    ),
    ("trigger", "entries_stay"): (
        "CREATE TRIGGER entries_stay BEFORE UPDATE ON entries\n"
        "    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
    ),
}
"""What the file has, as SQLite keeps the statements that made it."""
ENTRIES, STAY = ("table", "entries"), ("trigger", "entries_stay")
NUMBERS = ("user_version", "application_id")
"""Numbers in the file's header that are 0 in a journal."""
AFTER = "SELECT seq, header, hash, salt, payload FROM entries WHERE seq > ? ORDER BY seq LIMIT ?"

HAVING = (
    "SELECT seq, header, hash, salt, payload FROM entries"
    " WHERE seq > 0 AND instr(header, ?) > 0 AND instr(payload, ?) > 0 ORDER BY seq"
)


def make(db: sqlite3.Connection) -> None:
    """Make the tables, all or none. Raises sqlite3.Error."""
    db.execute("BEGIN IMMEDIATE")
    for statement in STATEMENTS.values():
        db.execute(statement)
    db.execute("COMMIT")


def erase(db: sqlite3.Connection, seqs: Sequence[int]) -> None:
    """Erase the payloads and salts of entries, all or none. Raises sqlite3.Error."""
    db.execute("BEGIN IMMEDIATE")
    db.execute("DROP TRIGGER entries_stay")
    db.executemany("UPDATE entries SET payload = x'', salt = x'' WHERE seq = ?", [(seq,) for seq in seqs])
    db.execute(STATEMENTS[STAY])
    db.execute("COMMIT")


def made(db: sqlite3.Connection) -> dict[tuple[str, str], str]:
    """The statements of the file by type and name. Raises sqlite3.Error."""
    found = db.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_master").fetchall()
    return {(str(kind), str(name)): str(sql) for kind, name, sql in found}


def require_entries(db: sqlite3.Connection, path: Path) -> None:
    """Raises JournalUnavailable for a file without the table of entries, sqlite3.Error for one that is no database."""
    if made(db).get(ENTRIES) != STATEMENTS[ENTRIES]:
        raise JournalUnavailable(f"{path} is no journal: it has no table `entries` as a journal has it")


def foreign(db: sqlite3.Connection, path: Path) -> str:
    """What of the file is not of this program or is missing, empty when nothing. Raises sqlite3.Error."""
    there = made(db)
    for place in (*(p for p in there if p not in STATEMENTS), *STATEMENTS):
        if there.get(place) == STATEMENTS.get(place):
            continue
        state = "was added" if place not in STATEMENTS else "is not there" if place not in there else "was changed"
        return f"{path}: another program wrote to the journal: {' '.join(place)} {state}"
    before = db.execute("SELECT min(seq) FROM entries").fetchone()[0]
    if before is not None and before < 1:
        return f"{path}: another program wrote to the journal: it has an entry {before}, and the first one is 1"
    for number in NUMBERS:
        value = db.execute(f"PRAGMA {number}").fetchone()[0]
        if value:
            return f"{path}: another program wrote to the journal: {number} is {value}, not 0"
    return ""


def entries_of(rows: Iterable[Sequence[Any]]) -> Iterator[Sealed]:
    """Rows as entries. A value that is no bytes was not written by this program: it makes its entry an invalid one."""
    for seq, *values in rows:
        header, digest, salt, payload = (value if type(value) is bytes else NO_BYTES for value in values)
        yield Sealed(int(seq), header, digest, salt, payload)


NO_BYTES = b"\x00"


def as_nothing(raw: bytes) -> None:
    """A `text_factory` for files in which every value is bytes: of a text nothing is known."""


def prepare(db: sqlite3.Connection) -> None:
    """Make a connection read what the file has without trusting it. Raises sqlite3.Error."""
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA cell_size_check = ON")
