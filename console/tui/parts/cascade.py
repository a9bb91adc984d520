"""Which service is impaired because of what, and what its recovery would unblock."""

from __future__ import annotations

from rich.text import Text

from console.tui.glyphs import MUTED, Glyphs
from console.tui.parts.facts import Row, fact
from console.tui.text import cell, joined, state_text
from state.api.views.overview import OverviewView, ServiceRow
from state.health import Health

DEEPEST = 6


def health_of(name: str, view: OverviewView) -> Health | None:
    """The verdict on a service or database; None when it is not judged."""
    kind = "service" if name in view.services else "database"
    row = view.recover.get(f"{kind}/{name}")
    return row.health if row is not None else None


def dependents(name: str, view: OverviewView) -> list[str]:
    """The services that need it, directly or through others, nearest first."""
    found: list[str] = []
    layer = [name]
    while layer:
        layer = [
            row.name
            for row in view.services.values()
            if row.name not in found and row.name != name and not set(layer).isdisjoint(row.depends_on)
        ]
        found += layer
    return found


def cascade_rows(row: ServiceRow, view: OverviewView, glyphs: Glyphs) -> list[Row]:
    """`needs` with the state of each dependency, indented by distance, and `unblocks`."""
    told: list[Row] = []
    for depth, name in _beneath(row.name, view):
        health = health_of(name, view)
        sign = state_text(health.value, glyphs) if health is not None else cell("not judged", MUTED)
        why = f"  {view.services[name].message}" if name in view.services and health is not Health.PASS else ""
        message: Text = joined("  " * depth, sign, (f"  {name}", "bold"), why)
        told.append(fact("needs" if not told else "", message))
    if not told:
        told.append(fact("needs", "the estate names nothing (depends_on)"))
    above = dependents(row.name, view)
    waiting = [f"{name} ({view.services[name].health.value})" for name in above]
    told.append(fact("unblocks", ", ".join(waiting) or "nothing: no service names it"))
    return told


def _beneath(name: str, view: OverviewView) -> list[tuple[int, str]]:
    """What a service needs, and what that needs, in depth-first order; each once."""
    found: list[tuple[int, str]] = []
    seen = {name}

    def walk(one: str, depth: int) -> None:
        for need in view.services[one].depends_on if one in view.services else ():
            if need not in seen and depth < DEEPEST:
                seen.add(need)
                found.append((depth, need))
                walk(need, depth + 1)

    walk(name, 0)
    return found
