"""How wide the columns of a table are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from console.tui.widgets.rows import GAP, Column, TableRow, plain
from state.text import cells

LEAST = 5
"""The second column, which names things, is squeezed to this before it is left out."""


def widths(columns: Sequence[Column], room: int, needs: Sequence[int] = ()) -> list[int]:
    """The width of each column in cells. Columns that no longer fit at the right are left out (width 0); what is
    left over goes to those whose content needs it (`needs`, by column), numbers first because they are never cut, then
    to the flexible ones by share."""
    result: list[int] = []
    used = wished = -GAP
    for column in columns:
        width = max(column.width, cells(column.title))
        last = bool(result) and not result[-1]
        fits = not result or (not last and used + GAP + width <= room >= wished + GAP + width)
        left = room - used - GAP
        if not fits and not last and column.align == "left" and len(result) == 1 and left >= LEAST:
            fits, width = True, left
        result.append(width if fits else 0)
        used += GAP + width if fits else 0
        wished += GAP + max(width, column.wish) if fits else 0
    spare = max(0, room - used)
    for place, column in sorted(enumerate(columns), key=lambda each: each[1].align != "right"):
        wanted = min(column.grow, needs[place] if place < len(needs) else 0) - result[place]
        if result[place] and wanted > 0:
            given = min(spare, wanted)
            result[place] += given
            spare -= given
    shares = sum(column.flex for column, width in zip(columns, result, strict=True) if width)
    given = 0
    for place, column in enumerate(columns):
        if column.flex and result[place]:
            result[place] += spare * (given + column.flex) // shares - spare * given // shares
            given += column.flex
    return result


class Fitting:
    """The columns of one table with their widths in cells for the room there is."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self.widths: list[int] = []
        self._needs = [0] * len(self.columns)
        self._room = -1

    @property
    def names(self) -> tuple[str, ...]:
        """Keys of the columns."""
        return tuple(column.key for column in self.columns)

    def measure(self, rows: Iterable[TableRow]) -> bool:
        """Look at rows for columns that grow with their content; whether any became wider."""
        growing = [(place, column.grow) for place, column in enumerate(self.columns) if column.grow]
        wider = False
        for row in rows if growing else ():
            for place, most in growing:
                need = min(most, cells(plain(row.cells[place]))) if place < len(row.cells) else 0
                if need > self._needs[place]:
                    self._needs[place] = need
                    wider = True
        if wider:
            self._room = -1
        return wider

    def fit(self, room: int) -> bool:
        """Share out that many cells; whether anything had to be done."""
        if room == self._room:
            return False
        self._room = room
        self.widths = widths(self.columns, room, self._needs)
        return True
