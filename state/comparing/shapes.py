"""What a table looks like on one server, and what two servers' tables have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

INTEGERS = ("int2", "int4", "int8")


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column. `type_name` is as the server prints it, `base` the built-in type below its domains, empty for any
    other; `typmod` is -1 without one. `filled` only where the server proves that no NULL is there. `generated` is `s`
    (stored), `v` (virtual) or empty. A `domain` may refuse the constants that stand for NULL: its base is hashed."""

    name: str
    type_name: str
    base: str = ""
    typmod: int = -1
    filled: bool = False
    generated: str = ""
    domain: bool = False


@dataclass(frozen=True, slots=True)
class TableShape:
    """A table. `kind` is that of `pg_class`: `r`, `p` (the root of partitions) or `m`. `keys` are sets of columns that
    tell rows apart and hold no NULL, the primary key first. `rows` and `size` (bytes) are estimates."""

    schema: str
    name: str
    columns: tuple[TableColumn, ...]
    keys: tuple[tuple[str, ...], ...] = ()
    kind: str = "r"
    rows: int = 0
    size: int = 0
    unlogged: bool = False
    readable: bool = True

    @property
    def full_name(self) -> str:
        """`schema.table`, for people."""
        return f"{self.schema}.{self.name}"

    def column(self, name: str) -> TableColumn | None:
        """The column of that name."""
        return next((each for each in self.columns if each.name == name), None)


@dataclass(frozen=True, slots=True)
class Common:
    """What the two tables of one name have in common: `columns` (as on A) with whether both have the same type, the
    key that both prove, empty without one. `apart` says in one line each where the definitions differ."""

    a: TableShape
    b: TableShape
    columns: tuple[TableColumn, ...]
    alike: frozenset[str]
    key: tuple[str, ...]
    apart: tuple[str, ...]

    @property
    def key_columns(self) -> tuple[TableColumn, ...]:
        """The columns of the key, in its order."""
        by_name = {each.name: each for each in self.columns}
        return tuple(by_name[name] for name in self.key)

    @property
    def other_columns(self) -> tuple[TableColumn, ...]:
        """All columns but those of the key."""
        return tuple(each for each in self.columns if each.name not in self.key)

    @property
    def number_key(self) -> str:
        """The key, where it is one whole number on both sides: then ranges of it are compared; else empty."""
        if len(self.key) != 1 or self.key[0] not in self.alike:
            return ""
        return self.key[0] if self.key_columns[0].base in INTEGERS else ""


def in_common(a: TableShape, b: TableShape) -> Common:
    """What can be compared of two tables of one name."""
    apart: list[str] = []
    columns: list[TableColumn] = []
    alike: set[str] = set()
    for mine in a.columns:
        other = b.column(mine.name)
        if other is None:
            apart.append(f"column {mine.name} is only on A")
            continue
        filled = mine.filled and other.filled
        domain = mine.domain or other.domain
        columns.append(TableColumn(mine.name, mine.type_name, mine.base, mine.typmod, filled, mine.generated, domain))
        if (mine.type_name, mine.base, mine.typmod) == (other.type_name, other.base, other.typmod):
            alike.add(mine.name)
        else:
            apart.append(f"column {mine.name} is {mine.type_name} on A and {other.type_name} on B")
        if mine.generated != other.generated:
            apart.append(f"column {mine.name} is {_made(mine)} on A and {_made(other)} on B")
    apart += [f"column {each.name} is only on B" for each in b.columns if a.column(each.name) is None]
    if a.keys[:1] != b.keys[:1]:
        apart.append(f"the key is {_key(a)} on A and {_key(b)} on B")
    return Common(a, b, tuple(columns), frozenset(alike), _common_key(a, b, alike), tuple(apart))


def _common_key(a: TableShape, b: TableShape, alike: set[str]) -> tuple[str, ...]:
    proven = {frozenset(key) for key in b.keys}
    return next((key for key in a.keys if frozenset(key) in proven and alike.issuperset(key)), ())


def _made(column: TableColumn) -> str:
    return {"s": "generated and stored", "v": "generated when it is read"}.get(column.generated, "stored")


def _key(table: TableShape) -> str:
    return f"({', '.join(table.keys[0])})" if table.keys else "missing"


@dataclass(frozen=True, slots=True)
class TableSelection:
    """Which tables: patterns as `public.*` or `orders` (any schema); none given is all. `left_out` wins."""

    patterns: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def takes(self, table: TableShape) -> bool:
        """Whether a table is to be compared."""
        if any(_fits(table, pattern) for pattern in self.left_out):
            return False
        return not self.patterns or any(_fits(table, pattern) for pattern in self.patterns)

    def unmatched(self, tables: Iterable[TableShape]) -> list[str]:
        """The patterns that no table fits: a name with a mistake would be a comparison of nothing."""
        known = list(tables)
        return [each for each in self.patterns if not any(_fits(table, each) for table in known)]


def _fits(table: TableShape, pattern: str) -> bool:
    return fnmatchcase(table.full_name, pattern) or ("." not in pattern and fnmatchcase(table.name, pattern))


def pairs(
    a: Mapping[str, TableShape], b: Mapping[str, TableShape], selection: TableSelection
) -> tuple[list[Common], list[TableShape], list[TableShape]]:
    """The tables that both have, largest last, those of A only, and those of B only."""
    mine = {name: table for name, table in a.items() if selection.takes(table)}
    theirs = {name: table for name, table in b.items() if selection.takes(table)}
    both = [in_common(table, theirs[name]) for name, table in mine.items() if name in theirs]
    both.sort(key=lambda each: (max(each.a.size, each.b.size), each.a.full_name))
    only_a = [table for name, table in mine.items() if name not in theirs]
    return both, only_a, [table for name, table in theirs.items() if name not in mine]


def quoted(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def quoted_all(names: Sequence[str]) -> str:
    """Names in SQL, with commas."""
    return ", ".join(map(quoted, names))
