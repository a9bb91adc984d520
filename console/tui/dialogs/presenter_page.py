"""The page of the presenter: what is shown in which size, as lines of text. No host and no person is named on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.text import Text

from console.tui.glyphs import MUTED, Glyphs
from console.tui.text import cell, joined
from console.tui.widgets.big_digits import LEAST, big_digits
from state.text import cells

LABEL = 11
SHARE, MOST = 5, 0.4
"""The digits are as high as a fifth of the screen, and as this share of it where rows are left and the sentence keeps
half of the columns."""
GAP = 4


class Big(NamedTuple):
    """The large clock: its digits, the line below it, and the style of both."""

    digits: str
    below: str
    style: str


class Page(NamedTuple):
    """Everything on the page. `sentence` is the loudest thing; `also` are further problems."""

    big: Big
    sentence: str
    sentence_style: str
    told: tuple[str, ...]
    facts: tuple[tuple[str, str, str], ...]
    """Label, text and style."""
    also: tuple[Text, ...]


def page_lines(page: Page, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """The page on that many columns and rows."""
    tall = _tall(page, width, height, glyphs)
    digits = big_digits(page.big.digits, tall, glyphs)
    left = max(map(len, digits), default=0) + 2 * GAP
    room = width - left - GAP
    wide = room >= 28
    said = _sentence(page, room, tall) if wide else _sentence(page, width - 4, 3)
    clock = [joined((" " * GAP + row, page.big.style)) for row in digits]
    clock += [cell(""), joined((" " * GAP + page.big.below, page.big.style))]
    lines = _beside(clock, said, left) if wide else [*clock, cell(""), *(joined("  ", line) for line in said)]
    spare = height - len(lines) - 2 - _height(page, width)
    gap = max(0, min(2, spare // (len(page.facts) + 3)))
    blank = [cell("")] * gap
    lines = [*blank[:1], *lines, *blank, joined("  ", (glyphs.rule * (width - 4), MUTED)), *blank]
    lines += _facts(page.facts, width, blank)
    room = max(0, height - len(lines))
    also = list(page.also)
    if 0 < 2 * len(also) <= room:
        also = [line for each in also for line in (each, cell(""))]
    if len(also) > room:
        also[max(0, room - 1) :] = [cell(f"  and {len(also) - room + 1} more", MUTED)] if room else []
    lines += also
    return lines[:height]


def _tall(page: Page, width: int, height: int, glyphs: Glyphs) -> int:
    """Rows of the digits: what is left over goes to the clock and to the sentence beside it."""
    least = max(LEAST, -(-height // SHARE))
    fixed = 6 + 2 * len(_facts(page.facts, width, [])) + len(page.also)  # the line below the clock, the rule, gaps
    most = max(least, min(int(height * MOST), height - fixed))
    fitting = (
        tall
        for tall in range(most, least, -1)
        if max(map(len, big_digits(page.big.digits, tall, glyphs)), default=0) + 2 * GAP <= width // 2
    )
    return next(fitting, least)


def _height(page: Page, width: int) -> int:
    """Rows that facts and further problems need without gaps."""
    return len(_facts(page.facts, width, [])) + len(page.also)


def _sentence(page: Page, room: int, tall: int) -> list[Text]:
    """Capitals in a reversed field beside the clock, then what is told about it."""
    style = f"bold {page.sentence_style}".strip()
    words = wrapped(page.sentence.upper(), room - 4)
    above = max(0, tall - len(words)) // 2
    field = [*[""] * above, *words, *[""] * (tall - len(words) - above)]
    rows = [joined((f"  {line}{' ' * (room - 2 - cells(line))}", style)) for line in field]
    for text in page.told:
        rows += [cell(""), *(joined((part, "bold")) for part in wrapped(text, room - 2))]
    return rows


def _beside(clock: Sequence[Text], said: Sequence[Text], left: int) -> list[Text]:
    rows: list[Text] = []
    for place in range(max(len(clock), len(said))):
        line = clock[place].copy() if place < len(clock) else cell("")
        line.append(" " * (left - line.cell_len))
        rows.append(line.append_text(said[place]) if place < len(said) else line)
    return rows


def _facts(facts: Sequence[tuple[str, str, str]], width: int, blank: list[Text]) -> list[Text]:
    """Labelled texts, in two columns where both have room."""
    columns = 2 if width >= 110 else 1
    room = (width - 4) // columns - LABEL - GAP
    blocks: list[list[Text]] = []
    for label, text, style in facts:
        parts = wrapped(text, room)
        rows = [
            joined((f"  {label:<{LABEL}}" if not n else " " * (LABEL + 2), MUTED), (part, style or "bold"))
            for n, part in enumerate(parts)
        ]
        blocks.append(rows)
    lines: list[Text] = []
    for start in range(0, len(blocks), columns):
        pair = blocks[start : start + columns]
        for row in range(max(map(len, pair))):
            line = cell("")
            for column, block in enumerate(pair):
                line.append(" " * (column * (width // columns) - line.cell_len))
                if row < len(block):
                    line.append_text(block[row])
            lines.append(line)
        lines += blank
    return lines


def wrapped(text: str, room: int) -> list[str]:
    """Whole words in lines of at most `room` cells; a longer word is cut."""
    lines: list[str] = []
    room = max(1, room)
    words = [word[start : start + room] for word in text.split() for start in range(0, len(word), room)]
    for word in words:
        if lines and cells(lines[-1]) + 1 + cells(word) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
