"""The header of every screen: the estate, the clocks, the risk, the person, the age of the oldest source."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text

from console.tui.glyphs import FAIL, MUTED, OK, STALE, UNKNOWN, WARN, Glyphs
from console.tui.parts.ages import age_text
from console.tui.parts.approvals import badge_forms
from console.tui.parts.fields import Field, fit_fields
from console.tui.store import LinkState, Store
from console.tui.text import cell, joined, labelled, state_text
from console.tui.theme import banner
from state.api.topics import Topic
from state.api.views.header import DataRisk, HeaderView, ProtectedWindow, RtoClock
from state.health import Health
from state.units import ago, clock, megabytes, utc, utc_date

DECIDING = ("approver", "access-admin")
"""Roles that start nothing and decide about what others start."""
NEARLY = 0.75
"""From this share of an objective on it warns."""


def rto_left(running: RtoClock, store: Store, *, short: bool = False) -> Text:
    """Time left of a running objective, or by how much it is missed: `over by 02:10`, in short `-02:10`."""
    spent = store.spent(running.started_mono)
    if spent > running.target:
        return cell(f"{'-' if short else 'over by '}{clock(spent - running.target)}", FAIL)
    return cell(clock(running.target - spent), WARN if spent >= NEARLY * running.target else "bold")


def rto_line(running: RtoClock, store: Store) -> Text:
    """`11:42 left of 15:00`, or how the objective ended."""
    target = clock(running.target)
    if running.ended_mono is None:
        late = store.spent(running.started_mono) > running.target
        return joined(rto_left(running, store), f" {'' if late else 'left '}of {target}")
    spent = store.spent(running.started_mono, running.ended_mono)
    verdict = ("met in", OK) if spent <= running.target else ("missed:", FAIL)
    return joined(verdict, f" {clock(spent)} of {target}")


def rto_forms(running: RtoClock | None, store: Store) -> tuple[Text, ...]:
    """`RTO 11:42 left of 15:00`, from long to short; nothing when no clock runs or none is known."""
    if running is None or store.link.state is LinkState.LOST:
        return ()
    whole = labelled("RTO", rto_line(running, store))
    if running.ended_mono is not None:
        spent = store.spent(running.started_mono, running.ended_mono)
        return (whole, labelled("RTO", clock(spent), OK if spent <= running.target else FAIL))
    left = rto_left(running, store)
    shorter = joined(("RTO ", MUTED), left, f"/{clock(running.target)}")
    return (whole, shorter, labelled("RTO", left))


def risk_forms(risk: DataRisk | None, store: Store, glyphs: Glyphs) -> tuple[Text, ...]:
    """Data at risk against the RPO; unknown is shown as unknown, never 0."""
    if risk is None:
        return ()
    age = store.oldest(risk.sources)
    sign = state_text(risk.health.value, glyphs, word=False)
    if risk.lost_bytes is None or age.withheld:
        return (
            joined(("risk ", MUTED), ("? unknown", UNKNOWN), f" of {megabytes(risk.target)}"),
            labelled("risk", "?", UNKNOWN),
        )
    style = {Health.FAIL: FAIL, Health.WARN: WARN, Health.UNKNOWN: UNKNOWN}.get(risk.health, "")
    size = megabytes(risk.lost_bytes)
    old = cell("") if age.fresh else joined(" ", age_text(age, store.wall))
    return (
        joined(("risk ", MUTED), (size, style), f" of {megabytes(risk.target)} ", sign, old),
        joined(("risk ", MUTED), (size, style), " ", sign, old),
    )


def window_forms(window: ProtectedWindow | None, unknown: Sequence[str] = ()) -> tuple[Text, ...]:
    """The protected window that is open, in short with its end; else that it is unknown whether one is; else the next
    one with its begin. Times in UTC."""
    if unknown and (window is None or not window.open):
        return (cell(f"PROTECTED? {', '.join(unknown)} unknown", UNKNOWN), cell("PROTECTED?", UNKNOWN))
    if window is None:
        return ()
    if window.open:
        end = f"until {utc(window.end)[:5]}Z"
        return (
            *([cell(f"PROTECTED {window.title}, {window.local}{window.source}", WARN)] if window.file else []),
            cell(f"PROTECTED {window.title}, {window.local}", WARN),
            cell(f"PROTECTED {window.title} {end}", WARN),
            cell(f"PROTECTED {end}", WARN),
        )
    begin = utc_date(window.start)[5:16] + "Z"
    return (
        *([joined(("next window ", MUTED), f"{window.title}, {window.local}{window.source}")] if window.file else []),
        joined(("next window ", MUTED), f"{window.title}, {window.local}"),
        joined(("next window ", MUTED), f"{window.title} {begin}"),
        joined(("window ", MUTED), begin),
    )


def who(store: Store) -> tuple[Text, ...]:
    """Who the engine says you are."""
    hello = store.hello
    if hello is None:
        return ()
    if store.observer:
        decides = [role for role in hello.roles if role in DECIDING]
        if decides:
            return (cell(f"{hello.person} {'+'.join(decides)}"), cell(hello.person))
        return (cell(f"{hello.person or 'unknown person'} OBSERVER", WARN), cell("OBSERVER", WARN))
    roles = "+".join(hello.roles)
    return (cell(f"{hello.person} {roles}"), cell(hello.person))


def oldest(store: Store) -> tuple[Text, ...]:
    """The source furthest past its limit, with its age."""
    found = store.oldest_source()
    if store.link.state is LinkState.LOST:
        return (cell("~ every source: engine lost", UNKNOWN), cell("~ engine lost", UNKNOWN))
    if found is None:
        return ()
    name, age = found
    if age.fresh:
        return (cell("all sources fresh", MUTED), cell(""))
    message = "never read" if age.seconds is None else f"{ago(age.seconds)} old"
    style = UNKNOWN if age.withheld else STALE
    why = f" ({age.why.partition(':')[0]})" if age.why else ""
    return (cell(f"~ {name} {message}{why}", style), cell(f"~ {message}{why}", style), cell(f"~ {message}", style))


def header_line(store: Store, glyphs: Glyphs, width: int) -> Text:
    """The first line. It cannot be hidden, and the environment in it is never left out."""
    view, hello = store.view(HeaderView), store.hello
    environment = view.environment if view else hello.environment if hello else ""
    word, style = banner(environment or "unknown", drill=environment == "drill")
    fields = [Field(0, (Text(word, style, end=""),)), Field(0, (cell(utc(store.wall)),), right=True)]
    estate = view.estate if view else hello.estate if hello else ""
    if estate:
        fields.append(Field(6, (cell(estate, "bold"),)))
    if view is not None:
        fields.append(Field(1, rto_forms(view.rto, store)))
        fields.append(Field(2, risk_forms(view.risk, store, glyphs)))
        if view.window is not None or view.windows_unknown:
            fields.append(Field(3, window_forms(view.window, view.windows_unknown)))
        if badge := badge_forms(store):
            fields.append(Field(1, badge))
        if view.running and store.link.state is not LinkState.LOST:
            count = len(view.running)
            short = cell(f"{count} run" + ("s" if count > 1 else ""))
            fields.append(Field(4, (labelled("runs", " ".join(view.running)), short) if count < 4 else (short,)))
    return fit_fields(fields, width)


SHORT = 4
"""Letters of a screen's name where the whole ones do not fit."""


def tabs_line(store: Store, tabs: Sequence[Topic], here: str, width: int) -> Text:
    """The second line: the screens by digit; at the right who you are and the oldest source."""
    forms = tuple(_tab_row(tabs, words, here) for words in _tab_words(tabs, here))
    return fit_fields([Field(1, forms), Field(3, oldest(store), right=True), Field(2, who(store), right=True)], width)


def _tab_words(tabs: Sequence[Topic], here: str) -> Iterable[list[str]]:
    """What each tab says, from the widest form of the row to the narrowest; the one of this screen is always whole."""
    yield [f" {tab.digit} {tab.title} " for tab in tabs]
    yield [f" {tab.digit} {tab.title if tab.name == here else tab.title[:SHORT]} " for tab in tabs]
    yield [f" {tab.digit} {tab.title} " if tab.name == here else f" {tab.digit} " for tab in tabs]


def _tab_row(tabs: Sequence[Topic], words: Sequence[str], here: str) -> Text:
    row = Text(end="", no_wrap=True)
    for tab, word in zip(tabs, words, strict=True):
        row.append(word, "bold reverse" if tab.name == here else MUTED)
    return row


def tab_at(store: Store, tabs: Sequence[Topic], here: str, width: int, x: int) -> str:
    """The topic whose tab stands at a column of the second line; empty beside the tabs."""
    line, end = tabs_line(store, tabs, here, width).plain, 0
    words = next((words for words in _tab_words(tabs, here) if line.startswith("".join(words))), [])
    for tab, word in zip(tabs, words, strict=False):
        end += len(word)
        if end - len(word) <= x < end:
            return tab.name
    return ""
