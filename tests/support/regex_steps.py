"""Counts the steps of a regular expression instead of its time: a backtracking matcher over Python's own syntax tree.

It tries what Python's engine tries, in the same order and without its shortcuts, so a pattern that is linear here is
linear there. `steps` is the number of single comparisons until the first match, or until there certainly is none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from re import _constants as c  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

Ends = Iterator[int]
WORDS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
EVERY = [chr(n) for n in range(1, 256)]
BAD = ("\x00", "!", "é")
SHORT, LONG, SUSPECT = 16, 320, 7.0


class TooManySteps(Exception):
    """The limit of steps was reached."""


def parsed(pattern: re.Pattern[Any]) -> Any:
    """The syntax tree of a compiled pattern."""
    text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    return _parser.parse(text, pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else pattern.flags)


class Matcher:
    """One pattern. After `first`, `steps` has how many comparisons that took."""

    def __init__(self, pattern: re.Pattern[Any], most: int = 400_000) -> None:
        self.tree, self.flags, self.most = parsed(pattern), pattern.flags, most
        self.steps = 0
        self._text = ""
        self._groups: dict[int, tuple[int, int]] = {}

    def first(self, text: str, *, anywhere: bool) -> int | None:
        """Where the first match ends; from the beginning only, or `anywhere`."""
        self._text, self.steps = text, 0
        for start in range(len(text) + 1) if anywhere else (0,):
            self._groups = {}
            for end in self._all(list(self.tree), 0, start):
                return end
        return None

    def _count(self) -> None:
        self.steps += 1
        if self.steps > self.most:
            raise TooManySteps

    def _all(self, nodes: list[Any], at: int, place: int) -> Ends:
        """Every end of the nodes from `at` on."""
        if at == len(nodes):
            yield place
            return
        for end in self._one(nodes[at], place):
            yield from self._all(nodes, at + 1, end)

    def _one(self, node: Any, place: int) -> Ends:
        """Every end of one node."""
        op, value = node
        if single := self._single(op, value):
            self._count()
            if place < len(self._text) and single(self._text[place]):
                yield place + 1
        elif op in (c.MAX_REPEAT, c.MIN_REPEAT, c.POSSESSIVE_REPEAT):
            low, high, inner = value
            yield from self._repeat(op, low, high, list(inner), place)
        elif op is c.SUBPATTERN:
            yield from self._grouped(value[0], list(value[3]), place)
        elif op is c.BRANCH:
            for branch in value[1]:
                yield from self._all(list(branch), 0, place)
        elif op is c.ATOMIC_GROUP:
            yield from self._only(self._all(list(value), 0, place))
        else:
            yield from self._widthless(op, value, place)

    def _grouped(self, group: int | None, inner: list[Any], place: int) -> Ends:
        for end in self._all(inner, 0, place):
            had = self._groups.get(group or 0)
            if group is not None:
                self._groups[group] = place, end
            yield end
            if had is not None and group is not None:
                self._groups[group] = had

    def _widthless(self, op: Any, value: Any, place: int) -> Ends:
        self._count()
        if op is c.AT:
            if self._at(value, place):
                yield place
        elif op in (c.ASSERT, c.ASSERT_NOT):
            yield from self._look(op, value, place)
        elif op is c.GROUPREF:
            start, end = self._groups.get(value, (0, -1))
            if end >= start and self._text.startswith(self._text[start:end], place):
                yield place + end - start
        else:
            raise NotImplementedError(str(op))

    def _look(self, op: Any, value: Any, place: int) -> Ends:
        direction, inner = value
        start = place if direction > 0 else place - int(inner.getwidth()[0])  # what lies behind has one width
        found = start >= 0 and next(self._all(list(inner), 0, start), None) is not None
        if found is (op is c.ASSERT):
            yield place

    @staticmethod
    def _only(ends: Ends) -> Ends:
        for end in ends:
            yield end
            return

    def _repeat(self, op: Any, low: int, high: Any, inner: list[Any], place: int) -> Ends:
        most = len(self._text) + 1 if high is c.MAXREPEAT else int(high)
        if len(inner) == 1 and (single := self._single(*inner[0])):
            yield from self._run(op, low, most, single, place)
            return
        if op is c.POSSESSIVE_REPEAT:
            end, times = place, 0
            while times < most:
                more = next(self._all(inner, 0, end), None)
                if more is None or more == end:
                    break
                end, times = more, times + 1
            if times >= low:
                yield end
            return
        yield from self._times(op, low, most, inner, place, 0)

    def _times(self, op: Any, low: int, most: int, inner: list[Any], place: int, done: int) -> Ends:
        self._count()
        if op is c.MIN_REPEAT and done >= low:
            yield place
        if done < most:
            for end in self._all(inner, 0, place):
                if end == place and done >= low:
                    continue
                yield from self._times(op, low, most, inner, end, done + 1)
        if op is c.MAX_REPEAT and done >= low:
            yield place

    def _run(self, op: Any, low: int, most: int, single: Callable[[str], bool], place: int) -> Ends:
        """A repeated single character, without recursion."""
        end, last = place, min(len(self._text), place + most)
        if op is c.MIN_REPEAT:
            while True:
                if end - place >= low:
                    yield end
                self._count()
                if end >= last or not single(self._text[end]):
                    return
                end += 1
        while end < last:
            self._count()
            if not single(self._text[end]):
                break
            end += 1
        if op is c.POSSESSIVE_REPEAT:
            if end - place >= low:
                yield end
            return
        while end - place >= low:
            yield end
            self._count()
            end -= 1

    def _at(self, where: Any, place: int) -> bool:
        text, lines = self._text, bool(self.flags & re.MULTILINE)
        if where is c.AT_BEGINNING:
            return place == 0 or (lines and text[place - 1] == "\n")
        if where is c.AT_BEGINNING_STRING:
            return place == 0
        if where is c.AT_END:
            return place == len(text) or (text[place] == "\n" and (lines or place == len(text) - 1))
        if where is c.AT_END_STRING:
            return place == len(text)
        before, after = place > 0 and text[place - 1] in WORDS, place < len(text) and text[place] in WORDS
        return (before != after) is (where is c.AT_BOUNDARY)

    def _single(self, op: Any, value: Any) -> Callable[[str], bool] | None:
        """The test of one character, None for what is not one character."""
        if op is c.LITERAL:
            return lambda char: self._same(char, value)
        if op is c.NOT_LITERAL:
            return lambda char: not self._same(char, value)
        if op is c.ANY:
            return lambda char: char != "\n" or bool(self.flags & re.DOTALL)
        if op is c.IN:
            return lambda char: self._within(char, value)
        return None

    def _same(self, char: str, code: int) -> bool:
        return ord(char) == code or (bool(self.flags & re.IGNORECASE) and char.lower() == chr(code).lower())

    def _within(self, char: str, items: list[Any]) -> bool:
        wanted, items = (False, items[1:]) if items[0][0] is c.NEGATE else (True, items)
        shapes = {char, char.lower(), char.upper()} if self.flags & re.IGNORECASE else {char}
        return any(self._item(each, *item) for each in shapes if len(each) == 1 for item in items) is wanted

    @staticmethod
    def _item(char: str, op: Any, value: Any) -> bool:
        if op is c.LITERAL:
            return ord(char) == value
        if op is c.RANGE:
            return bool(value[0] <= ord(char) <= value[1])
        sets = {
            c.CATEGORY_DIGIT: char.isdecimal(),
            c.CATEGORY_SPACE: char.isspace(),
            c.CATEGORY_WORD: char.isalnum() or char == "_",
        }
        opposite = {
            c.CATEGORY_NOT_DIGIT: c.CATEGORY_DIGIT,
            c.CATEGORY_NOT_SPACE: c.CATEGORY_SPACE,
            c.CATEGORY_NOT_WORD: c.CATEGORY_WORD,
        }
        return not sets[opposite[value]] if value in opposite else sets[value]

    # -- strings to try

    def alphabet(self) -> list[str]:
        """The characters that the pattern itself names."""
        found = dict.fromkeys(
            chr(value) for op, value in self._walk(list(self.tree)) if op in (c.LITERAL, c.NOT_LITERAL)
        )
        return [*found, "a", "0", " ", "\n", "\\"]

    def _walk(self, nodes: list[Any]) -> Iterator[tuple[Any, Any]]:
        for op, value in nodes:
            yield op, value
            for inner in _inside(op, value):
                yield from self._walk(inner)
            if op is c.IN:
                yield from (each for each in value if each[0] is c.LITERAL)

    def example(self, nodes: list[Any]) -> str:
        """A short text that the nodes match, as far as that can be told without trying."""
        made = ""
        for op, value in nodes:
            if single := self._single(op, value):
                made += next((each for each in self.alphabet() + EVERY if single(each)), "")
            elif op in (c.MAX_REPEAT, c.MIN_REPEAT, c.POSSESSIVE_REPEAT):
                made += self.example(list(value[2])) * value[0]
            elif op not in (c.ASSERT, c.ASSERT_NOT) and (inner := _inside(op, value)):
                made += self.example(inner[0])
        return made

    def pumps(self) -> Iterator[tuple[str, str]]:
        """What stands before each repetition, and what may be repeated there."""
        yield from self._pumps(list(self.tree), "")
        if whole := self.example(list(self.tree)):
            yield "", whole
            yield "", whole[:-1] or whole

    def _pumps(self, nodes: list[Any], before: str) -> Iterator[tuple[str, str]]:
        for place, (op, value) in enumerate(nodes):
            head = before + self.example(nodes[:place])
            if op in (c.MAX_REPEAT, c.MIN_REPEAT, c.POSSESSIVE_REPEAT) and value[1] > 9:
                body = list(value[2])
                if len(body) == 1 and (single := self._single(*body[0])):
                    yield from ((head, each) for each in dict.fromkeys(self.alphabet()) if single(each))
                elif word := self.example(body):
                    yield head, word
            for inner in _inside(op, value):
                yield from self._pumps(inner, head)


def _inside(op: Any, value: Any) -> list[list[Any]]:
    """The sequences of nodes within one node."""
    if op is c.SUBPATTERN:
        return [list(value[3])]
    if op is c.BRANCH:
        return [list(each) for each in value[1]]
    if op in (c.MAX_REPEAT, c.MIN_REPEAT, c.POSSESSIVE_REPEAT):
        return [list(value[2])]
    if op in (c.ASSERT, c.ASSERT_NOT):
        return [list(value[1])]
    return [list(value)] if op is c.ATOMIC_GROUP else []


def worst_growth(pattern: re.Pattern[Any], *, anywhere: bool) -> tuple[float, str]:
    """How many times more steps four times the text takes, at worst, and the text that does it: 4 for a linear pattern,
    16 for a quadratic one. What seems worse than linear is looked at again in a long text: a bounded repetition is not.
    """
    worst = (0.0, "")
    for head, word in sorted(set(Matcher(pattern).pumps())):
        for tail in (*BAD, "", "\n"):
            growth = _growth(pattern, head, word, tail, SHORT, anywhere=anywhere)
            if SUSPECT < growth < math.inf:
                growth = _growth(pattern, head, word, tail, LONG, anywhere=anywhere)
            worst = max(worst, (growth, f"{head!r} + {word!r} * n + {tail!r}"))
            if growth > SUSPECT:
                return worst
    return worst


def _growth(pattern: re.Pattern[Any], head: str, word: str, tail: str, size: int, *, anywhere: bool) -> float:
    matcher, steps = Matcher(pattern), []
    try:
        for length in (size, 4 * size):
            matcher.first(head + word * (length // len(word) or 1) + tail, anywhere=anywhere)
            steps.append(matcher.steps)
    except (TooManySteps, RecursionError):
        return math.inf
    return steps[1] / max(steps[0], size)
