"""Give access to a database for a while, and extend it. The login stays closed until its person takes the secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from state.api.card import CardWarning, Diff, Rule, WarningKind
from state.changes.cluster_base import ClusterArgs, ClusterChange, database_of
from state.changes.model import ChangeKind, Finding, Late, Preview, ReadBack, Risk
from state.config_files.suggestions import not_found
from state.errors import ReadFailure
from state.estate.access import AccessEntry
from state.estate.model import Estate, HandStep, Name
from state.granting.model import AccessSeen, Bundle, TargetGrant, TargetState, role_name
from state.granting.picture import NOT_SEEN
from state.ports.access import CanGrant
from state.ports.database import Database
from state.ports.outside import Outside
from state.ports.target import Receipt
from state.units import utc

GRANT, EXTEND = "access.grant", "access.extend"
GrantId = Annotated[str, Field(pattern=r"^G-[A-Z2-9]{6}$")]
Ticket = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9#/_.:-]{0,59}$")]
Reason = Annotated[str, Field(min_length=10, max_length=300)]
LifeTime = Annotated[int, Field(ge=60, le=14_400)]
PREPARE = "recovery db prepare {}"
MEANS = {
    Bundle.READ_ALL: "reads every table of every database, and the verifiers of all passwords (pg_authid)",
    Bundle.MONITOR: "reads the statements of all sessions, with the values in them",
    Bundle.TERMINATE: "ends sessions of every account that is no superuser and none of recovery's own",
    Bundle.CONFIG_RELOAD: "has every server process read its configuration files again",
    Bundle.SUPERUSER: "is a superuser after SET ROLE recovery_super: may do everything there, also to what ends it",
    Bundle.SCHEMA_FIX: "changes and drops tables of the schema's owner; what is lost then is lost",
}


class GrantArgs(ClusterArgs):
    """Who gets which rights at which database, for how many seconds, and why. `grant` names it from then on."""

    grant: GrantId
    person: Name
    bundle: Bundle
    seconds: LifeTime
    ticket: Ticket
    reason: Reason


class ExtendArgs(ClusterArgs):
    """A grant, and by how many seconds it ends later."""

    grant: GrantId
    seconds: LifeTime
    reason: Reason


class AccessChange(ClusterChange):
    """What both have in common."""

    risk = Risk.B4
    settle = 1.0
    quiet = 5.0
    timeout = 10.0

    def __init__(
        self, kind: str, args: GrantArgs | ExtendArgs, estate: Estate, database: Database, target: CanGrant | None
    ) -> None:
        super().__init__(kind, args, estate, database)
        self.spec = type(self.spec)(kind, args.model_dump(mode="json"))
        self.grant, self.seconds, self.effect = args.grant, args.seconds, ""
        self.name = args.database
        self.targets = (f"access/{args.database}/{args.grant}",)
        self.access = self.entry.access or AccessEntry()
        self._target = target

    @property
    def late(self) -> Late:
        """One statement: it is over when its session is."""
        return Late(self._delivery, 5.0, "PostgreSQL: a statement ends with its session")

    @property
    def target(self) -> CanGrant:
        """Where access is given. Raises ReadFailure where the estate does not allow it."""
        if self._target is None:
            raise not_found("database with access", self.cluster_name, [])
        return self._target

    async def seen(self, deadline: float) -> AccessSeen:
        """What the nodes tell. Raises ReadFailure."""
        return await self.target.seen([], deadline=deadline)

    def common_rules(self, seen: AccessSeen | str) -> tuple[Rule, ...]:
        """What must be so for both."""
        way_out = f"{PREPARE.format(self.cluster_name)}, or bring the node back"
        if isinstance(seen, str):
            return (self.rule("access-read", False, seen, way_out, "database administrator"),)
        unread = "; ".join(seen.unread.values())
        rules = [self.rule("access-read", not unread, unread or "every node tells of its roles and sessions", way_out)]
        for name, pooler in seen.poolers.items():
            forced = ", ".join(f"{entry} logs in as {user}" for entry, user in pooler.forced.items())
            told = f"pooler {name}: {forced or 'every entry logs in as its client'}"
            way = "Take user= out of these entries of its configuration, then reload it"
            rules.append(self.rule("pooler", not forced, told, way, "administrator of the pooler"))
        if seen.unable:
            administrator = "database administrator"
            rules.append(self.rule("can-end", False, seen.unable, PREPARE.format(self.cluster_name), administrator))
        longest = min(self.access.longest, float(self.target.longest))
        told = f"{self.seconds} s of at most {longest:.0f} s"
        rules.append(self.rule("time-limit", self.seconds <= longest, told, "Ask for a shorter time"))
        return tuple(rules)


class GiveAccess(AccessChange):
    """Done when the target has the role of this effect."""

    def __init__(self, args: GrantArgs, estate: Estate, database: Database, target: CanGrant | None) -> None:
        super().__init__(GRANT, args, estate, database, target)
        self.args = args
        self.role = role_name(args.grant, args.person)
        self.people = estate.people
        self.verb = f"let {args.person} have {args.bundle.value} for {args.seconds // 60} min"
        self.title = f"Access {args.bundle.value} at {args.database} for {args.person}, {args.seconds // 60} min"

    async def preview(self, *, deadline: float) -> Preview:
        """What would be given, and that it can be taken away again."""
        seen = await _read(self, deadline)
        bundle = self.args.bundle
        there = None if isinstance(seen, str) else grant_in(seen, self.grant)
        bundles = self._target.bundles if self._target is not None else ()
        known = ", ".join(bundles) or "none"
        allowed = bundle in self.access.bundles and bundle in bundles
        person = self.args.person
        known_as = "is" if person in self.people else "is not"
        return Preview(
            verb=self.verb,
            diffs=(Diff(f"{self.cluster_name} {self.role}", "not there", f"{bundle.value}, ends by itself"),),
            facts={"role": self.role, "there": there is not None},
            rules=(
                self.rule(
                    "access-allowed", self.entry.access is not None and self._target is not None,
                    f"the estate {'allows' if self.entry.access else 'does not allow'} access at {self.cluster_name}",
                    f"Add databases.{self.cluster_name}.access and act_user", "the maintainers of the estate file",
                ),
                self.rule("bundle", allowed, f"{bundle.value}; here there are: {known}", "Ask for one of these"),
                self.rule("known-person", person in self.people, f"{person} {known_as} a person of this estate",
                          "Add the person under people", "the maintainers of the estate file"),
                *self.common_rules(seen),
            ),
            warnings=tuple(CardWarning(WarningKind.EFFECT, self.cluster_name, told) for told in self._warned(seen)),
            sessions_cut=0,
            approvers=1 if bundle is Bundle.SUPERUSER else 0,
            already=there is not None and there.effect == self.effect != "",
        )  # fmt: skip

    def _warned(self, seen: AccessSeen | str) -> Iterator[str]:
        """What it means, and of a superuser what nobody can prove; where a pooler lets everybody wait."""
        if not isinstance(seen, str):
            for name, pooler in seen.poolers.items():
                if pooler.paused:
                    yield f"pooler {name}: {', '.join(pooler.paused)} is paused, everybody waits there: resume"
                if pooler.shares:
                    yield f"pooler {name}: one of several processes answers (so_reuseport), the others are not seen"
        yield f"{self.args.person} {MEANS[self.args.bundle]}"
        if self.args.bundle is Bundle.SUPERUSER:
            yield "what it leaves is compared afterwards; not seen by that: " + "; ".join(NOT_SEEN)

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Make the role without a login, and have each server wait for its end."""
        a = self.args
        armed = await self.target.arm(
            a.grant, self.role, a.bundle, a.person, a.ticket, effect=effect, seconds=a.seconds, deadline=deadline / 2
        )
        failed = await self.target.watch(armed.oid, deadline=deadline / 2)
        told = f"{self.role} was made without a login, and ends {utc(armed.ends)} by the target's clock"
        return Receipt("armed", "; ".join([told, *failed.values()]))

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """Whether the role of this effect is there."""
        seen = await self.seen(deadline)
        role = grant_in(seen, self.grant)
        if role is None:
            return ReadBack(Finding.NOT_DONE, (f"{self.cluster_name}: no role has the mark of {self.grant}",))
        if self.effect and role.effect != self.effect:
            return ReadBack(Finding.NOT_DONE, (f"{role.role} was made by another effect, {role.effect}",))
        waits = ", ".join(sorted(node for node, oids in seen.reapers.items() if role.oid in oids)) or "no server yet"
        told = f"{role.role}: {role.rights}, ends {utc(role.ends or 0)}; its end is waited for inside {waits}"
        return ReadBack(Finding.DONE, (told,))


class ExtendAccess(AccessChange):
    """Done when the target has the end of this effect."""

    def __init__(self, args: ExtendArgs, estate: Estate, database: Database, target: CanGrant | None) -> None:
        super().__init__(EXTEND, args, estate, database, target)
        self.verb = f"let {args.grant} end {args.seconds // 60} min later"
        self.title = f"Extend {args.grant} at {args.database} by {args.seconds // 60} min"

    async def preview(self, *, deadline: float) -> Preview:
        """From which end to which. Raises NotFound for a grant that is not there."""
        seen = await _read(self, deadline)
        role = None if isinstance(seen, str) else grant_in(seen, self.grant)
        if role is None and not isinstance(seen, str):
            raise not_found("live grant", self.grant, [each.grant for each in seen.roles if each.ours])
        live = role is not None and role.state in (TargetState.ARMED, TargetState.OPEN)
        superuser = role is not None and role.bundle == Bundle.SUPERUSER.value
        fact = f"{self.grant} is of superusers: it is never extended" if superuser else ""
        ends = utc(role.ends) if role is not None and role.ends is not None else "not read"
        later = utc(role.ends + self.seconds) if role is not None and role.ends is not None else "not known"
        return Preview(
            verb=self.verb,
            diffs=(Diff(f"{self.cluster_name} {self.grant} ends", ends, later),),
            facts={"ends": ends},
            rules=(
                *self.common_rules(seen),
                self.rule("grant-live", live and not superuser,
                          fact or f"{self.grant} is {role.state if role else 'not read'}",
                          "Ask for another one" if superuser else "What is ending is over: ask for another one"),
            ),
            sessions_cut=0,
        )  # fmt: skip

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Move its end once."""
        role = grant_in(await self.seen(deadline / 2), self.grant)
        if role is None:
            raise not_found("live grant", self.grant, [])
        ends = await self.target.extend(role.oid, self.seconds, effect=effect, deadline=deadline / 2)
        return Receipt("extended", f"{self.grant} ends {utc(ends)}")

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """Whose effect its end is."""
        role = grant_in(await self.seen(deadline), self.grant)
        if role is None:
            return ReadBack(Finding.NOT_DONE, (f"{self.grant} is gone",))
        evidence = (f"{self.grant} ends {utc(role.ends or 0)}",)
        return ReadBack(Finding.DONE if role.extended_by == self.effect else Finding.NOT_DONE, evidence)


async def _read(change: AccessChange, deadline: float) -> AccessSeen | str:
    try:
        return await change.seen(deadline)
    except ReadFailure as error:
        return error.message


def grant_in(seen: AccessSeen, grant: str) -> TargetGrant | None:
    """The grant of this name, None when it is not there."""
    return next((each for each in seen.roles if each.ours and each.grant == grant), None)


def _by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """With the functions that the cluster is prepared with."""
    what = "as the account that acts, on the primary, after recovery db prepare"
    call = "select * from recovery_access.arm('ID', 'by hand', 'bg_ID', 'BUNDLE', 'PERSON', 'TICKET', SECONDS)"
    return [HandStep(what, f'psql -c "{call}"')]


def _extend_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    return [HandStep("on the primary", "psql -c \"select recovery_access.extend(OID, 'by hand', SECONDS)\"")]


def _give(args: GrantArgs, estate: Estate, outside: Outside) -> GiveAccess:
    return GiveAccess(args, estate, database_of(args.database, outside), outside.access.get(args.database))


def _extend(args: ExtendArgs, estate: Estate, outside: Outside) -> ExtendAccess:
    return ExtendAccess(args, estate, database_of(args.database, outside), outside.access.get(args.database))


KINDS = (
    ChangeKind(GRANT, "Give access for a while", GrantArgs, Risk.B4, _give, _by_hand),
    ChangeKind(EXTEND, "Extend access", ExtendArgs, Risk.B4, _extend, _extend_by_hand),
)
