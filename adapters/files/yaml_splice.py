"""Changes single values of a YAML text and leaves every other byte: comments, order, quotes and line ends stay.

A whole file written anew by a library moves comments that stand between two entries; here only what changes is cut
out and put in, by the places that the parser reports, and the result is read again before anybody keeps it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
)

from adapters.files.estate_text import flow, scalar
from state.config_files.paths import Path


class CannotSplice(ValueError):
    """The text is written in a way that a value cannot be put in without touching more of it."""


@dataclass(slots=True)
class _Span:
    """One value: where it begins and ends in the text, and how a collection is written."""

    start: int
    end: int
    column: int
    kind: str
    flowing: bool = False
    alias: bool = False
    keys: dict[str, _Span] = field(default_factory=dict)
    items: list[_Span] = field(default_factory=list)
    first_key: int = -1
    """Column of the first key of a mapping, or of the first dash of a list."""


class YamlText:
    """A text with the places of its values. Each change gives a new text and reads its places again."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._root = _compose(text)

    def has(self, path: Path) -> bool:
        """Whether there is a value at a path."""
        try:
            self._at(path)
        except CannotSplice:
            return False
        return True

    def replace(self, path: Path, value: Any) -> None:
        """Put another value in the place of the one at a path, on one line. Raises CannotSplice."""
        span = self._at(path)
        if span.alias or (span.kind != "scalar" and not span.flowing and span.end > span.start):
            raise CannotSplice(f"{path}: not a value on one line")
        text = flow(value)
        self._put(span.start, span.end, text if span.end > span.start else f" {text}")

    def insert(self, path: Path, key: str, value: Any, lines: Sequence[str]) -> None:
        """Add a key to the mapping at a path: `lines` are the entry as a block, not indented, with its comments.

        Raises CannotSplice when the key is there, or the mapping is none.
        """
        span = self._at(path)
        if span.kind == "scalar" and span.end == span.start:
            self._below(path, span.start, lines)
        elif span.kind != "mapping" or span.alias or key in span.keys:
            raise CannotSplice(f"{path}: no mapping that {key} could be added to")
        elif span.flowing and span.keys:
            self._into_flow(span, f"{scalar(key)}: {flow(value)}")
        elif span.flowing:
            before = self.text[: span.start].rstrip(" ")
            self._set(before + self.text[span.end :])
            self._below(path, len(before), lines)
        else:
            last = max(_end(each) for each in span.keys.values())
            self._block(last, lines, span.first_key)

    def append(self, path: Path, value: Any) -> None:
        """Add an item to the list at a path. Raises CannotSplice."""
        span = self._at(path)
        if span.kind != "list" or span.alias or (not span.flowing and not span.items):
            raise CannotSplice(f"{path}: no list that could be added to")
        if span.flowing:
            self._into_flow(span, flow(value))
        else:
            self._block(max(_end(each) for each in span.items), [f"- {flow(value)}"], span.first_key)

    def _into_flow(self, span: _Span, text: str) -> None:
        inside = [*span.keys.values(), *span.items]
        if not inside:
            self._put(span.start + 1, span.end - 1, text)
            return
        last = max(_end(each) for each in inside)
        self._put(last, last, f", {text}")

    def _block(self, last: int, lines: Sequence[str], column: int) -> None:
        """Put lines below the line in which a value ends."""
        stop = self.text.find("\n", last)
        stop = len(self.text) if stop < 0 else stop
        at_end = "" if stop < len(self.text) else "\n"
        body = "\n".join(f"{' ' * column}{line}".rstrip() for line in lines)
        self._put(stop, stop, f"\n{body}{at_end}")

    def _below(self, path: Path, place: int, lines: Sequence[str]) -> None:
        """Put lines below a key that has no value yet, one level deeper."""
        parent = self._at(path[:-1])
        self._block(place, lines, max(0, parent.first_key) + 2)

    def _put(self, start: int, end: int, text: str) -> None:
        self._set(self.text[:start] + text + self.text[end:])

    def _set(self, text: str) -> None:
        self.text = text
        self._root = _compose(text)

    def _at(self, path: Path) -> _Span:
        span = self._root
        for step in path:
            if isinstance(step, str) and step in span.keys:
                span = span.keys[step]
            elif isinstance(step, int) and step < len(span.items):
                span = span.items[step]
            else:
                raise CannotSplice(f"there is no {'.'.join(map(str, path))}")
        return span


def _end(span: _Span) -> int:
    """Where the last text of a value ends: a block collection ends with its last value, not at the next token."""
    if span.kind == "scalar" or span.flowing or span.alias:
        return span.end
    return max((_end(each) for each in (*span.keys.values(), *span.items)), default=span.end)


def _compose(text: str) -> _Span:
    top = _Span(0, 0, 0, "list")
    stack: list[tuple[_Span, list[_Span | str]]] = [(top, [])]
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            if isinstance(event, CollectionEndEvent):
                span, inside = stack.pop()
                _close(span, inside, event.end_mark.index, text)
            elif isinstance(event, NodeEvent):
                span = _span(event, text)
                stack[-1][1].append(span if not isinstance(event, ScalarEvent) else _Scalar(event.value, span))
                if isinstance(event, CollectionStartEvent):
                    stack.append((span, []))
    except YAMLError as error:
        raise CannotSplice("the text is no valid YAML") from error
    roots = stack[0][1]
    return _plain(roots[0]) if roots else top


class _Scalar(str):
    """A scalar's value with its span."""

    span: _Span

    def __new__(cls, value: str, span: _Span) -> _Scalar:
        made = super().__new__(cls, value)
        made.span = span
        return made


def _plain(part: _Span | str) -> _Span:
    return part.span if isinstance(part, _Scalar) else part  # type: ignore[return-value]


def _span(event: NodeEvent, text: str) -> _Span:
    start, end = event.start_mark.index, event.end_mark.index
    if isinstance(event, AliasEvent):
        return _Span(start, end, event.start_mark.column, "scalar", alias=True)
    if isinstance(event, ScalarEvent):
        if event.style in ("|", ">"):
            end = start + len(text[start:end].rstrip())
        return _Span(start, end, event.start_mark.column, "scalar")
    kind = "mapping" if isinstance(event, MappingStartEvent) else "list"
    flowing = isinstance(event, CollectionStartEvent) and bool(event.flow_style)
    return _Span(start, end, event.start_mark.column, kind, flowing=flowing)


def _close(span: _Span, inside: list[_Span | str], end: int, text: str) -> None:
    spans = [_plain(part) for part in inside]
    if span.flowing:
        span.end = end
    if span.kind == "mapping":
        for key, named, value in zip(inside[::2], spans[::2], spans[1::2], strict=True):
            if value.kind == "scalar" and value.start == value.end and not value.alias:
                # the parser places an empty value where the next token begins
                value.start = value.end = text.find(":", named.end) + 1 or value.end
            span.keys[str(key) if isinstance(key, str) else ""] = value
        span.first_key = spans[0].column if spans else span.column
    else:
        span.items = spans
        span.first_key = span.column
