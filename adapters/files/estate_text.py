"""A proposed estate as YAML text with its comments. Every text from outside is cleaned here, where it is written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from adapters.files.located_yaml import parse_yaml
from state.discovery.proposal import Basis, Keys, Note, OpenPoint, Proposal, Withheld
from state.text import clean, is_clean

WIDTH = 110
_BARE = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_./%+-]*")
_UNSAFE = re.compile(r"[^\x20-\x7e]")
_YAML_1_1 = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))
SCHEMA = "# yaml-language-server: $schema=schema.json"


def scalar(value: Any) -> str:
    """A value as YAML 1.2 that older readers take for the same value as well."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    text = str(value)
    if _BARE.fullmatch(text) and text.lower() not in _YAML_1_1 and parse_yaml(text, "").data == text:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return quoted if is_clean(quoted) else _UNSAFE.sub(_escaped, quoted)


def _escaped(found: re.Match[str]) -> str:
    """A character as YAML escapes it; half of a surrogate pair is none, and no estate can hold it."""
    code = ord(found[0])
    if 0xD800 <= code <= 0xDFFF:
        return "\\uFFFD"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def flow(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(k)}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value)


def comment(note: Note) -> str:
    """What is said beside a value."""
    text = " ".join(clean(note.text).split())
    return f"{note.basis.value}: {text}" if text else note.basis.value


def point_lines(points: Sequence[OpenPoint]) -> Iterator[str]:
    """Open points as lines of text, each with its way out."""
    for each in points:
        way_out = f" → {clean(each.way_out)}" if each.way_out else ""
        yield f"{clean(each.where)}: {clean(each.what)}{way_out}"


def lines_of(value: Any, notes: Mapping[Keys, Note], path: Keys, depth: int) -> Iterator[str]:
    """The lines of a mapping at a path, indented by its depth."""
    pad = "  " * depth
    for key, inner in value.items():
        here = (*path, key)
        note = notes.get(here)
        said = comment(note) if note else ""
        below = any(len(each) > len(here) and each[: len(here)] == here for each in notes)
        one = f"{pad}{scalar(key)}: {flow(inner)}"
        if not isinstance(inner, Mapping) or not inner or (not below and depth > 0 and len(one) <= WIDTH):
            if isinstance(inner, list) and len(one) > WIDTH:
                yield from _said(f"{pad}{scalar(key)}:", said, pad)
                for item in inner:
                    yield f"{pad}  - {flow(item)}"
            else:
                yield from _said(one, said, pad)
            continue
        yield from _said(f"{pad}{scalar(key)}:", said, pad)
        yield from lines_of(inner, notes, here, depth + 1)


def _said(line: str, said: str, pad: str) -> Iterator[str]:
    """A line with its comment behind it, or above where there is no room."""
    if said and len(line) + len(said) + 4 <= WIDTH:
        yield f"{line}  # {said}"
        return
    if said:
        yield f"{pad}# {said}"
    yield line


def withheld_lines(entries: Sequence[Withheld], depth: int) -> Iterator[str]:
    """Entries that are not part of the estate, as comments: reason, way out, the entry as it would be."""
    pad = "  " * depth
    for each in entries:
        yield f"{pad}# not written: {clean(each.why)}"
        if each.way_out:
            yield f"{pad}# way out: {clean(each.way_out)}"
        for line in lines_of({each.path[-1]: each.value}, {}, each.path[:-1], 0):
            yield f"{pad}# {clean(line)}"


def render(proposal: Proposal, head: Sequence[str]) -> str:
    """The whole file. `head` are lines about how it was made."""
    lines = [SCHEMA, *(f"# {clean(line)}".rstrip() for line in head)]
    lines += ["# Each comment says where a value comes from: " + ", ".join(f"`{basis.value}`" for basis in Basis) + "."]
    if proposal.open:
        lines += ["#", "# Not known, or not done:", *(f"#   {line}" for line in point_lines(proposal.open))]
    shown = dict.fromkeys([*proposal.tree, *(each.path[0] for each in proposal.withheld)])
    for section in shown:
        value = proposal.tree.get(section)
        held = [each for each in proposal.withheld if each.path[0] == section]
        if isinstance(value, Mapping) or held:
            lines.append("")
        if value is None:  # only entries that are withheld: without a value the key would be refused
            lines += [f"# {section}:", *withheld_lines(held, 1)]
            continue
        lines += lines_of({section: value}, proposal.notes, (), 0)
        lines += withheld_lines(held, 1)
    return "\n".join(lines) + "\n"
