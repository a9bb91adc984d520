"""Anchors: number and hash of the newest entry, kept in places outside of this host, one line each.

A line of such a place may have anything in front of the anchor, as a system log has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from state.proof.encoding import canonical
from state.proof.sshsig import wrong
from state.units import counted, utc_date

QUOTES = (b'"', b'\\"', b'\\\\\\"', b'""')
"""How its quotes are written: plain, in a string of JSON, in one that is in another one, in CSV."""
PLACED = re.compile(rb"@([\w.-]{1,80}) ")
"""In front of an anchor where lines of several places are in one file: from which one it is."""
NAMESPACE = "anchor.recovery"
LONGEST = 4096
"""Bytes of an anchor, at most."""
SIGNED = ("anchor", "at", "estate", "hash", "journal", "node", "period", "public", "seq")


@dataclass(frozen=True, slots=True)
class Anchor:
    """Entry `seq` had this hash `at` so many seconds since 1970. `journal` is the hash of its first entry, `public` the
    key of the period in which the anchor was signed; both are empty where nothing was. `place` is where it was found,
    `source` the file or place without the line."""

    seq: int
    hash: str
    at: float
    journal: str
    estate: str
    node: str
    period: int
    public: str
    signature: str
    place: str = field(default="", compare=False)
    source: str = field(default="", compare=False)

    @property
    def line(self) -> str:
        """As it is kept."""
        return canonical({**self._told(), "signature": self.signature}).decode()

    @property
    def statement(self) -> bytes:
        """What is signed."""
        return canonical(self._told())

    def _told(self) -> Mapping[str, Any]:
        return {"anchor": 1, **{name: getattr(self, name) for name in SIGNED[1:]}}

    def wrong(self) -> str:
        """Why its signature proves nothing; empty when it is right."""
        return wrong(self.public, self.statement, self.signature, NAMESPACE) if self.signature else "it has none"

    def __str__(self) -> str:
        return f"the anchor of {utc_date(self.at)}{f' ({self.place})' if self.place else ''}"


@dataclass(slots=True)
class AnchorsRead:
    """The anchors of some places, and how many lines look like one and cannot be read."""

    anchors: list[Anchor] = field(default_factory=list)
    unreadable: int = 0

    def take(self, lines: Iterable[bytes], name: str) -> None:
        """The anchors in the lines of one place."""
        for number, line in enumerate(lines, 1):
            for at, text in _within(line):
                placed = PLACED.fullmatch(line[:at])
                source = f"{name}/{placed[1].decode()}" if placed else name
                found = anchor_of(text, f"{source}, line {number}", source)
                if found is None:
                    self.unreadable += 1
                else:
                    self.anchors.append(found)


def _within(line: bytes) -> Iterator[tuple[int, bytes]]:
    """Where anchors may begin in a line, each with the text from there on: behind what a full disk left of another one
    too, and in what another program made of the line."""
    for depth, quote in enumerate(QUOTES):
        mark = b"{%banchor%b:1," % (quote, quote)
        at = line.find(mark)
        while at >= 0:
            text = line[at : at + LONGEST * 2]
            yield at, text.replace(b'""', b'"') if quote == b'""' else _unwrapped(text, depth)
            at = line.find(mark, at + 1)


def _unwrapped(text: bytes, depth: int) -> bytes:
    """What a string of JSON says from here to its end, so many times."""
    said = text.decode("ascii", "replace")
    try:
        for _ in range(depth):
            said = json.JSONDecoder().raw_decode(f'"{said}')[0]
    except ValueError:
        return b""
    return said.encode("ascii", "replace")


def placed_lines(name: str, lines: bytes) -> bytes:
    """The anchors among the lines of one place, each with the place in front of it; nothing else that is there."""
    read = AnchorsRead()
    read.take(BytesIO(lines), name)
    return b"".join(b"@%s %s\n" % (name.encode(), each.line.encode()) for each in read.anchors)


def anchor_of(text: bytes, place: str, source: str = "") -> Anchor | None:
    """The anchor that a text begins with; None unless it is in the very form in which it was kept."""
    try:
        said = text[:LONGEST].decode("ascii", "replace")
        told, end = json.JSONDecoder().raw_decode(said)
        made = Anchor(**{name: told[name] for name in (*SIGNED[1:], "signature")}, place=place, source=source)
        whole = type(made.seq) is int and made.seq > 0 and type(made.period) is int and isinstance(made.at, float | int)
        texts = (made.hash, made.journal, made.estate, made.node, made.public, made.signature)
        if whole and all(isinstance(each, str) for each in texts) and made.line == said[:end]:
            return made
    except (ValueError, LookupError, TypeError, RecursionError):
        pass
    return None


class AnchorCheck:
    """Holds a chain against anchors. `due` is the next entry that one names; `held` how many were right, `newest` the
    last of these, `others` how many are of other journals."""

    def __init__(self, anchors: Sequence[Anchor] = ()) -> None:
        self._left = sorted(anchors, key=lambda each: each.seq)
        self._given = len(anchors)
        self._next = 0
        self._journal = ""
        self.held = self.others = 0
        self.newest: Anchor | None = None
        self.due = 0
        self._follow()

    def begin(self, journal: str, after: int = 0) -> None:
        """The journal has a first entry with this hash; what is looked at comes behind entry `after`."""
        self._journal = journal
        while self._next < len(self._left) and self._left[self._next].seq <= after:
            self._next += 1
        self._follow()

    def _follow(self) -> None:
        self.due = self._left[self._next].seq if self._next < len(self._left) else 0

    def passed(self, seq: int, found: bytes) -> str:
        """The entry that is due, with its hash; what is wrong."""
        problem = ""
        while self._next < len(self._left) and self._left[self._next].seq <= seq:
            anchor = self._left[self._next]
            self._next += 1
            if anchor.journal != self._journal:
                self.others += 1
            elif anchor.seq < seq:
                pass  # before what is looked at
            elif anchor.hash == found.hex():
                self.held, self.newest = self.held + 1, anchor
            else:
                problem = problem or self._differs(anchor)
        self._follow()
        return problem

    def _differs(self, anchor: Anchor) -> str:
        since = f"after entry {self.newest.seq}, the last that an anchor holds" if self.newest else "from the first on"
        by = anchor.wrong()
        signed = f"its signature proves nothing ({by})" if by else f"signed in period {anchor.period}"
        return f"entry {anchor.seq} is another than {anchor} names, {signed}: what differs is {since}"

    def end(self, entries: int, *, whole: bool = True) -> str:
        """After the last entry: anchors that name later ones, where the `whole` journal should be there, and anchors of
        which none is of this journal."""
        later = [each for each in self._left[self._next :] if each.journal == self._journal]
        self.others += len(self._left) - self._next - len(later)
        self._next = len(self._left)
        if later and whole:
            last = later[-1]
            gone = f"entries {entries + 1} to {last.seq} are missing"
            return f"the chain ends at entry {entries}, and {last} names entry {last.seq}: {gone}"
        if not self._given:
            return ""
        mine = {(each.estate, each.node) for each in self._left if each.journal == self._journal}
        if not mine:
            return f"of {counted(self._given, 'anchor')} none is of this journal: another one was put in its place"
        for source in dict.fromkeys(each.source for each in self._left):
            of_it = [each.journal for each in self._left if each.source == source]
            if self._journal not in of_it:
                told = f"of {counted(len(of_it), 'anchor')} of {source or 'a place'} none is of this journal"
                return f"{told}: another one was put in its place"
        strange = [each for each in self._left if each.journal != self._journal and (each.estate, each.node) in mine]
        if strange:
            return f"{strange[0]} is of another journal of {strange[0].estate} on {strange[0].node}"
        return ""
