"""What the journal records. Every kind of entry has one dataclass for its body, which also makes its one-line message.

`@event("run.started")` registers a body; kind and type are one registry. A capability defines its own bodies in a
module of its folder. Names of kinds are past participles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from state.journal.codec import decode, encode

B = TypeVar("B", bound="type[Body]")


class Body:
    """The content of an entry of one kind.

    `starts`: it starts something, so it is not recorded while the journal is in doubt; ends, stops and outcomes are
    always recorded. `fleeting`: only the newest entry of its kind says anything, so that states may be made without
    the others. `tells`: keys of its bytes from which nothing follows, to be shortened where it is too large.
    """

    __slots__ = ()
    kind: ClassVar[str] = ""
    starts: ClassVar[bool] = False
    fleeting: ClassVar[bool] = False
    tells: ClassVar[tuple[str, ...]] = ()

    @property
    def line(self) -> str:
        """What happened, in one line for people."""
        return str(getattr(self, "message", ""))

    def later(self, seconds: float) -> Body:
        """What it has to say when it could not be recorded for so long; the same for most."""
        return self

    def as_json(self) -> Mapping[str, Any]:
        """The body as the journal stores it."""
        made: Mapping[str, Any] = encode(self)
        return made


class Observation(Body):
    """The content of an entry about what the engine noticed by itself; all others are decisions and effects.

    The stored body says so with `"class": "observed"`, so that an export tells both apart without this program.
    """

    __slots__ = ()

    def as_json(self) -> Mapping[str, Any]:
        """The body as the journal stores it."""
        return {**encode(self), "class": OBSERVED}


OBSERVED, DECIDED = "observed", "decided"
"""What an entry is: noticed by the engine, or decided by people and done for them."""

EVENTS: dict[str, type[Body]] = {}
"""The type of every kind."""


def origin_of(kind: str) -> str:
    """`observed` or `decided`, by the kind of an entry, also when its body is erased; empty for an unknown kind."""
    body = EVENTS.get(kind)
    if body is None:
        return ""
    return OBSERVED if issubclass(body, Observation) else DECIDED


WORDS: Mapping[str, str] = {"key": "words"}
"""The name of a message in the journal's bytes."""


def event(kind: str, *, starts: bool = False) -> Callable[[B], B]:
    """Register a dataclass as the body of a kind. Raises ValueError for a kind that has one already."""

    def register(body: B) -> B:
        known = EVENTS.get(kind)
        if known is not None and (known.__module__, known.__qualname__) != (body.__module__, body.__qualname__):
            raise ValueError(f"two bodies for events of kind {kind}")
        body.kind, body.starts = kind, starts
        EVENTS[kind] = body
        return body

    return register


@dataclass(frozen=True, slots=True)
class Said(Body):
    """The body of an entry that is only a message."""

    message: str = field(metadata=WORDS)


@dataclass(frozen=True, slots=True)
class Erased(Body):
    """A body that retention has erased; the chain still verifies."""

    @property
    def line(self) -> str:
        """That it was erased."""
        return "payload erased by retention; the chain is still valid"


@dataclass(frozen=True, slots=True)
class Foreign(Body):
    """A body of a kind that this version does not know: it can be shown but not interpreted."""

    raw: Mapping[str, Any]

    @property
    def line(self) -> str:
        """Its own message, when it has one."""
        return str(self.raw.get("words") or self.raw.get("reason") or self.raw.get("question") or "")


@dataclass(frozen=True, slots=True)
class Unreadable(Body):
    """A body that cannot be read as its kind."""

    @property
    def line(self) -> str:
        """That it cannot be read."""
        return "this entry cannot be read as its kind"


@dataclass(frozen=True, slots=True)
class TooLarge(Body):
    """What was noticed and did not fit into an entry; only its size was recorded."""

    @property
    def line(self) -> str:
        """That it was not recorded."""
        return "what was noticed is too large for one entry; only its size is recorded"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, before it is sealed."""

    body: Body
    actor: str
    session: str = ""
    incident: str = ""
    run: str = ""
    step: str = ""

    @property
    def kind(self) -> str:
        """The kind of its body."""
        return self.body.kind


@dataclass(frozen=True, slots=True)
class Instant:
    """When something was recorded: wall time, and the monotonic time of one boot of the engine; in seconds."""

    at: float
    mono: float
    boot: str

    def since(self, earlier: Instant) -> float:
        """Seconds from an earlier instant: monotonic within one boot, else by the wall clock; not negative."""
        same = self.boot == earlier.boot
        return max(0.0, self.mono - earlier.mono if same else self.at - earlier.at)


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as the journal stores it: sequence, wall time, monotonic time of its boot, chain hash.

    `kind` is from the header, also when the body is erased, foreign or unreadable.
    """

    seq: int
    at: float
    mono: float
    boot: str
    node: str
    hash: str
    kind: str
    event: Event

    @property
    def body(self) -> Body:
        """The content of the entry."""
        return self.event.body

    @property
    def instant(self) -> Instant:
        """When it was recorded."""
        return Instant(self.at, self.mono, self.boot)

    @property
    def erased(self) -> bool:
        """Whether retention has erased the body."""
        return isinstance(self.event.body, Erased)


def read_body(kind: str, raw: Mapping[str, Any]) -> Body:
    """The typed body of an entry; never raises: a body that cannot be read is Foreign or Unreadable."""
    body = EVENTS.get(kind)
    if body is None:
        return Foreign(raw)
    try:
        made: Body = decode(body, raw)
    except (ValueError, TypeError, LookupError, OverflowError):
        return Unreadable()
    return made
