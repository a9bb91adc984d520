"""Tables of random columns and keys with values that are hard to tell apart, copied and then edited at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

TYPES: dict[str, Sequence[str]] = {
    "int2": ("0", "1", "-1", "32767"),
    "int4": ("0", "1", "-1", "2147483647"),
    "int8": ("0", "1", "4294967296", "-1", "-4294967296", "9223372036854775807", "-9223372036854775808"),
    "bool": ("true", "false"),
    "float4": ("0", "-0", "NaN", "Infinity", "0.1", "0.10000001"),
    "float8": ("0", "-0", "NaN", "-Infinity", "0.3", "0.30000000000000004", "1e300"),
    "numeric": ("1", "-1", "1.0", "1.00", "10000", "0", "0.00", "NaN", "Infinity", "-Infinity", "1e30"),
    "numeric(14,2)": ("1", "-1", "0", "NaN", "10000", "0.01"),
    "text": ("", "a", "A", "ä", "a ", "ss", "ß", "a\\\\b", "x'y", "NULL"),
    "varchar(20)": ("", "a", "a ", "b"),
    "char(5)": ("", "a", "b", "ä"),
    "bpchar": ("a", "a  ", "b"),
    "bytea": ("\\\\x", "\\\\x00", "\\\\x0001", "\\\\xff"),
    "timestamptz": (
        "2000-01-01 00:00:00.000001+00", "2000-01-01 01:11:34.967296+00", "1999-12-31 23:59:59.999999+00", "infinity",
        "-infinity", "0044-03-15 00:00:00+00 BC", "9999-12-31 23:59:59.999999+00", "9999-12-31 23:59:59.999998+00",
        "200000-01-01 00:00:00.000001+00", "200000-01-01 00:00:00.000002+00",
    ),
    "timestamp": (
        "2000-01-01 00:00:00.000001", "2000-01-01 01:11:34.967296", "infinity", "250000-01-01 00:00:00.000001",
        "250000-01-01 00:00:00", "2100-01-01 00:00:00", "2099-12-31 23:59:59.999999",
    ),
    "date": ("2000-01-01", "infinity", "0001-01-01 BC", "1999-12-31"),
    "time": ("00:00:00", "24:00:00", "00:00:00.000001", "01:11:34.967296"),
    "timetz": ("00:00:00+00", "01:00:00+01", "00:00:00.000001+00"),
    "interval": ("1 mon", "30 days", "720:00:00", "-1 mon", "1 day -24:00:00", "00:00:00"),
    "uuid": ("00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "json": ('{"a":1}', '{"a": 1}', "1"),
    "jsonb": ("1.0", "1.00", '{"a": 1}', "null"),
    "int4[]": ("{1,2}", "[0:1]={1,2}", "{{1,2}}", "{}", "{NULL}"),
    "text[]": ("{a,NULL}", '{a,"NULL"}', "{}", '{""}'),
    "float8[]": ("{0}", "{-0}"),
    "inet": ("10.0.0.1", "10.0.0.1/24", "::1"),
    "cidr": ("10.0.0.0/24", "10.0.0.0/25"),
    "macaddr": ("08:00:2b:01:02:03", "08:00:2b:01:02:04"),
    "point": ("(0,0)", "(-0,0)", "(1,2)"),
    "tsvector": ("'a':1", "'a'"),
    "money": ("$1.00", "-$1.00"),
    "bit(3)": ("101", "100"),
    "varbit": ("10", "100"),
    "int4range": ("[1,2)", "[1,3)", "empty"),
    '"char"': ("a", "b"),
    "name": ("a", "b"),
    "oid": ("1", "4294967295"),
    "pg_lsn": ("0/1", "1/0"),
    "mood": ("sad", "glad"),
    "amount": ('(1.0,a)', '(1.00,a)', '(,)', '(1.0,)'),
    "address": ("a@b", "b@b"),
    "small": ("1", "2"),
}  # fmt: skip
"""By type, values as COPY writes them; many are equal to another one, or have the same hash, and print differently."""
DEFINED = """
create type mood as enum ('sad', 'glad'); create type amount as (n numeric, c text);
create domain address as text check (value like '%@%'); create domain small as int4 check (value > 0);
"""
KEYS: Sequence[Sequence[str]] = (
    (), (), ("int4",), ("int8",), ("int2",), ("text",), ("uuid",), ("numeric",), ("timestamptz",), ("date",),
    ("int4", "text"), ("varchar(20)", "int8"), ("char(5)",), ("bytea",), ("float8",), ("bool", "int4"), ("address",),
    ("mood", "int8"), ("interval",),
)  # fmt: skip
Row = list[str | None]


@dataclass
class RandomTable:
    """One table as SQL and its rows as COPY writes them."""

    name: str
    columns: list[tuple[str, str]]
    key: list[str]
    unique_only: bool
    partitioned: bool
    rows: list[Row] = field(default_factory=list)

    def ddl(self, *, partitioned: bool) -> str:
        """`create table`, with hash partitions or without."""
        columns = ", ".join(f'"{name}" {kind}' for name, kind in self.columns)
        names = ", ".join(f'"{name}"' for name in self.key)
        if self.key and not self.unique_only:
            columns += f", primary key ({names})"
        elif self.key:
            columns += f", unique ({names})"
        if not partitioned:
            return f'create table "{self.name}" ({columns});'
        parts = "".join(
            f'create table "{self.name}_{i}" partition of "{self.name}" for values with (modulus 3, remainder {i});'
            for i in range(3)
        )
        return f'create table "{self.name}" ({columns}) partition by hash ("{self.key[0]}"); {parts}'


def random_table(random: Random, name: str) -> RandomTable:
    """A table of 1 to 9 columns besides its key, and 0 to 120 rows."""
    key_types = random.choice(KEYS)
    columns = [(f'K{at} "q', kind) for at, kind in enumerate(key_types)]
    key = [column.replace('"', '""') for column, _ in columns]
    kinds = random.choices(list(TYPES), k=random.randint(1, 9))
    columns = [(column.replace('"', '""'), kind) for column, kind in columns]
    columns += [(f"c{at}", kind) for at, kind in enumerate(kinds)]
    hashable = bool(key_types) and key_types[0] in ("int4", "int8", "int2", "text", "uuid")
    table = RandomTable(name, columns, key, random.random() < 0.2, hashable and random.random() < 0.3)
    for number in range(random.choice((0, 1, 7, 40, 120))):
        table.rows.append(random_row(random, table, number))
    return table


def random_row(random: Random, table: RandomTable, number: int) -> Row:
    """A row with a key that no other number has, unless the type has too few values."""
    row: Row = []
    for at, (_, kind) in enumerate(table.columns):
        if at < len(table.key):
            row.append(_key_value(kind, number))
        else:
            row.append(None if random.random() < 0.2 else random.choice(TYPES[kind]))
    return row


def _key_value(kind: str, number: int) -> str:
    made = {
        "int2": str(number - 7), "int4": str(number * 1000 - 9), "int8": str(number * 4294967296 + 1),
        "text": f"ä{number % 7}-{number}", "uuid": f"a0eebc99-9c0b-4ef8-bb6d-{number:012d}", "numeric": f"{number}.50",
        "timestamptz": f"2000-01-01 00:00:00.{number:06d}+00", "date": f"{2000 + number}-01-01",
        "varchar(20)": f"v{number % 5}", "char(5)": f"c{number}", "bytea": f"\\\\x{number:06x}",
        "float8": f"{number}.25", "bool": "true" if number % 2 else "false", "address": f"{number}@b",
        "mood": "sad" if number % 2 else "glad", "interval": f"{number + 1} days",
    }  # fmt: skip
    return made[kind]


def edited(random: Random, table: RandomTable) -> list[Row]:
    """Some of: a changed value, two values that change places between rows or columns, a row less, a row more."""
    rows = [list(row) for row in table.rows]
    first = len(table.key)
    for turn in range(random.choice((0, 1, 1, 2, 5, 20))):
        what = random.choice(("change", "change", "change", "swap", "delete", "insert", "twice"))
        if what == "insert" or not rows:
            rows.append(random_row(random, table, 1000 + turn))
        elif what == "delete":
            rows.pop(random.randrange(len(rows)))
        elif what == "twice" and not table.key:
            rows.append(list(random.choice(rows)))
        elif what == "swap" and len(rows) > 1:
            one, two = random.sample(range(len(rows)), 2)
            at = random.randrange(first, len(table.columns))
            rows[one][at], rows[two][at] = rows[two][at], rows[one][at]
        else:
            at = random.randrange(first, len(table.columns))
            values = [*TYPES[table.columns[at][1]], None]
            rows[random.randrange(len(rows))][at] = random.choice(values)
    return rows


def copied(rows: Sequence[Row]) -> str:
    """Rows as COPY reads them."""
    return "".join("\t".join("\\N" if value is None else value for value in row) + "\n" for row in rows)
