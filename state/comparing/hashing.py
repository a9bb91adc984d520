"""The hash of a row, as an expression that a server evaluates.

Every column is hashed with the hash of the columns before as its seed, so that values which change places, between
columns or between rows, change the sum. A NULL is hashed as a constant; a number with a bit for each is the first seed.

PostgreSQL's own hash functions follow `=`, so what they hash alike though it prints differently is told apart here:
- `hashint8extended` folds to 32 bits (1 and 4294967296): the high word changes the seed too.
- `hash_numeric_extended` leaves out sign, scale, and what NaN and the infinities are: numeric is hashed as text.
- time stamps fold too: seconds since 2000 as float8, exact to the microsecond from 1900 to 2100; the others add
  theirs. `tsrange_subdiff` gives these seconds; `date_part` reads the word `epoch` again for each row.
- -0.0 and 0.0, arrays with other bounds, intervals, json: as text, or with a bit of their own.
- text is hashed by its bytes (collation C), whatever the collation of the column.

What a column adds to its seed is in the bits from 32 on: of the first column the seed is the bits of NULLs, which are
below, and a value must not look like the NULL of a column.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from state.comparing.shapes import TableColumn, quoted

BITS = 30
"""Bits in one number of flags."""
NEAR = "between timestamp {zone}'1900-01-01' and timestamp {zone}'2100-01-01'"
HIGH = 1 << 32
"""Bits from here on are added to seeds."""

CAST_APART = ("bpchar", "bool", "inet")
"""Built-in types whose cast to text is not what is printed: without blanks at the end, `true`, `/32`."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How both servers can be asked: `portable` where their hash functions give different values, `recoded` where
    they store text in different encodings."""

    portable: bool = False
    recoded: bool = False


def as_text(column: TableColumn, dialect: Dialect = Dialect(), *, of: str = "") -> str:
    """A column as the text that the server prints, blanks at the end of `char` included."""
    value = of or quoted(column.name)
    plain = f"{value}::text" if column.base and column.base not in CAST_APART else f"format('%s', {value})"
    return f"encode(convert_to({plain}, 'UTF8'), 'hex')" if dialect.recoded else plain


def _integer(size: int) -> Callable[[str, str], str]:
    return lambda value, seed: f"hashint{size}extended(coalesce({value}, 0::int{size}), {seed})"


def _int8(value: str, seed: str) -> str:
    filled = f"coalesce({value}, 0::int8)"
    return f"hashint8extended({filled}, ({seed}) # ({filled} & {-HIGH}))"


def _bool(value: str, seed: str) -> str:
    return f"hashint4extended(coalesce({value}, false)::int4, {seed})"


def _float(value: str, seed: str) -> str:
    """The hash of zero is its seed: the bit of -0 is hashed, or two rows that change zeros had one sum."""
    zero = f"case when {value} = 0 and {value}::text = '-0' then 1 else 0 end"
    return f"hashint4extended({zero}, hashfloat8extended(coalesce({value}, 0)::float8, {seed}))"


def _time(value: str, seed: str) -> str:
    return f"hashfloat8extended(coalesce(date_part('epoch', {value}), 0), {seed})"


def _stamp(zone: str, subdiff: str) -> Callable[[str, str], str]:
    near = NEAR.format(zone=zone)

    def expression(value: str, seed: str) -> str:
        more = f"coalesce(date_part('microseconds', {value})::int8, 0) * {HIGH}"
        far = f"case when {value} {near} then 0 else {more} end"
        seconds = f"coalesce({subdiff}({value}, timestamp {zone}'2000-01-01'), 0)"
        return f"hashfloat8extended({seconds}, ({seed}) # {far})"

    return expression


def _uuid(value: str, seed: str) -> str:
    return f"uuid_hash_extended(coalesce({value}, '00000000-0000-0000-0000-000000000000'::uuid), {seed})"


def _bytes(value: str, seed: str) -> str:
    return f"hash_record_extended(row(coalesce({value}, ''::bytea)), {seed})"


def _text(value: str, seed: str) -> str:
    return f"hashtextextended(coalesce({value}, '') collate \"C\", {seed})"


FAST: Mapping[str, Callable[[str, str], str]] = {
    "int2": _integer(2),
    "int4": _integer(4),
    "int8": _int8,
    "bool": _bool,
    "float4": _float,
    "float8": _float,
    "time": _time,
    "timestamp": _stamp("", "tsrange_subdiff"),
    "timestamptz": _stamp("with time zone ", "tstzrange_subdiff"),
    "uuid": _uuid,
    "bytea": _bytes,
}
"""How a value of a built-in type is hashed with a seed; all others are hashed as their text."""


KEEPING = ("time", "timestamp", "timestamptz")
"""Where all columns are of these types, bits of NULLs would be summed as they are: a zero has its seed as its hash."""


def column_hash(column: TableColumn, seed: str, dialect: Dialect, *, alike: bool = True) -> str:
    """One column, NULL as a constant. As text where the two sides have different types."""
    fast = FAST.get(column.base) if alike else None
    name = quoted(column.name)
    if fast is not None:
        return fast(f"{name}::{column.base}" if column.domain else name, seed)
    if alike and column.base in ("text", "varchar") and not dialect.recoded:
        return _text(f"{name}::text" if column.domain else name, seed)
    return _text(as_text(column, dialect), seed)


def row_hash(columns: Sequence[TableColumn], alike: Collection[str], dialect: Dialect) -> str:
    """All columns in 64 bits. The bits of NULLs are the first seed."""
    if dialect.portable:
        return _digest_of_text(columns, dialect)
    nullable = [each for each in columns if not each.filled]
    expression = f"({_null_bits(nullable[:BITS])})::int8" if nullable else "0::int8"
    if all(column.base in KEEPING for column in columns):
        expression = f"hashint8extended({expression}, 0)"
    for start in range(BITS, len(nullable), BITS):
        expression = f"hashint4extended({_null_bits(nullable[start : start + BITS])}, {expression})"
    for column in columns:
        expression = column_hash(column, expression, dialect, alike=column.name in alike)
    return expression


def _null_bits(columns: Sequence[TableColumn]) -> str:
    """One number; rows without a NULL are the most, so they are asked for all columns at once first."""
    bits = " + ".join(f"case when {is_null(column)} then {1 << bit} else 0 end" for bit, column in enumerate(columns))
    return f"case when num_nulls({', '.join(quoted(column.name) for column in columns)}) > 0 then {bits} else 0 end"


def is_null(column: TableColumn) -> str:
    """A composite value whose fields are all NULL is no NULL: it prints `(,)`. `IS NULL` says yes to both."""
    name = quoted(column.name)
    return f"{name} is null" if column.base else f"{name} is not distinct from null"


def _digest_of_text(columns: Sequence[TableColumn], dialect: Dialect) -> str:
    """For servers whose hash functions differ: slower, and the same everywhere."""
    parts = [f"coalesce(md5({as_text(column, dialect)}), '-')" for column in columns]
    whole = " || ".join(["''", *parts])
    return f"('x' || left(md5({whole}), 16))::bit(64)::int8"


SELF_TEST = """
select array[
  hashint2extended(-7::int2, 1), hashint4extended(-7, 0), hashint4extended(7, -1), hashint8extended(4294967297, 5),
  hashint8extended(-4294967297, 5), hashfloat8extended(0.1::float8, 9), hashfloat8extended('NaN'::float8, 9),
  hashfloat8extended(tsrange_subdiff('2026-11-27 12:00:00.000001', '2000-01-01'), 9),
  hashfloat8extended(tstzrange_subdiff('-infinity', '2000-01-01 00:00:00+00'), 9),
  hashfloat8extended('-Infinity'::float8, 9), hashtextextended('' collate "C", 3),
  hashtextextended('abcdefghijklmnopqrstuvwxyz' collate "C", 3), uuid_hash_extended(
  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, 4), hash_record_extended(row('\\x00ff10'::bytea), 8)]
"""
"""The functions on values of each kind: two servers must answer alike, or what they hash cannot be compared."""
