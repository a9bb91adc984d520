"""What is shown on every screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from state.api.run_states import RunState
from state.api.views.causes import Cause
from state.health import Health
from state.units import file_of


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One source: monotonic instant of its last good read (None = never), age limit, last error if any."""

    key: str
    mono: float | None
    limit: float
    trouble: str
    message: str


@dataclass(frozen=True, slots=True)
class RtoClock:
    """A running RTO clock: start (monotonic), objective in seconds, end (None = still running)."""

    service: str
    started_mono: float
    target: float
    ended_mono: float | None


@dataclass(frozen=True, slots=True)
class DataRisk:
    """What a failover now could lose. `lost_bytes` None = unknown; `target` is the RPO in bytes."""

    database: str
    lost_bytes: int | None
    target: int
    health: Health
    message: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WaitingRun:
    """A run that needs a person: its question with whom it asks, or that it is paused and why.

    `started_mono` and `limit` (seconds) are of the question; None when nothing is asked or no limit is known.
    """

    run: str
    title: str
    state: RunState
    step: str
    instance: int
    asks: str
    question: str
    message: str
    started_mono: float | None
    limit: float | None


@dataclass(frozen=True, slots=True)
class ConsoleRow:
    """One attached console: who sits at it, whether it only observes, and the topic of the screen in front of it
    (empty when it did not tell). `since` is in epoch seconds."""

    key: str
    person: str
    observes: bool
    screen: str
    since: float


@dataclass(frozen=True, slots=True)
class EstateChange:
    """The estate's files were changed and are not loaded: when (seconds since 1970), and why they cannot be, if so."""

    at: float
    problem: str


@dataclass(frozen=True, slots=True)
class ProtectedWindow:
    """A protected window that is open, or the next one: from `start` until `end`, epoch seconds, and the same in its
    own zone for people. `file` is the calendar that it is from, last changed at `written`, epoch seconds."""

    name: str
    title: str
    start: float
    end: float
    local: str
    open: bool
    file: str = ""
    written: float = 0.0

    @property
    def source(self) -> str:
        """From which calendar it is and how old that is, for people."""
        return file_of(self.file, self.written)


@dataclass(frozen=True, slots=True)
class HeaderView:
    """On every screen: the estate, the clocks, the risk, what is running, the journal's head.

    `causes` is everything that is wrong, at its root, the worst first; its first entry is the sentence under the tabs.
    `alarms` is the detail of those that cannot be left alone. `waiting` are the runs that need a person, by their id;
    `consoles` the attached consoles. `journal_doubt` says why recorded entries cannot be trusted,
    `journal_verified_seq` up to which entry the chain is verified, `journal_erased` how many of these are without
    payload, `estate_change` that the files are not those that are loaded. `window` is the protected window that is open
    for longest, else the next one; `windows_unknown` are those of which nobody knows whether they are open.
    """

    estate: str
    environment: str
    rto: RtoClock | None
    risk: DataRisk | None
    running: tuple[str, ...]
    effects: str
    journal_seq: int
    journal_head: str
    journal_verified: str
    alarms: tuple[str, ...]
    sources: Mapping[str, SourceRow]
    waiting: Mapping[str, WaitingRun] = field(default_factory=dict)
    consoles: Mapping[str, ConsoleRow] = field(default_factory=dict)
    causes: tuple[Cause, ...] = ()
    journal_doubt: str = ""
    journal_verified_seq: int = 0
    journal_erased: int = 0
    estate_change: EstateChange | None = None
    window: ProtectedWindow | None = None
    windows_unknown: tuple[str, ...] = ()
