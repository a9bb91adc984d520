"""The record sets of one name: what a server answers, what an update would find there, and what goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

SETTABLE = ("A", "AAAA", "CNAME")
"""Types that can be changed here, in the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class RecordSet:
    """One record set (RFC 2181 5): its type, its TTL in seconds, its values in one spelling, sorted.

    Names are lower case without the final dot, so that equal sets compare equal. `disabled` are values that its server
    keeps and does not answer with.
    """

    type: str
    ttl: int
    values: tuple[str, ...]
    disabled: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{', '.join(self.values)} (TTL {self.ttl} s)" if self.values else "none"


Sets = Mapping[str, RecordSet]
"""The sets of one name by type; types without a value are left out."""


@dataclass(frozen=True, slots=True)
class NameState:
    """What one server answers for one name, with authority.

    `negative` is the seconds for which "there is none" may be kept (RFC 2308 5). `other` are the types besides those
    that can be changed here. `delegated`: the servers that answer for it in place of this one. `hints`: the addresses
    that its HTTPS records have in them, to which a client may go before it asks for addresses (RFC 9460 7.3).
    """

    server: str
    serial: int
    negative: int
    sets: Sets
    other: tuple[str, ...] = ()
    delegated: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NameSeen:
    """One reading of a name at one server; `state` None: none, for the reason `trouble`. `keyed`: asked with the key,
    so that it is the view which an update reaches."""

    server: str
    state: NameState | None
    trouble: str = ""
    keyed: bool = False


class Bar(StrEnum):
    """Why an update would not reach what is read. For each a rule of its own."""

    KEY = "key"
    """The server does not know the key, or not its secret."""
    CLOCK = "clock"
    """The clocks of the two hosts differ by more than a signature allows."""
    ZONE = "zone"
    """The server is not authoritative for the zone."""
    DENIED = "denied"
    """The key may not do it."""
    VIEW = "view"
    """The update would reach other records than those that are read."""
    SILENT = "silent"
    """No answer that proves anything."""


@dataclass(frozen=True, slots=True)
class Shaded:
    """An answer that a wildcard gives now and would no longer give, since its name would come into being (RFC 4592)."""

    name: str
    wildcard: str
    type: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NameLook:
    """Everything a change of one name relies on, read at the server that would act.

    `held` are the sets at the very name, which an update compares itself with; answers that are not held come from a
    wildcard. `under` is what a wildcard would answer if the name were not there. `bar` and `trouble`: why an update
    would not reach them. `expanded`: the name is an ALIAS to this one, whose addresses the server looks up. `notes` are
    for the card.
    """

    state: NameState
    held: Sets
    view: str = ""
    under: Sets = field(default_factory=dict)
    bar: Bar | None = None
    trouble: str = ""
    shaded: tuple[Shaded, ...] = ()
    expanded: str = ""
    notes: tuple[str, ...] = field(default=())
