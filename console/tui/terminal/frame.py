"""A screen as cells: what is wanted, what the terminal shows, and the bytes that lead from one to the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from rich.cells import cell_len
from rich.color import Color, ColorSystem, ColorType
from rich.style import Style
from textual.strip import Strip

# A cursor move to the right is four bytes: an equal stretch this long is cheaper repeated than skipped.
BRIDGED = 4
_ATTRIBUTES = ("bold", "dim", "italic", "underline", "blink", "blink2", "reverse", "conceal", "strike")


class Pen(NamedTuple):
    """How text is drawn, as codes of ECMA-48 SGR: attributes, foreground and background; empty = the default."""

    attributes: tuple[int, ...] = ()
    foreground: str = ""
    background: str = ""


PLAIN = Pen()
_OFF = {1: 22, 2: 22, 3: 23, 4: 24, 5: 25, 6: 25, 7: 27, 8: 28, 9: 29}
"""What takes an attribute away again; bold and dim go together, as do both ways to blink."""


@lru_cache(maxsize=16384)
def pen_of(style: Style | None, system: ColorSystem) -> Pen:
    """The pen that draws a style."""
    if style is None:
        return PLAIN
    attributes = tuple(code for code, name in enumerate(_ATTRIBUTES, 1) if getattr(style, name))
    return Pen(attributes, _colour(style.color, system, True), _colour(style.bgcolor, system, False))


def _colour(colour: Color | None, system: ColorSystem, foreground: bool) -> str:
    if colour is None or colour.type is ColorType.DEFAULT:
        return ""
    return ";".join(colour.downgrade(system).get_ansi_codes(foreground))


@lru_cache(maxsize=8192)
def split(text: str) -> tuple[str, ...]:
    """The text by terminal cells: what follows a wide character is an empty cell, marks stay with their base."""
    if text.isascii():
        return tuple(text)
    parts: list[str] = []
    for char in text:
        width = cell_len(char)
        if width == 0 and parts:
            base = next(place for place in range(len(parts) - 1, -1, -1) if parts[place])
            parts[base] += char
        else:
            parts += [char] + [""] * (width - 1)
    width = cell_len(text)
    # Sequences drawn as one sign are narrower than their parts: kept whole.
    return tuple(parts) if len(parts) == width else (text, *[""] * (width - 1))


class Frame:
    """Characters and styles of a screen, as wanted and as the terminal shows them. None = not known."""

    def __init__(self, width: int, height: int, system: ColorSystem) -> None:
        self.size = (width, height)
        self._system = system
        self._wanted = [_Row(width) for _ in range(height)]
        self._shown = [_Row(width) for _ in range(height)]
        self._dirty: set[int] = set()
        self._pen: Pen | None = None

    def forget(self) -> None:
        """The terminal may show anything now, with any pen: everything will be sent again."""
        self._pen = None
        width, height = self.size
        self._shown = [_Row(width) for _ in range(height)]
        self._dirty = set(range(height))

    def paint(self, x: int, y: int, strip: Strip) -> int:
        """Want a strip drawn from there on; returns the column after it."""
        width, height = self.size
        if not 0 <= y < height:
            return x
        row = self._wanted[y]
        for text, style, control in strip:
            if control or x >= width:
                continue
            parts = split(text)[: width - x]
            row.put(x, parts, pen_of(style, self._system))
            x += len(parts)
        self._dirty.add(y)
        return x

    def changed(self) -> bool:
        """Whether the terminal shows anything else than wanted."""
        self._dirty = {y for y in self._dirty if not self._wanted[y].same_as(self._shown[y])}
        return bool(self._dirty)

    def render(self) -> str:
        """The bytes that make the terminal show what is wanted; they count as shown from here on.

        The pen stays as it is between frames. Rows that begin with it come first.
        """
        out: list[str] = []
        for y in sorted(self._dirty, key=lambda y: (self._wanted[y].first_pen(self._shown[y]) != self._pen, y)):
            self._pen = self._wanted[y].write_changes(self._shown[y], y, self._pen, out)
            self._shown[y].copy(self._wanted[y])
        self._dirty.clear()
        return "".join(out)


class _Row:
    """One line of cells: two lists side by side, which compare fast."""

    __slots__ = ("pens", "signs")

    def __init__(self, width: int) -> None:
        self.signs: list[str | None] = [None] * width
        self.pens: list[Pen | None] = [None] * width

    def same_as(self, other: _Row) -> bool:
        return self.signs == other.signs and self.pens == other.pens

    def copy(self, other: _Row) -> None:
        self.signs = other.signs.copy()
        self.pens = other.pens.copy()

    def put(self, x: int, parts: Sequence[str], pen: Pen) -> None:
        """Overwrite cells; a wide character that lost a half becomes blank, as on a terminal."""
        end = x + len(parts)
        signs = self.signs
        if x < end:
            if signs[x] == "" and parts[0] != "":
                self._blank_before(x)
            after = end
            while after < len(signs) and signs[after] == "":
                signs[after] = " "
                after += 1
        signs[x:end] = parts
        self.pens[x:end] = [pen] * len(parts)

    def _blank_before(self, x: int) -> None:
        while x > 0:
            x -= 1
            lost, self.signs[x] = self.signs[x], " "
            if lost != "":
                return

    def first_pen(self, shown: _Row) -> Pen | None:
        """The pen of the first cell that differs."""
        cells = zip(self.signs, self.pens, shown.signs, shown.pens, strict=True)
        return next((pen for sign, pen, old_sign, old_pen in cells if sign != old_sign or pen != old_pen), None)

    def write_changes(self, shown: _Row, y: int, pen: Pen | None, out: list[str]) -> Pen | None:
        """Append moves, styles and text for the runs that differ; returns the style left selected."""
        if None in shown.signs and self._simple():
            return self._write_whole(y, pen, out)
        cursor = -1
        for start, end in self._runs(shown):
            x = start
            while x < end:
                sign, wanted_pen = self.signs[x], self.pens[x]
                if not sign or wanted_pen is None:
                    x += 1
                    continue
                stop = x + 1
                special = (stop < len(self.signs) and self.signs[stop] == "") or len(sign) > 1
                text = sign
                while not special and stop < end and self._plain(stop) and self.pens[stop] == wanted_pen:
                    text += self.signs[stop] or ""
                    stop += 1
                out.append(_move(cursor, x, y))
                if wanted_pen != pen:
                    out.append(select(wanted_pen, pen))
                    pen = wanted_pen
                out.append(text)
                # Terminals disagree about the width of special signs: never rely on where the cursor went.
                cursor = -1 if special or stop >= len(self.signs) else stop
                x = stop
        return pen

    def _simple(self) -> bool:
        """Whether every cell is known and holds one character of its own."""
        signs = self.signs
        return None not in signs and "" not in signs and max(map(len, signs), default=0) == 1  # type: ignore[arg-type]

    def _write_whole(self, y: int, pen: Pen | None, out: list[str]) -> Pen | None:
        """The whole line, when nothing is known of what the terminal shows."""
        out.append(_move(-1, 0, y))
        x = 0
        for wanted, group in groupby(self.pens):
            stop = x + sum(1 for _ in group)
            if wanted is not None and wanted != pen:
                out.append(select(wanted, pen))
                pen = wanted
            out.append("".join(self.signs[x:stop]))  # type: ignore[arg-type]
            x = stop
        return pen

    def _plain(self, x: int) -> bool:
        sign = self.signs[x]
        return sign is not None and len(sign) == 1 and not (x + 1 < len(self.signs) and self.signs[x + 1] == "")

    def _runs(self, shown: _Row) -> Iterable[tuple[int, int]]:
        """Stretches [start, end) to send; a stretch never begins inside a wide character."""
        differs = [
            x
            for x, cell in enumerate(zip(self.signs, self.pens, shown.signs, shown.pens, strict=True))
            if cell[0] != cell[2] or cell[1] != cell[3]
        ]
        start = end = -1
        for x in differs:
            if start >= 0 and x - end <= BRIDGED and self._bridgeable(end - 1, x):
                end = x + 1
                continue
            if start >= 0:
                yield start, end
            start, end = x, x + 1
            while start > 0 and self.signs[start] == "":
                start -= 1
        if start >= 0:
            yield start, end

    def _bridgeable(self, last: int, following: int) -> bool:
        pen = self.pens[last]
        return all(self.pens[x] == pen and self._plain(x) for x in range(last + 1, following))


def _move(cursor: int, x: int, y: int) -> str:
    if cursor == x:
        return ""
    if 0 <= cursor < x:
        return f"\x1b[{x - cursor}C" if x - cursor > 1 else "\x1b[C"
    return f"\x1b[{y + 1};{x + 1}H" if x else f"\x1b[{y + 1}H"


@lru_cache(maxsize=8192)
def select(wanted: Pen, pen: Pen | None) -> str:
    """The shortest codes that lead from one pen to another; from an unknown one everything is set anew."""
    anew = ";".join(filter(None, ("0", *map(str, wanted.attributes), wanted.foreground, wanted.background)))
    if pen is None or wanted == PLAIN:
        return "\x1b[m" if wanted == PLAIN else f"\x1b[{anew}m"
    off = {_OFF[code] for code in pen.attributes if code not in wanted.attributes}
    on = [code for code in wanted.attributes if code not in pen.attributes or _OFF[code] in off]
    codes = [*map(str, sorted(off)), *map(str, on)]
    if wanted.foreground != pen.foreground:
        codes.append(wanted.foreground or "39")
    if wanted.background != pen.background:
        codes.append(wanted.background or "49")
    change = ";".join(codes)
    return f"\x1b[{change if len(change) <= len(anew) else anew}m"
