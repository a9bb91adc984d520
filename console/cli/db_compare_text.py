"""The report of a comparison for people."""

from __future__ import annotations

from collections.abc import Iterator

from console.cli.shown import NOTHING, table
from state.comparing.results import Apart, Comparison, Linked, RowApart, SideFacts, TableResult
from state.errors import ExitCode
from state.text import clean
from state.units import counted, short_duration

MEANING = (
    "Equal means: the same rows, each value printed alike (1.0 is not 1.00, NULL is NULL). Indexes are not checked."
)
LINKED = {
    Linked.PHYSICAL: "Linked as primary and standby: a row differs when it still does after replay of its change.",
    Linked.LOGICAL: "Linked by a subscription: a row differs when it still does after its change has been confirmed.",
    Linked.NONE: "No replication between them is known: a row differs when it does twice and neither side changed it.",
}
PORTABLE = (
    "Sums are of md5 of text: it was asked for, or their hash functions differ (other hardware or major version)."
)
WORDS = {ExitCode.DONE: "EQUAL", ExitCode.FAILED: "DIFFERS", ExitCode.UNKNOWN: "UNKNOWN"}


def report(whole: Comparison) -> Iterator[str]:
    """The lines: both sides, what equal means, each table, each row, and the answer last."""
    yield _side("A", whole.a)
    yield _side("B", whole.b)
    yield LINKED[whole.link]
    if whole.portable:
        yield PORTABLE
    yield MEANING
    yield ""
    rows = [_row(each) for each in whole.tables]
    if rows:
        head = ("VERDICT", "TABLE", "KEY", "ROWS A", "ROWS B", "ONLY A", "ONLY B", "CHANGED", "OPEN", "WHY")
        yield from table(head, rows, right=("ROWS A", "ROWS B", "ONLY A", "ONLY B", "CHANGED", "OPEN"))
    for each in whole.tables:
        yield from _details(each)
    if whole.left_out:
        yield ""
        yield f"Left out: {_names(whole.left_out)}"
    yield ""
    yield _answer(whole)


def _side(letter: str, side: SideFacts) -> str:
    role = "standby" if side.in_recovery else "primary"
    return (
        f"{letter}  {clean(side.name)}  database {clean(side.database)}  PostgreSQL {clean(side.version)}  {role}"
        f"  timeline {side.timeline}  system {clean(side.system_id)}"
    )


def _row(each: TableResult) -> list[str]:
    counted_rows = not each.uncompared and not (each.definitions and not each.took)
    return [
        WORDS[each.code],
        clean(each.name),
        clean(", ".join(each.key)) or NOTHING,
        str(each.rows_a) if counted_rows else NOTHING,
        str(each.rows_b) if counted_rows else NOTHING,
        *(str(each.apart.get(how, 0)) if counted_rows else NOTHING for how in Apart),
        str(each.open_rows) if counted_rows else NOTHING,
        clean("; ".join(_why(each))),
    ]


def _why(each: TableResult) -> Iterator[str]:
    if each.uncompared:
        yield f"not compared: {each.uncompared}. {each.way_out}".rstrip(". ")
    yield from each.definitions
    if each.open_rows:
        yield f"{counted(each.open_rows, 'row')} of which nothing can be said: {each.why_open}"


def _details(each: TableResult) -> Iterator[str]:
    """The rows that are listed, and how many are not."""
    if not (each.listed or each.open_keys):
        return
    yield ""
    yield clean(each.name)
    for row in each.listed:
        yield f"  {row.how.value:<9}  {_told(each, row)}"
    for key in each.open_keys:
        yield f"  {'open':<9}  {_key(each, key)}"
    listed = sum(1 if each.key else abs(row.count_a - row.count_b) for row in each.listed)
    if each.differences > listed:
        yield f"  and {counted(each.differences - listed, 'more difference')}: --list with a higher number, or --repair"


def _told(each: TableResult, row: RowApart) -> str:
    if not each.key:
        return f"{_key(each, row.key)} ({row.count_a} times on A, {row.count_b} on B)"
    changed = f": {clean(', '.join(row.columns))}" if row.columns else ""
    damaged = max(row.count_a, row.count_b) > 1
    return f"{_key(each, row.key)}{changed}" + (
        " (more than one row of this key: an index is damaged)" if damaged else ""
    )


def _key(each: TableResult, key: tuple[str, ...]) -> str:
    if not each.key:
        return clean(f"row {' '.join(key[1:])}", 120)
    return clean(", ".join(f"{name} = {value}" for name, value in zip(each.key, key, strict=True)), 240)


def _names(names: object) -> str:
    listed = sorted(clean(str(each)) for each in names) if isinstance(names, list | tuple) else []
    more = f" and {len(listed) - 20} more" if len(listed) > 20 else ""
    return ", ".join(listed[:20]) + more


def _answer(whole: Comparison) -> str:
    if not whole.tables:
        other = f" Other databases there: {_names(list(whole.others))}." if whole.others else ""
        return f"UNKNOWN: nothing was compared, database {clean(whole.a.database)} has no tables.{other}"
    differences = sum(each.differences for each in whole.tables)
    apart = [each for each in whole.tables if each.code is ExitCode.FAILED]
    unknown = [each for each in whole.tables if each.uncompared or each.open_rows]
    took = f"in {short_duration(whole.took)}" if whole.took >= 1 else "in less than a second"
    rows = sum(max(each.rows_a, each.rows_b) for each in whole.tables)
    parts = []
    if apart:
        definitions = sum(bool(each.definitions) for each in apart)
        parts.append(f"DIFFERS: {counted(differences, 'row')} in {counted(len(apart), 'table')}")
        parts += [f"{counted(definitions, 'definition')} among them"] if definitions else []
    if unknown:
        parts.append(f"UNKNOWN: {counted(len(unknown), 'table')} not or not wholly compared")
    if not parts:
        parts.append(f"EQUAL: {counted(len(whole.tables), 'table')}, {counted(rows, 'row')}")
    return "; ".join(parts) + f"; compared {took}"
