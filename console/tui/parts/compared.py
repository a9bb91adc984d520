"""What the Replication screen says of comparisons: the one under way, and the last verdict for a while."""

from __future__ import annotations

from rich.text import Text

from console.compare_text import comparison_words
from console.tui.glyphs import FAIL, KEY, MUTED, UNKNOWN
from console.tui.parts.facts import Row, fact
from console.tui.store import Store
from console.tui.text import joined
from state.api.views.comparisons import CompareOutcome, ComparisonRow, ComparisonsView

SHOWN = 600.0
"""Seconds for which the last verdict stands with the clusters; its nodes keep it."""
STYLES = {CompareOutcome.DIFFERS: FAIL, CompareOutcome.EQUAL: "", CompareOutcome.RUNNING: ""}
"""No verdict is green: it is of the time that it names."""


def _rows(store: Store) -> list[ComparisonRow]:
    view = store.view(ComparisonsView)
    return list(view.comparisons.values()) if view is not None else []


def _said(row: ComparisonRow, store: Store) -> tuple[str, str]:
    """Its words and their style. What a comparison does now is not known without the engine."""
    if row.outcome is CompareOutcome.RUNNING and not store.live:
        return f"comparing {row.a} with {row.b}: not known how far, the engine is not connected", UNKNOWN
    return comparison_words(row, store.wall), STYLES.get(row.outcome, UNKNOWN)


def comparison_lines(store: Store) -> list[Text]:
    """The line of the newest one, with the key that ends it; nothing once it is some time ago."""
    rows = _rows(store)
    if not rows:
        return []
    row, now = rows[-1], store.wall
    if row.ended_at is not None and now - row.ended_at > SHOWN:
        return []
    said, style = _said(row, store)
    if row.outcome is not CompareOutcome.RUNNING or not store.live:
        return [joined((f"  {said}", style))]
    return [joined(("  x", KEY), (" cancels  ", MUTED), (said, style))]  # first: the words are cut on narrow terminals


def compared_facts(store: Store, node: str) -> list[Row]:
    """The newest comparison of a node, DATABASE/NODE."""
    mine = [row for row in _rows(store) if node in (row.a, row.b)]
    return [fact("compared", joined(_said(mine[-1], store)))] if mine else []
