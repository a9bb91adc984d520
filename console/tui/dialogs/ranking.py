"""Which names fit what was typed, the best first. Letters may be left out, words may come in any order."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nsmallest
from typing import NamedTuple

MOST = 200
"""Names shown; a few more letters find the others."""
EDGES = " /-_.:#"
"""Signs after which a word of a name begins."""


class Ranked(NamedTuple):
    """A name prepared for searching, and its place in the list without a search."""

    folded: str
    place: int
    size: int
    """Letters of the name alone: of two that fit alike the shorter one comes first."""


def prepared(names: Sequence[str], kinds: Sequence[str] = ()) -> list[Ranked]:
    """Names for `best`, in their order; what they are (`kinds`) is found too."""
    said = [f"{name} {kind}" for name, kind in zip(names, kinds, strict=True)] if kinds else names
    return [Ranked(text.casefold(), place, len(names[place])) for place, text in enumerate(said)]


def best(names: Sequence[Ranked], typed: str) -> list[int]:
    """The places of the names that fit, at most `MOST`; without anything typed the first ones."""
    words = typed.casefold().split()
    if not words:
        return [name.place for name in names[:MOST]]
    scored = ((score, name.size, name.place) for name in names if (score := _score(name.folded, words)) >= 0)
    return [place for _, _, place in nsmallest(MOST, scored)]


def _score(name: str, words: Sequence[str]) -> int:
    """How far a name is from the words: 0 is the very name, -1 does not fit."""
    total = 0
    for word in words:
        at = name.find(word)
        if at == 0:
            total += 0 if name == word else 1
        elif at > 0:
            total += 2 if name[at - 1] in EDGES or _begins(name, word) else 3
        elif _scattered(name, word):
            total += 6
        else:
            return -1
    return total


def _begins(name: str, word: str) -> bool:
    """Whether a later word of the name begins with it."""
    return any(f"{edge}{word}" in name for edge in EDGES)


def _scattered(name: str, word: str) -> bool:
    """Whether the name has all letters in their order."""
    at = -1
    for letter in word:
        at = name.find(letter, at + 1)
        if at < 0:
            return False
    return True
