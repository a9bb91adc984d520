"""What is wrong, at its root: the cause, who suffers from it, what happens by itself, and what a person does next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from state.health import Health
from state.units import clock


class SubjectKind(StrEnum):
    """What a cause, a victim or a row of the recovery order is about."""

    DATABASE = "database"
    SERVICE = "service"
    RECORD = "record"
    BALANCER = "balancer"
    BACKUP = "backup"
    """What a database can be restored from."""
    SOURCE = "source"
    ALERT = "alert"
    RUN = "run"
    OTHER = "other"


class NextKind(StrEnum):
    """How the next action is taken: a runbook of the library, a change, the way back to a release (its arguments are
    `service` and `to`), a place on a screen, a run that waits, or a person's own hands where this version has neither.
    """

    RUNBOOK = "runbook"
    CHANGE = "change"
    ROLLBACK = "rollback"
    PLACE = "place"
    RUN = "run"
    HAND = "hand"


class ForecastKind(StrEnum):
    """What happens by itself."""

    PROMOTION = "promotion"
    DEMOTION = "demotion"
    REJOIN = "rejoin"
    RETRY = "retry"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class NextStep:
    """The next action. `name` is a runbook, a change kind, a topic or a run; `arguments` what is filled in already.

    `key` opens it on the Overview. `title` is short (`switch over`), `message` says all of it; by hand it is what a
    person does, with the command.
    """

    kind: NextKind
    name: str
    arguments: Mapping[str, str]
    key: str
    title: str
    message: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """What happens if nobody acts. `by_mono` is the latest instant (engine's monotonic clock), None = not known."""

    kind: ForecastKind
    message: str
    by_mono: float | None

    def text(self, now_mono: float) -> str:
        """`Patroni promotes n2 in ≤ 18 s`, or since when that is overdue."""
        if self.by_mono is None:
            return self.message
        left = self.by_mono - now_mono
        return f"{self.message} in ≤ {left:.0f} s" if left >= 0.5 else f"{self.message}: due {clock(-left)} ago"


@dataclass(frozen=True, slots=True)
class Victim:
    """A subject that waits for the cause or shares it, and why in words."""

    kind: SubjectKind
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause. `key` identifies it from frame to frame; `what` is a short sentence part about `name`.

    `since_mono` is the first failing reading by the engine's monotonic clock, None when that is not known. `detail` is
    the whole message with positions and ids. `sources` are what it was read from. `loud` causes cannot be left alone:
    they are alarms.
    """

    key: str
    kind: SubjectKind
    name: str
    health: Health
    since_mono: float | None
    what: str
    detail: str
    victims: tuple[Victim, ...]
    forecast: Forecast | None
    next: NextStep | None
    sources: tuple[str, ...]
    loud: bool

    @property
    def waited_for(self) -> bool:
        """Whether its victims wait for it: those of a source, and of a reason not to be judged, only share it."""
        unjudged = self.kind is SubjectKind.SERVICE and self.health is Health.UNKNOWN
        return self.kind is not SubjectKind.SOURCE and not unjudged

    def sentence(self, now_mono: float) -> str:
        """`orders: primary n1 does not answer 00:38. Patroni promotes n2 in ≤ 18 s.` at an instant."""
        named = f"{self.name}: {self.what}" if self.name else self.what
        said = named if self.since_mono is None else f"{named} {clock(max(0.0, now_mono - self.since_mono))}"
        return f"{said}. {self.forecast.text(now_mono)}." if self.forecast is not None else f"{said}."
