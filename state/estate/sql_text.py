"""What stands in a statement of PostgreSQL outside its literals and comments."""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""
    (?P<blank> \s+ | --[^\n]* )
  | (?P<comment> /\* )
  | (?P<escaped> [eE]'(?:[^'\\]|\\.|'')*' )
  | (?P<literal> '(?:[^']|'')*' )
  | (?P<quoted> "(?:[^"]|"")*" )
  | \$(?P<tag> (?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)? )\$
  | \$(?P<place> [0-9]+ )
  | (?P<word> [A-Za-z0-9_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]* )
  | (?P<open> ['"] )
  | (?P<sign> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_EDGE = re.compile(r"/\*|\*/")
_CONTROL = re.compile("begin|start|commit|end|rollback|abort|savepoint|release|prepare|set|reset|discard")


class Unended(ValueError):
    """A literal or a comment does not end."""


class SqlText:
    """The words and signs of a text, in lower case and in order, and the places (`$1`) of values."""

    def __init__(self, text: str) -> None:
        self.words: list[str] = []
        self.places: set[int] = set()
        at = 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            assert found is not None, "a sign is any character"
            at = found.end()
            kind, part = found.lastgroup or "", found[0]
            if kind == "open":
                raise Unended("a literal")
            if kind == "comment":
                at = _after_comment(text, at)
            elif kind == "tag":
                at = text.find(part, at) + len(part)
                if at < found.end():
                    raise Unended("a literal")
            elif kind == "place":
                self.places.add(int(part[1:]))
            if kind in ("word", "sign"):
                self.words.append(part.lower())
            elif kind not in ("blank", "comment"):
                self.words.append("")  # a value or a name

    @property
    def first(self) -> str:
        """The word that begins it; empty statements before it do nothing."""
        return next((word for word in self.words if word != ";"), "")

    @property
    def ends_transaction(self) -> bool:
        """Whether it begins or ends a transaction, or changes settings of its session."""
        return _CONTROL.fullmatch(self.first) is not None

    @property
    def stands_alone(self) -> bool:
        """Whether PostgreSQL takes it outside a transaction only."""
        return self.first == "vacuum" or (self.first in ("create", "drop", "reindex") and "concurrently" in self.words)

    @property
    def several(self) -> bool:
        """Whether there is more than one statement. The body of a function may have semicolons of its own."""
        text = " ".join(self.words).strip("; ")
        return ";" in text and not re.search(r"\bbegin atomic\b", text)


def _after_comment(text: str, at: int) -> int:
    """Where a comment ends that has begun; comments stand in comments."""
    depth = 1
    while depth:
        edge = _EDGE.search(text, at)
        if edge is None:
            raise Unended("a comment")
        depth += 1 if edge[0] == "/*" else -1
        at = edge.end()
    return at
