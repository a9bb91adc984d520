"""The sentence under the tabs: the worst thing that is wrong, since when, what happens by itself, the key that leads
out. And the list of all of them."""

from __future__ import annotations

from dataclasses import replace
from textwrap import wrap

from rich.text import Text

from console.tui.actions.everywhere import CAUSES
from console.tui.glyphs import FAIL, KEY, MUTED, UNKNOWN, WARN, Glyphs
from console.tui.parts.ages import lost_words
from console.tui.parts.facts import Heading, Row, fact
from console.tui.store import LinkState, Store
from console.tui.text import cell, joined, state_text
from state.api.views.causes import Cause, NextStep
from state.api.views.header import HeaderView
from state.health import Health
from state.text import cells

BY_HAND = "by hand"
START_ENGINE = "recovery engine start"
LOUD = {Health.FAIL: "bold red reverse", Health.UNKNOWN: "bold magenta reverse", Health.WARN: "bold yellow"}
CAUTION_LINE = "bold yellow reverse"
OVERVIEW = "overview"
LEAST = 20
"""Cells of a line of the sentence at least, however narrow the terminal is."""


def sentence_lines(store: Store, glyphs: Glyphs, width: int, screen: str = "") -> list[Text]:
    """The line of the worst cause, and why effects are refused; nothing while nothing is wrong. `screen` is the topic
    of the screen it stands on."""
    if store.link.state is LinkState.LOST:
        message = f" ? {lost_words(store.link_age).upper()}: nothing here is known."
        return [_bar(f"{message} {store.link.reason}", f"type: {START_ENGINE}", LOUD[Health.UNKNOWN], width)]
    view = store.view(HeaderView)
    if view is None:
        return []
    lines = _cause(view.causes, store, glyphs, width, screen) if view.causes else []
    if view.effects:
        lines.append(_bar(f" EFFECTS REFUSED: {view.effects}", "", CAUTION_LINE, width))
    return lines


def _cause(causes: tuple[Cause, ...], store: Store, glyphs: Glyphs, width: int, screen: str) -> list[Text]:
    """The worst cause; on the overview with the key of its next step. What one line cannot hold takes a second one."""
    worst, more = causes[0], len(causes) - 1
    step = worst.next if screen == OVERVIEW else None
    others = f"{CAUSES} +{more} more" if more else "" if step is not None else f"{CAUSES} all of it"
    if step is not None:
        ends = [f"{step.key} {step.title}  {others}", f"{step.key}  {others}"]
    else:
        ends = [others, f"{CAUSES} +{more}" if more else CAUSES]
    sign = state_text(worst.health.value, glyphs, word=False).plain
    brief = replace(worst, forecast=None)
    texts = [f" {sign} {each.sentence(store.beaten)}" for each in (worst, brief)]
    style = LOUD[worst.health]
    for text in texts:
        for end in ends:
            if cells(text) + 2 + cells(end) < width:
                return [_bar(text, end, style, width)]
    first, *rest = wrap(texts[-1].strip(), max(LEAST, width - 3))
    under = " " * (cells(sign) + 2) + " ".join(rest)
    end = next((each for each in ends if cells(under) + 2 + cells(each) < width), ends[-1])
    return [_bar(f" {first}", "", style, width), _bar(under, end, style, width)]


def _bar(text: str, end: str, style: str, width: int) -> Text:
    """A line over the whole width: a text, cut where it leaves no room for its end."""
    line = cell(text, style)
    line.truncate(max(8, width - cells(end) - 2), overflow="ellipsis")
    line.append(" " * max(1, width - line.cell_len - cells(end) - 1), style)
    line.append(f"{end} ", style)
    line.truncate(width)
    return line


def cause_rows(store: Store, glyphs: Glyphs) -> list[Row]:
    """Every cause with those who wait for it, what happens by itself, and the whole next step."""
    view = store.view(HeaderView)
    if store.link.state is LinkState.LOST:
        return [cell(f"{lost_words(store.link_age)}: nothing is known now.", UNKNOWN), fact("type", START_ENGINE)]
    if view is None:
        return [cell("the engine has not told anything yet", MUTED)]
    if not view.causes:
        return [cell("Nothing is wrong that the readings show.", MUTED)]
    rows: list[Row] = []
    for cause in view.causes:
        rows += [*([cell("")] if rows else []), *one_cause(cause, store, glyphs)]
    return rows


def step_text(step: NextStep, *, place: str = "") -> Text:
    """The key of a step with what it is: its short title only where the message does not begin by saying the same."""
    message, title = step.message.casefold(), step.title.casefold()
    told = message.startswith(title) or (message.startswith(BY_HAND) and title.endswith(BY_HAND))
    said = step.message if told else f"{step.title}: {step.message}"
    return joined((step.key, KEY), f"{place}{':' if place else ''} {said}")


def says_more(cause: Cause) -> bool:
    """Whether its detail has more than its sentence."""
    return cause.detail not in {cause.what, f"{cause.name}: {cause.what}"}


def one_cause(cause: Cause, store: Store, glyphs: Glyphs) -> list[Row]:
    """One cause in full."""
    style = {Health.FAIL: FAIL, Health.WARN: WARN, Health.UNKNOWN: UNKNOWN}.get(cause.health, "")
    sentence = replace(cause, forecast=None).sentence(store.beaten)
    title = joined(state_text(cause.health.value, glyphs, word=False), (f" {sentence}", style))
    rows: list[Row] = [Heading(title, glyphs.rule)]
    label = "waits" if cause.waited_for else "concerns"
    rows += [fact(label if not place else "", f"{v.name}: {v.why}") for place, v in enumerate(cause.victims)]
    if cause.forecast is not None:
        rows.append(fact("by itself", cause.forecast.text(store.beaten)))
    if cause.next is not None:
        rows.append(fact("next", step_text(cause.next, place=" on Overview")))
    if says_more(cause):
        rows.append(fact("detail", cause.detail))
    return rows
