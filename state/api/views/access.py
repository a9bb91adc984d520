"""Grants that are live, ending or over, and other accounts with raised rights: screen 6."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class GrantState(StrEnum):
    """Where a grant is. Only `ended` says that it is proven to be over and that nothing it left is open."""

    ARMED = "armed"
    """Its role is there, without a login, until its person takes the secret."""
    OPEN = "open"
    EXPIRING = "expiring"
    """Open, with two minutes or less left."""
    ENDING = "ending"
    RESIDUE = "residue"
    """No role and no session, and things are not as before it."""
    ENDED = "ended"


class GrantCredential(StrEnum):
    """What a person brings to open a login: the verifier of a secret, or a public key for which a certificate is
    signed. Neither lets anybody in by itself."""

    VERIFIER = "verifier"
    PUBLIC_KEY = "public-key"


@dataclass(frozen=True, slots=True)
class GrantSessionRow:
    """A session under a grant now: node, process, what it does."""

    node: str
    pid: int
    database: str
    state: str
    doing: str
    client: str


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A grant. `ends_mono`: when it ends by the engine's monotonic clock; None when its target was not read.

    `sessions` are those that were read last, `read_mono` when that was, None = never. `obstacle` is what is against its
    end and `way_out` what a person does then. `late` are the seconds by which it ended after its time, `proof` what was
    read then; `left` is what it had left and was handed over or revoked, `residue` what is open and a person accepts.
    `database` is where, `host NAME` for a host; there a login `takes` a public key, for which `certificate` is signed,
    and `address` is what ssh is told; else it is what libpq is told: `host=A,B port=C,D`.
    """

    id: str
    database: str
    role: str
    person: str
    bundle: str
    ticket: str
    state: GrantState
    ends_mono: float | None
    sessions: tuple[GrantSessionRow, ...]
    read_mono: float | None
    obstacle: str = ""
    way_out: str = ""
    ended_at: float | None = None
    late: float = 0.0
    proof: str = ""
    left: tuple[str, ...] = ()
    residue: tuple[str, ...] = ()
    by: str = ""
    takes: GrantCredential = GrantCredential.VERIFIER
    certificate: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class ElevatedRow:
    """An account with raised rights that is none of ours. `until` in epoch seconds of the target, None = for ever."""

    database: str
    role: str
    rights: str
    superuser: bool
    until: float | None


@dataclass(frozen=True, slots=True)
class AccessTargetRow:
    """A cluster where access may be given. `error` is why it was not read, `read_mono` when it was read last."""

    database: str
    read_mono: float | None
    error: str
    bundles: tuple[str, ...]
    takes: GrantCredential = GrantCredential.VERIFIER


@dataclass(frozen=True, slots=True)
class AccessView:
    """All of it; grants by id, the newest first, those that are over below."""

    grants: Mapping[str, GrantRow]
    others: Mapping[str, ElevatedRow]
    targets: Mapping[str, AccessTargetRow]
