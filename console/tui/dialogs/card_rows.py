"""The style of a consequence card. Its text and order are in `console.card_text`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from console.card_pieces import TOLD, CardMark, Part
from console.card_text import CardLine, Section, card_sections
from console.tui.glyphs import FAIL, MUTED, TITLE, UNKNOWN, WARN, Glyphs
from console.tui.parts.facts import Flow, Heading, Row, fact
from console.tui.text import cell, joined, state_text
from state.api.card import Card
from state.health import Health
from state.text import cells

LABEL_WIDTH = 12
WIDEST_BEFORE = 24
WIDEST_SUBJECT = 44
STYLES = {Health.FAIL: FAIL, Health.WARN: WARN, Health.UNKNOWN: UNKNOWN}


def card_rows(card: Card, former: Card | None, glyphs: Glyphs, held: float = 0.0) -> list[Row]:
    """The whole card, seconds after it arrived; with the card of a former preview, what has changed since."""
    rows: list[Row] = []
    for section in card_sections(card, former, held):
        if section.part:
            rows.append(_heading(section, glyphs))
        rows += _diffs(section.lines, glyphs) if section.part is Part.DIFFS else _lines(section, glyphs)
    return rows


def _heading(section: Section, glyphs: Glyphs) -> Heading:
    title, lead = f"{section.part} ".replace("→", glyphs.arrow), (f"{glyphs.rule} ", MUTED)
    note = (lead, f"{section.note} ") if section.note else ()
    return Heading(joined(lead, (title, TITLE), *note), glyphs.rule)


def _lines(section: Section, glyphs: Glyphs) -> list[Row]:
    """Labelled lines; rules that passed share one row."""
    width = max(LABEL_WIDTH, *(cells(line.label) + 1 for line in section.lines))
    rules = section.part is Part.RULES
    flowing = [line for line in section.lines if rules and line.health is Health.PASS and line.mark is None]
    rows: list[Row] = [_flow(flowing, glyphs)] if flowing else []
    last = ""
    for line in section.lines:
        if line in flowing:
            continue
        style = "" if line.health is None else STYLES.get(line.health, "")
        signed = line.health is not None and not rules and line.label not in TOLD
        sign = joined(state_text(line.health.value, glyphs), " ") if signed and line.health else cell("")
        text = joined(_mark(line, CardMark.NEW, CardMark.GONE), sign, (line.text, style))
        rows.append(fact("" if line.label == last else line.label, text, width=width, mark=style or MUTED))
        rows += _changed(line, width)
        last = line.label
    return rows


def _flow(lines: Sequence[CardLine], glyphs: Glyphs) -> Flow:
    """The rules that passed, without their names, which only refusals need."""
    sign = state_text(Health.PASS.value, glyphs, word=False)
    return Flow(tuple(joined(sign, " ", line.text) for line in lines), " | " if glyphs.ascii_only else " · ")


def _diffs(lines: Sequence[CardLine], glyphs: Glyphs) -> list[Row]:
    """Each object before and after, in columns; numbers are right-aligned. Long texts have no part in their width."""
    width = min(WIDEST_SUBJECT, max(cells(line.label) for line in lines)) + 2
    room = max((n for n in (cells(line.before) for line in lines) if n <= WIDEST_BEFORE), default=0)
    rows: list[Row] = []
    for line in lines:
        gap = " " * (room - cells(line.before))
        before = f"{gap}{line.before}" if line.before.isdecimal() else f"{line.before}{gap}"
        value = joined((f"{before} {glyphs.arrow} ", MUTED), (line.text, "bold"))
        rows.append(fact(line.label, joined(_mark(line, CardMark.NEW, CardMark.GONE), value), width=width, mark=""))
        rows += _changed(line, width)
    return rows


def _mark(line: CardLine, *shown: CardMark) -> Text:
    return cell(f"{line.mark} ", WARN) if line.mark in shown else cell("")


def _changed(line: CardLine, width: int) -> list[Row]:
    return [fact("", line.difference, WARN, width=width)] if line.mark is CardMark.CHANGED else []
