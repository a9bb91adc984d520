"""Makes text from outside safe to show; this is the only place that does.

Whatever the project did not write itself (names from a balancer, error texts of a server, notes pasted by a
person) passes through `clean` once, where it enters. What would act on a terminal, hide, reorder its
neighbours or change their width becomes a visible escape, as in a Python literal; `decode` returns the
original, so nothing is lost for evidence or comparison.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

DEFAULT_LIMIT = 4000
FILLERS = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and signs that show nothing."""
LETTERS = 3
"""So many letters or digits has what people give as a reason."""
MARKS_IN_A_ROW = 2

_NAMED = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_UNNAMED = {shown[1]: char for char, shown in _NAMED.items()}
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_MARK_CATEGORIES = frozenset({"Mn", "Mc", "Me"})
# Letters and signs whose width depends on their neighbours or that draw nothing: fillers, conjoining jamo,
# variation selectors, skin tones, regional indicators. Then those that Unicode 16 made wide: trigrams, hexagrams and
# other symbols of the Tai Xuan Jing, counting rods.
_CONTEXTUAL = re.compile(
    "[\u034f\u115f-\u11ff\u17b4\u17b5\u180b-\u180f\u3164\ud7b0-\ud7ff\ufe00-\ufe0f\uffa0"
    "\U0001f1e6-\U0001f1ff\U0001f3fb-\U0001f3ff\U000e0100-\U000e01ef"
    "\u2630-\u2637\u268a-\u268f\u4dc0-\u4dff\U0001d300-\U0001d376]"
)
# Anything outside these printable ranges is checked one character at a time.
_SUSPECT = re.compile("[^ -\\[\\]-~\xa1-\xac\xae-\u02ff\u2010-\u2015\u2018-\u2026\u2190-\u21ff\u2500-\u259f]")
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|([\\ntr])|)")


def clean(outside: str, limit: int = DEFAULT_LIMIT) -> str:
    """The text with everything that could act on a terminal or deceive its reader shown as an escape.

    At most `limit` shown characters are kept, cut between two escapes; a marker `…(+N)` then says how many
    characters of the original are left out.
    """
    if len(outside) <= limit and _SUSPECT.search(outside) is None:
        return outside
    shown: list[str] = []
    used = marks = taken = 0
    for char in outside:
        kind = _kind(char)
        marks = marks + 1 if kind == "mark" else 0
        keep = kind == "plain" or (kind == "mark" and taken > 0 and marks <= MARKS_IN_A_ROW)
        piece = char if keep else _escape(char)
        used += len(piece)
        if used > limit:
            break
        shown.append(piece)
        taken += 1
    if taken < len(outside):
        shown.append(f"…(+{len(outside) - taken})")
    return "".join(shown)


def reason_in(text: str, shortest: int) -> str:
    """What people can read of a text that is to be a reason, in one line: with so many characters at least, and a few
    letters or digits among them; empty where that is none."""
    shown = (c if c.isspace() or unicodedata.category(c) not in _HIDDEN_CATEGORIES else "" for c in text)
    said = " ".join("".join(c for c in shown if c not in FILLERS).split())
    return said if len(said) >= shortest and sum(map(str.isalnum, said)) >= min(LETTERS, shortest) else ""


def cut(outside: str, limit: int) -> str:
    """The beginning of a text as it is, with the same marker when there was more: for what is kept, not shown."""
    return outside if len(outside) <= limit else f"{outside[:limit]}…(+{len(outside) - limit})"


def paragraphs(text: str) -> tuple[str, ...]:
    """Text of several lines as paragraphs: lines that follow each other are one, but those of a list (`- `)."""
    found: list[str] = []
    ended = True
    for line in map(str.strip, text.splitlines()):
        if line and not ended and not line.startswith("- "):
            found[-1] = f"{found[-1]} {line}"
        elif line:
            found.append(line)
        ended = not line
    return tuple(found)


def decode(shown: str) -> str:
    """What was received, from what `clean` showed; the marker of a cut text is kept.

    Raises ValueError for a backslash that starts no escape of `clean`.
    """
    return _ESCAPE.sub(_unescape, shown)


def is_clean(shown: str) -> bool:
    """Whether the text can be drawn as it is. Backslashes are harmless and allowed."""
    if _SUSPECT.search(shown) is None:
        return True
    marks = 0
    for place, char in enumerate(shown):
        kind = _kind(char)
        if kind == "hidden":
            return False
        marks = marks + 1 if kind == "mark" else 0
        if marks > MARKS_IN_A_ROW or (marks and place == 0):
            return False
    return True


@lru_cache(maxsize=4096)
def _kind(char: str) -> str:
    """One of plain, mark (combining), hidden (must be escaped) and backslash."""
    if char == "\\":
        return "backslash"
    category = unicodedata.category(char)
    if category in _HIDDEN_CATEGORIES or _CONTEXTUAL.match(char):
        return "hidden"
    return "mark" if category in _MARK_CATEGORIES else "plain"


def _escape(char: str) -> str:
    named = _NAMED.get(char)
    if named is not None:
        return named
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _unescape(found: re.Match[str]) -> str:
    byte, short, long, named = found.groups()
    if named is not None:
        return _UNNAMED[named]
    digits = byte or short or long
    if digits is None or int(digits, 16) > 0x10FFFF:
        raise ValueError(f"not an escape written by clean(), at character {found.start()}")
    return chr(int(digits, 16))


def cells(text: str) -> int:
    """Width in terminal cells: wide characters count two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(map(_width, text))


@lru_cache(maxsize=4096)
def _width(char: str) -> int:
    if unicodedata.category(char) in _MARK_CATEGORIES | {"Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut_middle(text: str, width: int, ellipsis: str = "…") -> str:
    """The text in at most `width` cells; the middle is left out, since names differ at both ends."""
    if cells(text) <= width:
        return text
    room = width - cells(ellipsis)
    if room < 0:
        return ellipsis[: max(0, width)]
    tail_room = room // 2
    tail = _last_cells(text, tail_room)
    head = _first_cells(text, room - cells(tail))
    return f"{head}{ellipsis}{tail}"


def _first_cells(text: str, width: int) -> str:
    used = 0
    for place, char in enumerate(text):
        used += _width(char)
        if used > width:
            return text[:place]
    return text


def _last_cells(text: str, width: int) -> str:
    """The end of the text, never starting with a combining mark without its base."""
    used = 0
    start = len(text)
    for place in range(len(text) - 1, -1, -1):
        size = _width(text[place])
        used += size
        if used > width:
            break
        if size:
            start = place
    return text[start:]
