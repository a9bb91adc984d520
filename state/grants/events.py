"""What the engine records about grants: found at a target, opened, warned of, ending, held up, ended with proof."""

from __future__ import annotations

from dataclasses import dataclass, field

from state.journal.events import WORDS, Body, Observation, event


@event("grant.armed")
@dataclass(frozen=True, slots=True)
class GrantArmed(Observation):
    """The role of a grant was read at its target. `ends` is epoch seconds by the target's clock, `system` what the
    target says it is: the cluster, or the machine."""

    grant: str
    database: str
    oid: int
    role: str
    person: str
    bundle: str
    ticket: str
    ends: float
    message: str = field(metadata=WORDS)
    system: str = ""


@event("grant.opening", starts=True)
@dataclass(frozen=True, slots=True)
class GrantOpening(Body):
    """Its login is about to be opened for the person who asked for it; `secret` is the hash of the verifier."""

    grant: str
    secret: str
    message: str = field(metadata=WORDS)


@event("grant.opened")
@dataclass(frozen=True, slots=True)
class GrantOpened(Body):
    """Its login was read to be open."""

    grant: str
    message: str = field(metadata=WORDS)


@event("grant.extended")
@dataclass(frozen=True, slots=True)
class GrantExtended(Observation):
    """Its end was read to be another one."""

    grant: str
    ends: float
    message: str = field(metadata=WORDS)


@event("grant.warned")
@dataclass(frozen=True, slots=True)
class GrantWarned(Observation):
    """It ends in so many seconds."""

    grant: str
    seconds: int
    message: str = field(metadata=WORDS)


@event("grant.ending")
@dataclass(frozen=True, slots=True)
class GrantEnding(Body):
    """Its end has begun; `reason` is why."""

    grant: str
    reason: str
    message: str = field(metadata=WORDS)


@event("grant.held-up")
@dataclass(frozen=True, slots=True)
class GrantHeldUp(Observation):
    """Something is against its end; it is tried again until it is proven."""

    grant: str
    obstacle: str
    message: str = field(metadata=WORDS)


@event("grant.ended")
@dataclass(frozen=True, slots=True)
class GrantEnded(Body):
    """It is over: at each of `nodes` no session of its OID was read, twice, and its role is gone.

    `at` is epoch seconds by the target's clock, `late` the seconds after its time; `left` is what it had left and was
    handed over or revoked, `refused` the logins that were tried then and refused.
    """

    grant: str
    at: float
    late: float
    nodes: tuple[str, ...]
    left: tuple[str, ...]
    message: str = field(metadata=WORDS)
    refused: tuple[str, ...] = ()


@event("grant.returned")
@dataclass(frozen=True, slots=True)
class GrantReturned(Observation):
    """Its role was read again after its proof: a standby was promoted that had not heard of the end. It ends again."""

    grant: str
    message: str = field(metadata=WORDS)


@event("grant.pictured")
@dataclass(frozen=True, slots=True)
class GrantPictured(Body):
    """A part of what is compared after a grant of the tier of superusers, as it was before anybody could log in."""

    grant: str
    part: int
    parts: int
    items: tuple[str, ...]
    message: str = field(metadata=WORDS)


@event("grant.compared")
@dataclass(frozen=True, slots=True)
class GrantCompared(Body):
    """What is not as it was before it, each with its way out; none: it is settled."""

    grant: str
    found: tuple[str, ...]
    message: str = field(metadata=WORDS)


@event("grant.residue-accepted")
@dataclass(frozen=True, slots=True)
class GrantResidueAccepted(Body):
    """A person, who is not its holder, takes what differs as it is; `accepted` is what."""

    grant: str
    accepted: tuple[str, ...]
    reason: str
    message: str = field(metadata=WORDS)
