"""YAML 1.2 as plain data with the position of every value; nothing in the file is executed.

It reads the parser's events: no object that the file names is ever built, nesting is limited while reading,
and every value has its line. Plain scalars follow the core schema of YAML 1.2 (10.3.2 in its specification);
keys are text as written. All failures are ConfigError.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
)
from ruamel.yaml.reader import ReaderError

from state.config_files.literal_secrets import shown
from state.config_files.located import START, Located, Position
from state.config_files.paths import Path
from state.errors import ConfigError, Problem

DEEPEST = 32
"""Levels of nesting, aliases expanded."""
MOST_VALUES = 100_000
"""Values, aliases expanded: a small file that expands to more is refused."""

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?[0-9]{1,30}")
_OCTAL = re.compile(r"0o[0-7]{1,30}")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]{1,30}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]{1,30}|[0-9]{1,30}(?:\.[0-9]{0,30})?)(?:[eE][-+]?[0-9]{1,4})?")


def parse_yaml(text: str, file: str) -> Located:
    """YAML text as data with positions; `file` names it in findings. Raises ConfigError."""
    try:
        root = _compose(YAML(typ="safe", pure=True).parse(text), file)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else START
        refuse(file, place, f"valid YAML: {_syntax_message(error)}")
    except ReaderError as error:
        refuse(file, _place_of(text, error.position), "text without control characters")
    except (YAMLError, ValueError, OverflowError):
        # The scanner does not check the range of numeric escapes in quoted text.
        refuse(file, START, "valid YAML: an escape in quoted text is not a character")
    builder = _Builder(file)
    data = builder.value(root, ()) if root else None
    if builder.problems:
        raise ConfigError(tuple(sorted(builder.problems, key=lambda p: (p.line, p.column))))
    return Located(data, file, builder.values, builder.keys)


def refuse(file: str, place: Position, expected: str, value: str = "") -> NoReturn:
    """Raises ConfigError with one finding."""
    raise ConfigError((Problem(file, *place, value, expected),))


def _syntax_message(error: MarkedYAMLError) -> str:
    """The parser's message without its quotes from the file, which may be a secret."""
    message = [part for part in (error.context, error.problem) if part]
    return re.sub(r"\s+", " ", re.sub(r"(?<= )'[^']{2,}'|\"[^\"]{2,}\"", "…", ", ".join(message))) or "unreadable"


def _place_of(text: str, position: int) -> Position:
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1


@dataclass(slots=True)
class _Node:
    """A value as written: text, or the items of a list, or keys and values in turn."""

    place: Position
    text: str | None = None
    plain: bool = False
    mapping: bool = False
    anchor: str | None = None
    items: list[_Node] = field(default_factory=list)


def _compose(events: Iterator[Event], file: str) -> _Node | None:
    """The tree of one document. An alias is the node it names, so nothing is expanded here."""
    top = _Node(START)
    stack = [top]
    anchors: dict[str, _Node] = {}
    for event in events:
        mark = event.start_mark
        place = (mark.line + 1, mark.column + 1) if mark else START
        if isinstance(event, DocumentStartEvent) and top.items:
            refuse(file, place, "one document in a file")
        if isinstance(event, CollectionEndEvent):
            closed = stack.pop()
            if closed.anchor:
                anchors[closed.anchor] = closed
        if not isinstance(event, NodeEvent):
            continue
        node = _node(event, place, anchors, file)
        stack[-1].items.append(node)
        if isinstance(event, AliasEvent):
            continue
        if not isinstance(event, ScalarEvent):
            stack.append(node)
        elif node.anchor:
            anchors[node.anchor] = node
        if len(stack) > DEEPEST:
            refuse(file, place, f"at most {DEEPEST} levels of nesting")
    return top.items[0] if top.items else None


def _node(event: NodeEvent, place: Position, anchors: dict[str, _Node], file: str) -> _Node:
    if isinstance(event, AliasEvent):
        if event.anchor not in anchors:
            refuse(file, place, "an alias of an anchor defined before it")
        return anchors[event.anchor]
    tagged = isinstance(event, ScalarEvent | CollectionStartEvent) and event.tag is not None
    if tagged:
        refuse(file, place, "a value without a tag (!…)")
    node = _Node(place, mapping=isinstance(event, MappingStartEvent), anchor=event.anchor)
    if isinstance(event, ScalarEvent):
        node.text, node.plain = event.value, event.implicit[0]
    return node


class _Builder:
    """Data and places from the tree, aliases expanded within bounds."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.values: dict[Path, Position] = {}
        self.keys: dict[Path, Position] = {}
        self.problems: list[Problem] = []
        self.count = 0

    def value(self, node: _Node, path: Path) -> Any:
        self.count += 1
        if self.count > MOST_VALUES:
            refuse(self.file, node.place, f"at most {MOST_VALUES:,} values, aliases expanded")
        if len(path) > DEEPEST:
            refuse(self.file, node.place, f"at most {DEEPEST} levels of nesting")
        self.values[path] = node.place
        if node.text is not None:
            return self._scalar(node)
        if node.mapping:
            return self._mapping(node, path)
        return [self.value(item, (*path, index)) for index, item in enumerate(node.items)]

    def _mapping(self, node: _Node, path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, item in zip(node.items[::2], node.items[1::2], strict=True):
            name = key.text
            if name is None or not _is_text(name):
                self._problem(key, "a mapping or list" if name is None else "", "a key that is text")
            elif name == "<<" and key.plain:
                self._problem(key, "'<<'", "keys written out: YAML 1.2 has no merge keys")
            elif name in data:
                first = self.keys[*path, name][0]
                self._problem(key, f"key {shown((), name)} again", f"each key once (first in line {first})")
            else:
                self.keys[*path, name] = key.place
                data[name] = self.value(item, (*path, name))
                if item.plain and not item.text:  # the parser places an empty value where the next token begins
                    self.values[*path, name] = key.place
        return data

    def _scalar(self, node: _Node) -> Any:
        text = node.text or ""
        if not _is_text(text):
            self._problem(node, "half of a surrogate pair", "text")
            return None
        return _plain(text) if node.plain else text

    def _problem(self, node: _Node, value: str, expected: str) -> None:
        self.problems.append(Problem(self.file, *node.place, value, expected))


def _is_text(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _plain(text: str) -> Any:
    """A plain scalar by the core schema; numbers that are not finite stay text, so no check gets them."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text) or _HEXADECIMAL.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text
