"""Give access to a host for a while, and extend it. Nobody is let in until its person hands in a public key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from state.api.card import CardWarning, Diff, Rule, WarningKind
from state.changes.access import GrantId, LifeTime, Reason, Ticket, grant_in
from state.changes.model import ChangeKind, ChangeSpec, Finding, Late, Preview, ReadBack, Risk
from state.config_files.suggestions import not_found
from state.errors import ReadFailure
from state.estate.access import HostBundle
from state.estate.model import Estate, HandStep, Name
from state.granting.model import AccessSeen, TargetGrant, TargetState, account_name_of, host_target
from state.ports.access import CanGrant, NamesItself
from state.ports.outside import Outside
from state.ports.target import Identity, Receipt, Setting
from state.units import utc

GRANT_HOST, EXTEND_HOST = "access.grant-host", "access.extend-host"
PREPARE = "recovery host prepare {}"
ADMINISTRATOR = "administrator of the host"


class HostGrantArgs(BaseModel):
    """Who gets which bundle at which host, for how many seconds, and why. `grant` names it from then on."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    host: Name
    grant: GrantId
    person: Name
    bundle: Name
    seconds: LifeTime
    ticket: Ticket
    reason: Reason


class HostExtendArgs(BaseModel):
    """A grant at a host, and by how many seconds it ends later."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    host: Name
    grant: GrantId
    seconds: LifeTime
    reason: Reason


class HostAccessChange:
    """What both have in common."""

    risk = Risk.B4
    settle = 1.0
    quiet = 5.0
    timeout = 20.0

    def __init__(
        self, kind: str, args: HostGrantArgs | HostExtendArgs, estate: Estate, target: CanGrant | None
    ) -> None:
        self.spec = ChangeSpec(kind, args.model_dump(mode="json"))
        self.host = self.name = args.host
        self.grant, self.seconds, self.effect = args.grant, args.seconds, ""
        self.targets: tuple[str, ...] = (f"access/{host_target(args.host)}/{args.grant}",)
        self.entry = estate.hosts[args.host].access
        self._target, self._delivery = target, estate.policies.delivery

    def follow(self, left: Sequence[Setting]) -> None:
        """Nothing that an earlier change of a plan leaves is looked at here; fulfils CanFollow."""

    @property
    def late(self) -> Late:
        """The command ends by itself at its limit."""
        return Late(self._delivery, 25.0, "recovery-access: each call ends, and takes its turn within 10 s")

    @property
    def target(self) -> CanGrant:
        """Where access is given. Raises NotFound where the estate does not allow it."""
        if self._target is None:
            raise not_found("host with access", self.host, [])
        return self._target

    async def identify(self, *, deadline: float) -> Identity:
        """The machine, and since which start it runs. Raises ReadFailure."""
        assert isinstance(self.target, NamesItself), "every host does"
        return await self.target.identify(deadline=deadline)

    async def seen(self, deadline: float) -> AccessSeen | str:
        """What the host tells, or why it does not."""
        try:
            return await self.target.seen([], deadline=deadline)
        except ReadFailure as error:
            return error.message

    def rule(self, rule: str, passed: bool, fact: str, way_out: str = "", who: str = "") -> Rule:
        """A rule about what was read of the host just now."""
        return Rule(rule, passed, fact, way_out, who, source=self.host)

    def common_rules(self, seen: AccessSeen | str) -> tuple[Rule, ...]:
        """What must be so for both."""
        way_out = f"{PREPARE.format(self.host)}, or bring the host back"
        if isinstance(seen, str):
            return (self.rule("access-read", False, seen, way_out, ADMINISTRATOR),)
        rules = [self.rule("access-read", True, f"{self.host} tells of its accounts and processes")]
        if seen.unable:
            rules.append(self.rule("can-end", False, seen.unable, PREPARE.format(self.host), ADMINISTRATOR))
        longest = float(self.target.longest)
        told = f"{self.seconds} s of at most {longest:.0f} s"
        rules.append(self.rule("time-limit", self.seconds <= longest, told, "Ask for a shorter time"))
        return tuple(rules)

    async def role(self, deadline: float) -> TargetGrant | None:
        """The grant as the host has it, None when it is not there. Raises ReadFailure."""
        return grant_in(await self.target.seen([], deadline=deadline), self.grant)


class GiveHostAccess(HostAccessChange):
    """Done when the host has the account of this effect."""

    def __init__(self, args: HostGrantArgs, estate: Estate, target: CanGrant | None) -> None:
        super().__init__(GRANT_HOST, args, estate, target)
        self.args, self.people = args, estate.people
        self.account = account_name_of(args.grant, args.person)
        self.verb = f"let {args.person} have {args.bundle} for {args.seconds // 60} min"
        self.title = f"Access {args.bundle} at {host_target(args.host)} for {args.person}, {args.seconds // 60} min"

    async def preview(self, *, deadline: float) -> Preview:
        """What would be given, and that it can be taken away again."""
        allowed = self.entry is not None and self._target is not None
        seen = await self.seen(deadline) if allowed else f"the estate does not allow access at {self.host}"
        there = None if isinstance(seen, str) else grant_in(seen, self.grant)
        person, bundles = self.args.person, self.entry.bundles if self.entry is not None else {}
        bundle = bundles.get(self.args.bundle)
        known_as = "is" if person in self.people else "is not"
        known = ", ".join(bundles) or "none"
        return Preview(
            verb=self.verb,
            diffs=(Diff(f"{self.host} {self.account}", "not there", f"{self.args.bundle}, ends by itself"),),
            facts={"account": self.account, "there": there is not None},
            rules=(
                self.rule(
                    "access-allowed", allowed,
                    f"the estate {'allows' if allowed else 'does not allow'} access at {self.host}",
                    f"Add hosts.{self.host}.access", "the maintainers of the estate file",
                ),
                self.rule("bundle", bundle is not None, f"{self.args.bundle}; here there are: {known}",
                          "Ask for one of these"),
                self.rule("known-person", person in self.people, f"{person} {known_as} a person of this estate",
                          "Add the person under people", "the maintainers of the estate file"),
                *(self.common_rules(seen) if allowed else ()),
            ),
            warnings=tuple(CardWarning(WarningKind.EFFECT, self.host, f"{person} {each}") for each in _means(bundle)),
            sessions_cut=0,
            already=there is not None and there.effect == self.effect != "",
        )  # fmt: skip

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Make the account, closed, and have the host wait for its end."""
        a = self.args
        armed = await self.target.arm(
            a.grant, self.account, a.bundle, a.person, a.ticket, effect=effect, seconds=a.seconds,
            deadline=deadline * 0.6,
        )  # fmt: skip
        failed = await self.target.watch(armed.oid, deadline=deadline * 0.4)
        told = f"{self.account} was made, closed, and ends {utc(armed.ends)} by the host's clock"
        return Receipt("armed", "; ".join([told, *failed.values()]))

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """Whether the account of this effect is there."""
        seen = await self.target.seen([], deadline=deadline)
        role = grant_in(seen, self.grant)
        if role is None:
            return ReadBack(Finding.NOT_DONE, (f"{self.host}: no account has the mark of {self.grant}",))
        if self.effect and role.effect != self.effect:
            return ReadBack(Finding.NOT_DONE, (f"{role.role} was made by another effect, {role.effect}",))
        waits = any(role.oid in oids for oids in seen.reapers.values())
        told = (
            f"{role.role}: {role.rights}, ends {utc(role.ends or 0)}; the host {'waits' if waits else 'does not wait'}"
        )
        return ReadBack(Finding.DONE, (f"{told} for its end",))


class ExtendHostAccess(HostAccessChange):
    """Done when the host has the end of this effect."""

    def __init__(self, args: HostExtendArgs, estate: Estate, target: CanGrant | None) -> None:
        super().__init__(EXTEND_HOST, args, estate, target)
        self.verb = f"let {args.grant} end {args.seconds // 60} min later"
        self.title = f"Extend {args.grant} at {host_target(args.host)} by {args.seconds // 60} min"

    async def preview(self, *, deadline: float) -> Preview:
        """From which end to which. Raises NotFound for a grant that is not there."""
        seen = await self.seen(deadline)
        role = None if isinstance(seen, str) else grant_in(seen, self.grant)
        if role is None and not isinstance(seen, str):
            raise not_found("live grant", self.grant, [each.grant for each in seen.roles if each.ours])
        live = role is not None and role.state in (TargetState.ARMED, TargetState.OPEN)
        ends = utc(role.ends) if role is not None and role.ends is not None else "not read"
        later = utc(role.ends + self.seconds) if role is not None and role.ends is not None else "not known"
        return Preview(
            verb=self.verb,
            diffs=(Diff(f"{self.host} {self.grant} ends", ends, later),),
            facts={"ends": ends},
            rules=(
                *self.common_rules(seen),
                self.rule("grant-live", live, f"{self.grant} is {role.state if role else 'not read'}",
                          "What is ending is over: ask for another one"),
            ),
            sessions_cut=0,
        )  # fmt: skip

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Move its end once."""
        role = await self.role(deadline / 2)
        if role is None:
            raise not_found("live grant", self.grant, [])
        ends = await self.target.extend(role.oid, self.seconds, effect=effect, deadline=deadline / 2)
        return Receipt("extended", f"{self.grant} ends {utc(ends)}")

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """Whose effect its end is."""
        role = await self.role(deadline)
        if role is None:
            return ReadBack(Finding.NOT_DONE, (f"{self.grant} is gone",))
        evidence = (f"{self.grant} ends {utc(role.ends or 0)}",)
        return ReadBack(Finding.DONE if role.extended_by == self.effect else Finding.NOT_DONE, evidence)


def _means(bundle: HostBundle | None) -> Sequence[str]:
    """What its holder can do, and what of it is not seen."""
    if bundle is None:
        return ()
    can = (
        f"runs {' '.join(bundle.command)}, and nothing else"
        if bundle.command
        else "runs any command as an account of its own"
    )
    told = [can + (f" in {', '.join(bundle.groups)}" if bundle.groups else "")]
    if bundle.can_be_root:
        told.append("can become root: what root changes is found by comparing files, and only those that are compared")
    if bundle.forwarding:
        told.append("may forward ports, to where this host reaches")
    if bundle.recorder:
        told.append("is recorded at a terminal only: not what is typed unseen, commands without one, other windows")
    return told


def _target(host: str, outside: Outside) -> CanGrant | None:
    return outside.access.get(host_target(host))


def _known(host: str, estate: Estate) -> None:
    if host not in estate.hosts:
        raise not_found("host", host, estate.hosts)


def _give(args: HostGrantArgs, estate: Estate, outside: Outside) -> GiveHostAccess:
    _known(args.host, estate)
    return GiveHostAccess(args, estate, _target(args.host, outside))


def _extend(args: HostExtendArgs, estate: Estate, outside: Outside) -> ExtendHostAccess:
    _known(args.host, estate)
    return ExtendHostAccess(args, estate, _target(args.host, outside))


def _by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """With the program that the host is prepared with, and ssh-keygen."""
    arm = "recovery-access arm ID bg_ID BUNDLE PERSON TICKET 'by hand' SECONDS"
    return [HandStep("on the host, as root, after recovery host prepare", arm)]


def _extend_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    return [HandStep("on the host, as root", "recovery-access extend UID 'by hand' SECONDS")]


KINDS = (
    ChangeKind(GRANT_HOST, "Give access to a host for a while", HostGrantArgs, Risk.B4, _give, _by_hand),
    ChangeKind(EXTEND_HOST, "Extend access to a host", HostExtendArgs, Risk.B4, _extend, _extend_by_hand),
)
