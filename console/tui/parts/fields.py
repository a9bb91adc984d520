"""One line of fields; the less important ones are shortened or left out when the line is narrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.text import Text

GAP = "  "


class Field(NamedTuple):
    """One field: its forms from long to short. Rank 0 is never left out; higher ranks are left out first."""

    rank: int
    forms: tuple[Text, ...]
    right: bool = False


def fit_fields(fields: Sequence[Field], width: int) -> Text:
    """The fields in a line of `width` cells, shortened and then left out from the highest rank down."""
    chosen: dict[int, int] = {place: 0 for place, field in enumerate(fields) if field.forms}
    order = sorted(chosen, key=lambda place: -fields[place].rank)
    for place in order:
        while _length(fields, chosen) > width and chosen[place] < len(fields[place].forms) - 1:
            chosen[place] += 1
    for place in order:
        if _length(fields, chosen) <= width or not fields[place].rank:
            break
        del chosen[place]
    left = _row([fields[p].forms[f] for p, f in chosen.items() if not fields[p].right])
    right = _row([fields[p].forms[f] for p, f in chosen.items() if fields[p].right])
    gap = max(len(GAP) if right.cell_len else 0, width - left.cell_len - right.cell_len)
    line = left
    line.append(" " * gap)
    line.append_text(right)
    line.truncate(width)
    return line


def _length(fields: Sequence[Field], chosen: dict[int, int]) -> int:
    parts = [fields[place].forms[form].cell_len for place, form in chosen.items()]
    return sum(parts) + len(GAP) * max(0, len(parts) - 1)


def _row(texts: Sequence[Text]) -> Text:
    line = Text(end="", no_wrap=True)
    for place, text in enumerate(texts):
        if place:
            line.append(GAP)
        line.append_text(text)
    return line
