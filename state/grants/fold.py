"""Which grants there are, as a fold over the journal: one that is not proven to be over is never forgotten."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from state.api.views.access import GrantCredential
from state.granting.model import AccessSeen, Bundle, NotEnded
from state.grants.events import (
    GrantArmed,
    GrantCompared,
    GrantEnded,
    GrantEnding,
    GrantExtended,
    GrantHeldUp,
    GrantOpened,
    GrantOpening,
    GrantPictured,
    GrantResidueAccepted,
    GrantReturned,
    GrantWarned,
)
from state.journal.events import Recorded
from state.journal.projection import FoldSetting, Projection

KEPT = 50
"""So many grants that are over are known; older ones are in the journal."""


@dataclass
class Grant:
    """One grant. `ending_since` is the wall clock at which its end began, None before; `ended` is its proof's entry.

    Of the tier of superusers: `pictured` when all of `picture` is there, `compared` when it was after the end,
    `residue` what differed then, `accepted` by whom.
    """

    id: str
    database: str
    oid: int
    role: str
    person: str
    bundle: str
    ticket: str
    ends: float
    opened: bool = False
    opening: bool = False
    warned: set[int] = field(default_factory=set)
    ending_since: float | None = None
    reason: str = ""
    obstacle: str = ""
    ended: GrantEnded | None = None
    by: str = ""
    picture: list[str] = field(default_factory=list)
    pictured: bool = False
    compared: bool = False
    residue: tuple[str, ...] = ()
    accepted: str = ""
    seqs: list[int] = field(default_factory=list)
    system: str = ""

    @property
    def settled(self) -> bool:
        """Whether nothing of what it may have left is open."""
        return self.bundle != Bundle.SUPERUSER.value or bool(self.accepted) or (self.compared and not self.residue)


@dataclass
class TargetLook:
    """What a target told last, and when; `error` is why it does not tell now. None of it is kept."""

    seen: AccessSeen | None = None
    mono: float | None = None
    error: str = ""
    takes: GrantCredential = GrantCredential.VERIFIER
    bundles: tuple[str, ...] = ()
    held_up: dict[str, NotEnded] = field(default_factory=dict)


class Grants:
    """All that are open, and the newest that are over, by id."""

    def __init__(self, setting: FoldSetting) -> None:
        self.all: dict[str, Grant] = {}
        self.looks: dict[str, TargetLook] = {}
        self.unrecorded = 0

    @property
    def moving(self) -> bool:
        """Whether what is told of it may change at any time."""
        return bool(self.open or self.unsettled)

    @property
    def open(self) -> list[Grant]:
        """Those that are not proven to be over."""
        return [each for each in self.all.values() if each.ended is None]

    @property
    def unsettled(self) -> list[Grant]:
        """Those that are over and may have left something."""
        return [each for each in self.all.values() if each.ended is not None and not each.settled]

    def fold(self, recorded: Recorded) -> None:
        """Apply one entry. Raises KeyError for a grant that was never armed."""
        body = recorded.body
        if isinstance(body, GrantArmed):
            made = Grant(
                body.grant, body.database, body.oid, body.role, body.person, body.bundle, body.ticket, body.ends,
                system=body.system,
            )  # fmt: skip
            self.all.setdefault(body.grant, made).seqs.append(recorded.seq)
            return
        grant = self.all[body.grant]  # type: ignore[attr-defined]
        grant.seqs.append(recorded.seq)
        if isinstance(body, AfterEnd):
            _after_end(grant, body, recorded)
            return
        match body:
            case GrantOpening():
                grant.opening = True
            case GrantOpened():
                grant.opened = True
            case GrantExtended():
                grant.ends, grant.warned = body.ends, set()
            case GrantWarned():
                grant.warned.add(body.seconds)
            case GrantEnding():
                grant.ending_since, grant.reason = recorded.at, body.reason
            case GrantEnded():
                grant.ended, grant.obstacle = body, ""
                over = [name for name, each in self.all.items() if each.ended is not None and each.settled]
                for name in over[:-KEPT]:
                    del self.all[name]

    def needs(self) -> Iterable[int]:
        """The entries that it follows from."""
        return [seq for each in self.all.values() for seq in each.seqs]


AfterEnd = GrantHeldUp | GrantReturned | GrantPictured | GrantCompared | GrantResidueAccepted
"""What is about its end, and what it may have left."""


def _after_end(grant: Grant, body: AfterEnd, recorded: Recorded) -> None:
    match body:
        case GrantHeldUp():
            grant.obstacle = body.obstacle
        case GrantReturned():
            grant.ended, grant.ending_since, grant.compared, grant.accepted = None, recorded.at, False, ""
        case GrantPictured():
            grant.picture = [*(grant.picture if body.part > 1 else ()), *body.items]
            grant.pictured = body.part == body.parts
        case GrantCompared():
            grant.compared, grant.residue = True, body.found
        case GrantResidueAccepted():
            grant.accepted = recorded.event.actor


GRANTS = Projection(
    Grants,
    Grants,
    (
        GrantArmed, GrantOpening, GrantOpened, GrantExtended, GrantWarned, GrantEnding, GrantHeldUp, GrantEnded,
        GrantReturned, GrantPictured, GrantCompared, GrantResidueAccepted,
    ),
    Grants.fold,
    needs=Grants.needs,
)  # fmt: skip
