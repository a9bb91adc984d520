"""A screen as cells: what is wanted, what the terminal shows, and the bytes that lead from one to the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from rich.cells import cell_len
from rich.color import Color, ColorSystem, ColorType
from rich.style import Style
from textual.strip import Strip

# A cursor move to the right is four bytes: an equal stretch this long is cheaper repeated than skipped.
BRIDGED = 4
_ATTRIBUTES = ("bold", "dim", "italic", "underline", "blink", "blink2", "reverse", "conceal", "strike")


@lru_cache(maxsize=16384)
def sgr(style: Style | None, system: ColorSystem) -> str:
    """The codes that select a style on a terminal that was reset; default colours need none."""
    if style is None:
        return ""
    codes = [str(code) for code, name in enumerate(_ATTRIBUTES, 1) if getattr(style, name)]
    codes += _colour(style.color, system, foreground=True)
    codes += _colour(style.bgcolor, system, foreground=False)
    return ";".join(codes)


def _colour(colour: Color | None, system: ColorSystem, *, foreground: bool) -> Iterable[str]:
    if colour is None or colour.type is ColorType.DEFAULT:
        return ()
    return colour.downgrade(system).get_ansi_codes(foreground)


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

    def forget(self) -> None:
        """The terminal may show anything now: everything will be sent again."""
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
            row.put(x, parts, sgr(style, self._system))
            x += len(parts)
        self._dirty.add(y)
        return x

    def changed(self) -> bool:
        """Whether the terminal shows anything else than wanted."""
        self._dirty = {y for y in self._dirty if not self._wanted[y].same_as(self._shown[y])}
        return bool(self._dirty)

    def render(self) -> str:
        """The bytes that make the terminal show what is wanted; they count as shown from here on."""
        out: list[str] = []
        pen = ""
        for y in sorted(self._dirty):
            pen = self._wanted[y].write_changes(self._shown[y], y, pen, out)
            self._shown[y].copy(self._wanted[y])
        self._dirty.clear()
        if pen:
            out.append("\x1b[m")
        return "".join(out)


class _Row:
    """One line of cells: two lists side by side, which compare fast."""

    __slots__ = ("pens", "signs")

    def __init__(self, width: int) -> None:
        self.signs: list[str | None] = [None] * width
        self.pens: list[str | None] = [None] * width

    def same_as(self, other: _Row) -> bool:
        return self.signs == other.signs and self.pens == other.pens

    def copy(self, other: _Row) -> None:
        self.signs = other.signs.copy()
        self.pens = other.pens.copy()

    def put(self, x: int, parts: Sequence[str], pen: str) -> None:
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

    def write_changes(self, shown: _Row, y: int, pen: str, out: list[str]) -> str:
        """Append moves, styles and text for the runs that differ; returns the style left selected."""
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
                    out.append(_select(wanted_pen, pen))
                    pen = wanted_pen
                out.append(text)
                # Terminals disagree about the width of special signs: never rely on where the cursor went.
                cursor = -1 if special or stop >= len(self.signs) else stop
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


def _select(wanted: str, pen: str) -> str:
    if not wanted:
        return "\x1b[m"
    return f"\x1b[0;{wanted}m" if pen else f"\x1b[{wanted}m"
