"""What the program on a host tells of grants, as data. Raises ReadFailure for an answer of another shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.access.on_host.store import VERSION
from adapters.net.answers_read import MALFORMED, read_json
from state.errors import ReadFailure, Trouble
from state.granting.certificates import NoKey, parse_certificate
from state.granting.model import AccessSeen, Door, GrantSession, Residue, ResidueKind, TargetGrant, TargetState
from state.text import clean

LONGEST = 200
"""Characters of a text that a host tells."""
TRIED = ("its certificate", "its key", "its serial")
"""What the certificates show with which logins are tried: that of its person, and the two that nobody has."""
TEXTS = ("grant", "effect", "bundle", "person", "ticket", "secret", "extended_by")


@dataclass(frozen=True, slots=True)
class HostGrant:
    """A grant as its host keeps it. `certificates` are those with which logins are tried, by what each shows; `keys`
    the public keys of its person. `over`: its account is gone."""

    told: TargetGrant
    certificates: Mapping[str, str]
    keys: Sequence[str]
    over: bool


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What a host tells at one time. `clock` is its own, epoch seconds."""

    clock: float
    unable: str
    grants: Mapping[int, HostGrant]
    others: Sequence[TargetGrant]
    sessions: Mapping[int, Sequence[GrantSession]]
    waiting: Sequence[int]
    machine: str = ""

    def seen(self, name: str, doors: Mapping[int, Sequence[Door]]) -> AccessSeen:
        """As it is judged."""
        return AccessSeen(
            roles=[*(each.told for each in self.grants.values() if not each.over), *self.others],
            sessions=self.sessions,
            starting={name: ()},
            reapers={name: self.waiting},
            clock=self.clock,
            primary=name,
            unable=self.unable,
            doors=doors,
            system=self.machine and f"machine {self.machine}",
        )


def host_facts(name: str, told: Mapping[str, Any]) -> HostFacts:
    """The answer to `seen`. Raises ReadFailure."""
    try:
        if told["version"] != VERSION:
            why = (
                f"it was prepared by version {int(told['version'])}, {VERSION} is needed: recovery host prepare {name}"
            )
            raise ReadFailure(Trouble.DENIED, f"{name}: {why}")
        grants = [*(_grant(each, over=False) for each in told["grants"]), *(_grant(e, over=True) for e in told["over"])]
        sessions = {int(uid): [_session(name, each) for each in rows] for uid, rows in told["sessions"].items()}
        return HostFacts(
            clock=float(told["clock"]),
            unable=clean(str(told["unable"]), LONGEST),
            grants={each.told.oid: each for each in grants},
            others=[_other(each) for each in told["others"]],
            sessions=sessions,
            waiting=[int(each) for each in told["waiting"]],
            machine=clean(str(told.get("machine", "")), 64),
        )
    except (*MALFORMED, NoKey) as error:
        why = f"what it tells of grants is not as expected ({type(error).__name__})"
        raise ReadFailure(Trouble.ERROR, f"{name}: {why}") from error


def host_answer(name: str, body: bytes) -> Mapping[str, Any]:
    """Any answer of the program. Raises ReadFailure for what is none."""
    try:
        told = read_json(body)
    except ValueError as error:
        first = clean(body[:200].decode("utf-8", "replace").strip().partition("\n")[0], 60)
        why = f"recovery-access answered with something else than JSON: {first or 'nothing'}"
        way = f"let its account print nothing at a login (.bashrc, sshrc), else recovery host prepare {name}"
        raise ReadFailure(Trouble.ERROR, f"{name}: {why}; {way}") from error
    if not isinstance(told, dict):
        raise ReadFailure(Trouble.ERROR, f"{name}: recovery-access did not answer with an object")
    return told


def host_residue(name: str, told: Mapping[str, Any]) -> list[Residue]:
    """The answer to `residue`. Raises ReadFailure."""
    try:
        return [
            Residue(ResidueKind(each["kind"]), name, clean(" ".join((each["thing"], *_number(each["id"]))), 300))
            for each in told["left"]
        ]
    except MALFORMED as error:
        raise ReadFailure(Trouble.ERROR, f"{name}: what is left is not as expected ({type(error).__name__})") from error


def _number(told: str) -> list[str]:
    """By which a person accepts it there."""
    return [f"[{told}]"] if told else []


def _grant(row: Mapping[str, Any], *, over: bool) -> HostGrant:
    certificate = str(row["certificate"])
    if certificate:
        parse_certificate(certificate)
    lines = [certificate, *(str(each) for each in row["controls"])]
    tried = dict(zip(TRIED, lines, strict=True)) if certificate else {}
    told = TargetGrant(
        oid=int(row["uid"]),
        role=clean(str(row["role"]), LONGEST),
        ours=True,
        can_login=bool(row.get("can_login", False)),
        superuser=False,
        rights=clean(str(row["rights"]), LONGEST),
        valid_until=float(row["window"]),
        **{name: clean(str(row[name]), LONGEST) for name in TEXTS},
        made=float(row["made"]),
        ends=float(row["ends"]),
        state=TargetState(row["state"]),
        certificate=certificate,
    )
    return HostGrant(told, tried, [str(each) for each in row["keys"]], over)


def _other(row: Mapping[str, Any]) -> TargetGrant:
    return TargetGrant(
        oid=int(row["uid"]),
        role=clean(str(row["name"]), LONGEST),
        ours=False,
        can_login=not row["shut"],
        superuser=bool(row["root"]),
        rights=clean(str(row["why"]), LONGEST),
        valid_until=None,
    )


def _session(node: str, row: Mapping[str, Any]) -> GrantSession:
    """A process of a grant: what it is, and what makes it hard to see."""
    title = clean(str(row["title"]), 60)
    connection = title.startswith("sshd")
    marks = [
        *(["re-parented"] if row["orphan"] else []),
        *([] if row["own"] or connection else [f"as uid {int(row['as'])}"]),
        *([f"listens on {', '.join(str(int(port)) for port in row['ports'])}"] if row["ports"] else []),
    ]
    return GrantSession(
        node=node,
        pid=int(row["pid"]),
        database=clean(str(row["terminal"]), 20),
        backend="connection" if connection else "process",
        state=", ".join(marks) or ("connected" if connection else "active"),
        program=title,
        client=clean(str(row["client"]), 60),
        since=float(row["since"]),
        doing=title[:20],
    )
