"""synchronous_standby_names, read by its grammar (PostgreSQL manual, "synchronous_standby_names")."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(r'"(?:[^"]|"")*"|[(),]|\*|[^\s(),"*]+')


@dataclass(frozen=True, slots=True)
class SyncRule:
    """How many must confirm (`needed`), of which names, and whether any of them or the first ones in their order."""

    any_of: bool
    needed: int
    names: tuple[str, ...]

    @property
    def everyone(self) -> bool:
        """Whether every standby is meant."""
        return "*" in self.names

    def names_node(self, name: str) -> bool:
        """Names are compared without regard to case."""
        return self.everyone or name.lower() in {each.lower() for each in self.names}


def sync_rule(setting: str) -> SyncRule | None:
    """The rule of a setting; None where nothing waits. One that cannot be read needs one of the names in it."""
    words = _TOKEN.findall(setting)
    if not words:
        return None
    any_of, needed = False, 1
    if len(words) > 2 and "(" in words[:3]:
        opening = words.index("(")
        head = [w.upper() for w in words[:opening]]
        any_of = head[0] == "ANY"
        needed = next((int(w) for w in head if w.isdigit()), 1)
        words = words[opening + 1 :]
    names = tuple(_name(w) for w in words if w not in ("(", ")", ","))
    return SyncRule(any_of, needed, names)


def _name(word: str) -> str:
    return word[1:-1].replace('""', '"') if word.startswith('"') else word
