"""A proposed estate: plain data, where each value comes from, and what was not written or is not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Tree = dict[str, Any]
Keys = tuple[str, ...]
"""Where a value stands: keys of mappings from the top."""


class Basis(StrEnum):
    """Why a value is what it is."""

    MEASURED = "measured"
    GUESSED = "guessed"
    ASKED = "asked"
    PROPOSED = "proposed, confirm"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Note:
    """What is said beside a value; texts from outside in it are as received."""

    basis: Basis
    text: str = ""


@dataclass(frozen=True, slots=True)
class Withheld:
    """An entry that would be refused as it is: written as a comment, with the reason and the way out."""

    path: Keys
    value: Any
    why: str
    way_out: str


@dataclass(frozen=True, slots=True)
class OpenPoint:
    """What is not known or could not be done, and the way out."""

    where: str
    what: str
    way_out: str = ""


@dataclass(slots=True)
class Proposal:
    """The estate as it would be written."""

    tree: Tree = field(default_factory=dict)
    notes: dict[Keys, Note] = field(default_factory=dict)
    withheld: list[Withheld] = field(default_factory=list)
    open: list[OpenPoint] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    """Entries that go in plain text to another machine."""
    secrets: dict[str, str] = field(default_factory=dict)
    """Files of secrets that the estate names, and what belongs into each."""

    def put(self, path: Keys, value: Any, basis: Basis | None = None, text: str = "") -> None:
        """Set a value with the note about it."""
        node = self.tree
        for key in path[:-1]:
            node = node.setdefault(key, {})
        node[path[-1]] = value
        if basis is not None:
            self.notes[path] = Note(basis, text)

    def section(self, name: str) -> Mapping[str, Any]:
        """The entries of a section by name; empty where there is none."""
        found: Mapping[str, Any] = self.tree.get(name, {})
        return found

    def withhold(self, path: Keys, value: Any, why: str, way_out: str) -> None:
        """Leave an entry out of the estate and say so."""
        self.withheld.append(Withheld(path, value, why, way_out))

    def goes_plain(self, path: Keys, entry: Tree, why: str, waive: str) -> bool:
        """Take in an entry that is in plain text: with the reason that a person gave it may be written, else it is
        withheld. Whether it may be written."""
        where = ".".join(path[:2])
        self.plain.append(where)
        if waive:
            entry["waive"] = {"tls": waive}
            self.notes[(*path, "waive")] = Note(Basis.ASKED, why)
            self.say(where, f"{why}; waived by the reason that was given", "TLS, where it can be had")
            return True
        way_out = "TLS; or waive: {tls: the reason} (--answer waive=REASON writes it)"
        self.withhold(path, entry, why, way_out)
        self.say(where, why, way_out)
        return False

    def say(self, where: str, what: str, way_out: str = "") -> None:
        """Something that is not known, once."""
        point = OpenPoint(where, what, way_out)
        if point not in self.open:
            self.open.append(point)


def listed(names: Sequence[str], most: int = 5) -> str:
    """Names for a sentence: the first ones, and how many more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
