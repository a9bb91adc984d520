"""The words of a comparison that the engine makes, for screens and verbs alike."""

from __future__ import annotations

from state.api.views.comparisons import CompareOutcome, ComparisonRow
from state.units import counted, short_duration, utc_since

VERDICTS = {
    CompareOutcome.EQUAL: "EQUAL",
    CompareOutcome.DIFFERS: "DIFFERS",
    CompareOutcome.UNKNOWN: "UNKNOWN",
    CompareOutcome.CANCELLED: "cancelled",
    CompareOutcome.FAILED: "FAILED",
    CompareOutcome.INTERRUPTED: "interrupted",
}


def comparison_words(row: ComparisonRow, now: float) -> str:
    """What it found, or how far it is; `now` is the wall clock in seconds."""
    if row.outcome is CompareOutcome.RUNNING:
        return f"comparing {row.a} with {row.b}: {_progress(row)}"
    when = "" if row.ended_at is None else f", at {utc_since(row.ended_at, now)}"
    return f"{row.a} and {row.b}: {VERDICTS[row.outcome]}{when}: {_found(row)}"


def _progress(row: ComparisonRow) -> str:
    left = "time left not known" if row.left is None else f"about {short_duration(round(row.left))} left"
    said = [f"{int(row.share * 100)}%", left]
    said += [f"table {row.table}"] if row.table else []
    said += [f"{counted(row.rows, 'row')} different so far"] if row.rows else []
    return ", ".join(said)


def _found(row: ComparisonRow) -> str:
    said: list[str] = []
    if row.outcome is CompareOutcome.DIFFERS:
        rows = counted(row.rows, "row") if row.rows else "definitions"
        said.append(f"{rows} in {counted(row.tables, 'table')}")
    elif row.outcome is CompareOutcome.EQUAL:
        said.append(counted(row.compared, "table"))
    if row.unknown:
        said.append(f"{counted(row.unknown, 'table')} not or not wholly compared")
    if row.reason:
        said.append(row.reason)
    if row.outcome in (CompareOutcome.DIFFERS, CompareOutcome.UNKNOWN):
        said.append(f"all of it: {report_of(row)}")
    return "; ".join(said) or "no verdict"


def report_of(row: ComparisonRow) -> str:
    """The command that gives the whole report."""
    return f"recovery db compare {row.a} {row.b}"
