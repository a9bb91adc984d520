"""Puts what is new into an estate's text: only that is touched, and the result is read again before it is kept."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from adapters.files.estate_text import comment, flow, lines_of
from adapters.files.located_yaml import parse_yaml
from adapters.files.yaml_splice import CannotSplice, YamlText
from state.discovery.merging import Edit, Merging, Moved, NewEntry, NewItem
from state.discovery.proposal import Keys, Note


def merged_text(text: str, merging: Merging) -> str:
    """The text with every edit in it, comments and order as they were. Raises CannotSplice, also when the result would
    say anything else than the file did together with these edits."""
    spliced, data = YamlText(text), copy.deepcopy(parse_yaml(text, "").data)
    for edit in merging.edits:
        _apply(data, edit)
        if isinstance(edit, Moved):
            spliced.replace(edit.path, edit.new)
        elif isinstance(edit, NewItem):
            spliced.append(edit.path, edit.value)
        else:
            _insert(spliced, edit.path, edit.value, merging.notes)
    if parse_yaml(spliced.text, "").data != data:
        raise CannotSplice("the file is written in a way that additions cannot be put into")
    return spliced.text


def _insert(spliced: YamlText, path: Keys, value: Any, notes: Mapping[Keys, Note]) -> None:
    parent, key = path[:-1], path[-1]
    missing = next((path[:depth] for depth in range(1, len(path)) if not spliced.has(path[:depth])), None)
    if missing is not None:
        for step in reversed(path[len(missing) :]):
            value = {step: value}
        parent, key = missing[:-1], missing[-1]
    spliced.insert(parent, key, value, [line[2:] for line in lines_of({key: value}, notes, parent, 1)])


def lines_of_edit(edit: Edit, notes: Mapping[Keys, Note]) -> Iterator[str]:
    """An edit for people: what would be added or changed, and why."""
    where = ".".join(edit.path)
    if isinstance(edit, Moved):
        yield f"~ {where}: {flow(edit.old)} becomes {flow(edit.new)}"
        return
    note = notes.get(edit.path)
    said = f"  # {comment(note)}" if note else ""
    yield f"+ {where}: {flow(edit.value)}{said}"


def _apply(data: Any, edit: Edit) -> None:
    """The same edit in plain data."""
    node = data
    for key in edit.path[:-1]:
        if node.get(key) is None:
            node[key] = {}
        node = node[key]
    last = edit.path[-1]
    if isinstance(edit, NewEntry):
        node[last] = edit.value
    elif isinstance(edit, Moved):
        node[last] = edit.new
    else:
        node[last].append(edit.value)
