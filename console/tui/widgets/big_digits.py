"""Digits of full blocks, of any height: read from the back of a room, and on every terminal."""

from __future__ import annotations

from console.tui.glyphs import Glyphs

LEAST = 5
"""Rows below which seven strokes cannot be told apart."""
_STROKES = {
    "0": "abcdef", "1": "bc", "2": "abged", "3": "abgcd", "4": "fgbc", "5": "afgcd", "6": "afgedc", "7": "abc",
    "8": "abcdefg", "9": "abcdfg", "-": "g", " ": "",
}  # fmt: skip
"""The strokes of a digit: a above, then clockwise b to f, g in the middle."""


def big_digits(text: str, height: int, glyphs: Glyphs) -> list[str]:
    """Digits, `:`, `-` and blanks in that many rows, at least `LEAST`. Raises KeyError for anything else."""
    height = max(LEAST, height)
    width = max(6, height + 1)
    rows = [""] * height
    for place, char in enumerate(text):
        drawn = _colon(height, glyphs) if char == ":" else _digit(_STROKES[char], width, height, glyphs)
        rows = [f"{row}{'  ' if place else ''}{part}" for row, part in zip(rows, drawn, strict=True)]
    return rows


def _digit(strokes: str, width: int, height: int, glyphs: Glyphs) -> list[str]:
    thick = max(1, height // 6)
    wide = max(2, round(height * 0.3))
    middle = (height - thick) // 2
    bars = {"a": 0, "g": middle, "d": height - thick}
    grid = [[" "] * width for _ in range(height)]

    def fill(left: int, top: int, columns: int, lines: int) -> None:
        for line in range(top, top + lines):
            grid[line][left : left + columns] = glyphs.full * columns

    for stroke in strokes:
        if stroke in bars:
            fill(0, bars[stroke], width, thick)
        else:
            left = 0 if stroke in "ef" else width - wide
            top, bottom = (0, middle + thick) if stroke in "bf" else (middle, height)
            fill(left, top, wide, bottom - top)
    return ["".join(line) for line in grid]


def _colon(height: int, glyphs: Glyphs) -> list[str]:
    thick = max(1, height // 6)
    dot = {row + each for row in (height // 4, height - height // 4 - thick) for each in range(thick)}
    return [glyphs.full * 2 if row in dot else "  " for row in range(height)]
