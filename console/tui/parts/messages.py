"""Small pieces of text the screens share."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from console.tui.glyphs import FAIL, MUTED, UNKNOWN
from console.tui.parts.ages import NOTHING, age_text
from console.tui.parts.facts import LabelledText, fact
from console.tui.store import Age, Store
from console.tui.text import cell, joined
from state.health import Health
from state.units import least, megabytes, millis, percent

NO_MEANING = cell("-", MUTED)
"""There is no such value here."""


def severity(health: Health) -> float:
    """Where a verdict stands when rows are sorted by it: what fails first, what is not known before what works."""
    return {Health.FAIL: 0.0, Health.UNKNOWN: 1.0, Health.WARN: 2.0, Health.PASS: 3.0}[health]


def shown_severity(health: Health, age: Age) -> float:
    """The same for a verdict from readings of that age, as it is shown: what is too old is not known."""
    return severity(Health.UNKNOWN if age.withheld else health)


def row_says(row: Any) -> str:
    """The state of any row of a view, and its reason, as far as it has them."""
    state = getattr(row, "health", None) or getattr(row, "state", "")
    reasons = (getattr(row, name, "") for name in ("message", "summary", "title"))
    told = (str(getattr(state, "value", state)), next((str(each) for each in reasons if each), ""))
    return ": ".join(part for part in told if part)


def number(value: float | None, shown: str, over: bool = False) -> Text:
    """A figure; unknown is `?`, never 0."""
    return NOTHING if value is None else cell(shown, FAIL if over else "")


def ratio(value: float | None, limit: float) -> Text:
    """A share, marked above its limit."""
    return NOTHING if value is None else number(value, percent(value), value > limit)


def latency(value: float | None, limit: float | None, *, beyond: bool) -> Text:
    """Milliseconds, marked above their limit; `beyond`: at least so many, so marked at the limit too."""
    if value is None:
        return NOTHING
    over = limit is not None and (value >= limit if beyond else value > limit)
    return number(value, least(millis(value), beyond=beyond), over)


def size(value: int | None) -> Text:
    """Bytes."""
    return NOTHING if value is None else cell(megabytes(value))


def sources_fact(store: Store, sources: tuple[str, ...]) -> LabelledText:
    """Each source with its age, and the error of its last read when that failed."""
    parts: list[Text] = []
    for source in sources:
        age = store.age(source)
        note = cell("fresh", MUTED) if age.fresh else age_text(age, store.wall)
        row = store.sources.get(source)
        trouble = f" ({row.trouble}: {row.message})" if row is not None and row.trouble else ""
        parts.append(joined(f"{source} ", note, (trouble, UNKNOWN)))
    return fact("source", joined(*parts, separator=", ") if parts else cell("none", MUTED))
