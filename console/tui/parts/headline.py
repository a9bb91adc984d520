"""How everything is in one line, by the age of what is shown below it: the engine's own word may be older."""

from __future__ import annotations

from console.tui.glyphs import FAIL, OK, UNKNOWN, WARN
from console.tui.parts.ages import lost_words
from console.tui.store import Store
from state.api.views.overview import OverviewView
from state.health import Health

STYLES = {Health.FAIL: FAIL, Health.UNKNOWN: UNKNOWN, Health.WARN: WARN, Health.PASS: OK}


def old_rows(store: Store, view: OverviewView) -> int:
    """How many services and databases pass by readings that are past their limit by now."""
    rows = view.recover.values()
    return sum(row.health is Health.PASS and not store.oldest(row.sources).fresh for row in rows)


def alerts_are_old(store: Store) -> bool:
    """Whether all alerts were read too long ago to say that none fires; of a part of them the engine tells."""
    ages = [store.age(key) for key in store.sources if key.startswith("alerts:")]
    return bool(ages) and not any(age.fresh for age in ages)


def headline(store: Store, view: OverviewView) -> tuple[str, str]:
    """The summary of the engine with its style, unless it is lost or something below is old."""
    if store.oldest(()).lost:
        return lost_words(store.link_age), UNKNOWN
    old = old_rows(store, view)
    if old and view.health is Health.PASS:
        return f"{old} old of {len(view.recover)}", UNKNOWN
    return (f"{view.summary}, {old} old" if old else view.summary), STYLES[view.health]
