"""The age of a value as text and cells; `Age` decides what is shown."""

from __future__ import annotations

from rich.text import Text

from console.tui.glyphs import STALE, UNKNOWN, Glyphs
from console.tui.store import Age
from console.tui.text import cell, joined, state_text
from state.health import Health
from state.units import ago, clock, utc

NOTHING = cell("?", UNKNOWN)
"""Not known."""


def age_words(age: Age, wall: float) -> str:
    """Nothing while fresh, `~ 12 s` past its limit, far past it `no data since 07:03:12Z`. `wall` is seconds since
    1970, now."""
    if age.lost:
        return lost_words(age.seconds or 0.0)
    if age.fresh:
        return ""
    if age.seconds is None:
        return "no data yet"
    return f"no data {since(age, wall)}" if age.withheld else f"~ {ago(age.seconds)}"


def lost_words(seconds: float) -> str:
    """`engine lost 00:12`."""
    return f"engine lost {clock(seconds)}"


def since(age: Age, wall: float) -> str:
    """`since 07:03:12Z`, or `yet` for what was never read."""
    return "yet" if age.seconds is None else f"since {utc(wall - age.seconds)}"


def age_text(age: Age, wall: float) -> Text:
    """The same as a cell."""
    return cell(age_words(age, wall), UNKNOWN if age.withheld else STALE if not age.fresh else "")


def unless_withheld(age: Age, value: Text) -> Text:
    """A value of that age; one that is far too old is not shown."""
    return NOTHING if age.withheld else value


def with_age(age: Age, value: Text | str, wall: float, separator: str = "; ") -> Text:
    """A value after the mark of its age; for a value that is far too old only the mark, and why there is none."""
    if age.withheld:
        why = "" if age.lost or not age.why else f" ({age.why})"
        return joined(age_text(age, wall), (why, UNKNOWN))
    return joined(value) if age.fresh else joined(age_text(age, wall), value, separator=separator)


def judged_mark(health: Health, glyphs: Glyphs, age: Age) -> Text:
    """Glyph and word of a verdict on several sources, the oldest of that age: it says by itself what is missing, but
    an old pass is not a pass."""
    if age.lost:
        return state_text(Health.UNKNOWN.value, glyphs)
    if not age.fresh and health is Health.PASS:
        return state_text("stale", glyphs)
    return state_text(health.value, glyphs)


def health_mark(health: Health, glyphs: Glyphs, age: Age) -> Text:
    """Glyph and word of a verdict on one source. What is too old to be shown is unknown."""
    return judged_mark(Health.UNKNOWN if age.withheld else health, glyphs, age)
