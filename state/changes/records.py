"""Changes of DNS records: all addresses of one name at once, compared and set in one message.

A name server answers "no error" for parts that it leaves out, and its secondaries follow when they like. So done is
what every authoritative server answers, asked by another way than the update went.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from state.api.card import CardWarning, Diff, Rule, WarningKind
from state.changes.model import ChangeKind, ChangeSpec, Finding, Late, Preview, ReadBack, Risk
from state.changes.record_args import SetRecordsArgs
from state.changes.record_proof import agreement
from state.changes.record_rules import rules_of, warnings_of
from state.config_files.suggestions import not_found
from state.errors import EffectRefused
from state.estate.dns_names import whole_name
from state.estate.model import Estate, HandStep
from state.ports.outside import Outside
from state.ports.target import Identity, Receipt, Setting
from state.ports.zone import CanSetRecords, DnsZone
from state.verdicts.record_sets import answers_of, parts_missing, wait_after
from state.world.record_sets import SETTABLE, NameLook, NameSeen, RecordSet, Sets

KIND = "dns.set"
FOLLOW = 30.0
"""Seconds in which secondaries may follow before their lag is a result: a NOTIFY takes some, a refresh longer."""


class SetRecords:
    """Set the addresses of one name, or its alias."""

    risk = Risk.B3
    settle = 1.0
    quiet = 2.0
    timeout = 5.0

    def __init__(self, spec: ChangeSpec, args: SetRecordsArgs, estate: Estate, zone: DnsZone) -> None:
        self.spec, self._args, self.zone = spec, args, zone
        self._delivery = estate.policies.delivery
        self.whole = whole_name(args.record, zone.domain)
        entry = estate.zones[args.zone]
        mine = [each for each in entry.records if each.name == args.record]
        reached = dict.fromkeys(each.service or each.name for each in mine)
        self.services = tuple(name for name in reached if name in estate.services)
        self.name = self.whole
        self.targets: tuple[str, ...] = (f"{args.zone}/{args.record}",)
        self.verb = f"set {self._told()}"
        self.title = f"Set {self.whole} to {self._told()}"
        self._left: dict[str, RecordSet | None] = {}
        self._agreed: float | None = None

    @property
    def late(self) -> Late:
        """A message may lie on its way; it is carried out before it is answered, and only on what it requires."""
        return Late(self._delivery, 0.0, "RFC 2136 3: prerequisites and updates are one step, before the answer")

    def follow(self, left: Sequence[Setting]) -> None:
        """Preview as if earlier changes of the same plan had set these; fulfils CanFollow."""
        for setting in left:
            if setting.place[:2] == self._place("")[:2]:
                kind = setting.place[2]
                ttl, *values = setting.value.split(" ")
                self._left[kind] = RecordSet(kind, int(ttl), tuple(values)) if values else None

    async def identify(self, *, deadline: float) -> Identity:
        """The server that updates go to."""
        return await self.zone.identify(deadline=deadline)

    async def preview(self, *, deadline: float) -> Preview:
        """Every set before and after with its TTL, and when caches can have followed."""
        look, seen = await asyncio.gather(
            self.zone.look(self._args.record, deadline=deadline), self.zone.seen(self._args.record, deadline=deadline)
        )
        held = self._held(look)
        args = self._asked(held)
        after, guessed = self._after(args, held, look.state.sets)
        answered = look.state.sets if held is look.held else held
        expected = answers_of(after) or look.under  # without a record of its own a wildcard answers for it
        wait = wait_after(answered, expected, look.state.negative)
        return Preview(
            verb=self.verb if not look.view else f"{self.verb}, in view {look.view}",
            diffs=tuple(self._diffs(answered, after)),
            facts={
                "sets": shape(held),
                "after": shape(after),
                "answered": shape(answered),
                "expected": shape(expected),
                "wait": wait,
            },
            rules=(
                *rules_of(look, answered, after, expected, args, guessed=guessed, whole=self.whole),
                *await self._own_rules(held, args, deadline),
            ),
            warnings=(*warnings_of(look, answered, expected, self.whole, wait), *self._unproven(seen)),
            sessions_cut=0,
            undo=self._undo(held),
            already=after == held and not guessed,
            leaves=self._leaves(expected),
            services=self.services,
        )

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Send it once, with the sets of the preview as what it requires."""
        if not isinstance(self.zone, CanSetRecords):
            raise EffectRefused(f"records of {self.zone.name} cannot be changed from here")
        held, after = _sets(facts["sets"]), _sets(facts["after"])
        return await self.zone.set_records(self._args.record, held, after, deadline=deadline)

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """Done when every authoritative server answers the new sets; for a while others may still follow."""
        held, after = _sets(facts["answered"]), _sets(facts["expected"])
        seen = await self.zone.seen(self._args.record, deadline=deadline)
        found = agreement(seen, self.zone.acting, held, after)
        figures = {"wait": float(facts.get("wait", 0))}
        leaves = () if found.state is None else self._leaves(found.state.sets)
        if found.finding is not Finding.PARTIAL or not found.following:
            return ReadBack(found.finding, found.evidence, figures, leaves)
        now = asyncio.get_running_loop().time()
        self._agreed = now if self._agreed is None else self._agreed
        if now - self._agreed < FOLLOW:
            return ReadBack(Finding.UNKNOWN, found.evidence)
        return ReadBack(Finding.PARTIAL, found.evidence, figures, leaves)

    def _asked(self, held: Sets) -> SetRecordsArgs:
        """What is wanted of a name that has these sets."""
        del held
        return self._args

    async def _own_rules(self, held: Sets, asked: SetRecordsArgs, deadline: float) -> Sequence[Rule]:
        """What a kind of this change asks for besides. Raises ReadFailure."""
        del held, asked, deadline
        return ()

    def _told(self) -> str:
        args = self._args
        if args.cname is not None:
            return f"CNAME {args.cname}"
        given = {"A": args.a, "AAAA": args.aaaa}
        return "; ".join(
            f"{kind} {', '.join(values) or 'none'}" for kind, values in given.items() if values is not None
        )

    def _held(self, look: NameLook) -> Sets:
        """What is at the name, as earlier changes of the plan leave it."""
        if not self._left:
            return look.held
        known: dict[str, RecordSet | None] = {**look.held, **self._left}
        return {kind: each for kind, each in known.items() if each is not None}

    def _after(self, args: SetRecordsArgs, held: Sets, answered: Sets) -> tuple[dict[str, RecordSet], bool]:
        """The sets afterwards, and whether a TTL is not known: none was said, and no answer has one."""
        near = max((each.ttl for each in answered.values()), default=None)
        guessed = False

        def made(kind: str, values: Sequence[str], ttl: float | None) -> RecordSet:
            nonlocal guessed
            if ttl is None:
                before = held.get(kind)
                ttl = before.ttl if before is not None else near
            guessed = guessed or ttl is None
            return RecordSet(kind, int(ttl or 0), tuple(sorted(set(values))), self._disabled(args, kind, held, values))

        if args.cname is not None:
            return {"CNAME": made("CNAME", (args.cname,), args.ttl)}, guessed
        after = {kind: each for kind, each in held.items() if kind != "CNAME"}
        own = args.ttl if args.ttl_aaaa is None else args.ttl_aaaa
        for kind, values, ttl in (("A", args.a, args.ttl), ("AAAA", args.aaaa, own)):
            if values is None:
                continue
            after.pop(kind, None)
            if values or self._disabled(args, kind, held, values):
                after[kind] = made(kind, values, ttl)
        return after, guessed

    @staticmethod
    def _disabled(args: SetRecordsArgs, kind: str, held: Sets, values: Sequence[str]) -> tuple[str, ...]:
        """The values that the server keeps and does not answer with; one that is set is an answer from then on."""
        kept = held[kind].disabled if kind in held else ()
        if args.disabled is not None:
            kept = tuple(value for value in args.disabled if (":" in value) == (kind == "AAAA"))
        return tuple(sorted(value for value in kept if value not in values))

    def _diffs(self, before: Sets, after: Sets) -> Sequence[Diff]:
        found: list[Diff] = []
        for kind in SETTABLE:
            was, will = before.get(kind), after.get(kind)
            if was is None and will is None:
                continue
            subject = f"{self.whole} {kind}"
            found.append(Diff(subject, _values(was), _values(will)))
            if was is not None and will is not None:
                found.append(Diff(f"{subject} TTL", str(was.ttl), str(will.ttl), "s"))
            else:
                ttls = ("none" if each is None else f"{each.ttl} s" for each in (was, will))
                found.append(Diff(f"{subject} TTL", *ttls))
        return found

    def _undo(self, held: Sets) -> ChangeSpec:
        """The sets as they are now: of both families, where none was, none."""
        args: dict[str, Any] = {"zone": self._args.zone, "record": self._args.record}
        if alias := held.get("CNAME"):
            return ChangeSpec(KIND, {**args, "cname": alias.values[0], "ttl": alias.ttl})
        four, six = held.get("A"), held.get("AAAA")
        args |= {"a": list(four.values) if four else [], "aaaa": list(six.values) if six else []}
        args |= {"ttl": four.ttl} if four else {}
        args |= {"ttl_aaaa": six.ttl} if six else {}
        kept = [value for each in held.values() for value in each.disabled]
        args |= {"disabled": kept} if kept else {}
        return ChangeSpec(KIND, {**args, **({} if answers_of(held) else {"empty": True})})

    def _unproven(self, seen: Sequence[NameSeen]) -> Sequence[CardWarning]:
        """Servers that could not prove it, and those that have other records already."""
        at = next((each.state for each in seen if each.server == self.zone.acting and not each.keyed), None)
        found: list[CardWarning] = []
        for each in seen:
            if each.state is None:
                message = f"{each.server} cannot be read ({each.trouble}): there nothing would be proven"
                found.append(CardWarning(WarningKind.UNVERIFIED, self.whole, message))
            elif at is not None and not each.keyed and (differs := parts_missing(each.state.sets, at.sets)):
                same = " with the same serial" if each.state.serial == at.serial else f" (serial {each.state.serial})"
                message = f"{each.server} answers otherwise now{same}: {'; '.join(differs)}"
                found.append(CardWarning(WarningKind.EFFECT, self.whole, message))
        return found

    def _place(self, kind: str) -> tuple[str, ...]:
        return (f"dns:{self._args.zone}", self._args.record, kind)

    def _leaves(self, sets: Sets) -> tuple[Setting, ...]:
        """The settings of all types: with them the engine knows its own changes."""
        return tuple(Setting(self._place(kind), "set", _setting(sets.get(kind))) for kind in SETTABLE)


def shape(sets: Sets) -> dict[str, Any]:
    """Sets as JSON: TTL and values by type; the order of values is none of DNS's."""
    return {kind: [each.ttl, list(each.values), list(each.disabled)] for kind, each in sets.items()}


def _sets(shaped: Mapping[str, Any]) -> dict[str, RecordSet]:
    return {kind: RecordSet(kind, int(each[0]), tuple(each[1]), tuple(each[2])) for kind, each in shaped.items()}


def _values(each: RecordSet | None) -> str:
    return "none" if each is None or not each.values else ", ".join(each.values)


def _setting(each: RecordSet | None) -> str:
    return "0" if each is None or not each.values else " ".join((str(each.ttl), *each.values))


def _build(args: SetRecordsArgs, estate: Estate, outside: Outside) -> SetRecords:
    if args.zone not in outside.zones or args.zone not in estate.zones:
        raise not_found("zone whose records can be changed", args.zone, outside.zones)
    given = {name: value for name, value in args.model_dump().items() if value is not None and value is not False}
    return SetRecords(ChangeSpec(KIND, given), args, estate, outside.zones[args.zone])


def set_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """The name at every server first; then one message."""
    entry = estate.zones[args.zone]
    whole = whole_name(args.record, entry.domain or args.zone)
    if args.cname is not None:
        lines = [f"update delete {whole} A", f"update delete {whole} AAAA"]
        lines += [f"update add {whole} {int(args.ttl or 60)} CNAME {args.cname}."]
    else:
        lines = [f"update delete {whole} CNAME"]
        for kind, values in (("A", args.a), ("AAAA", args.aaaa)):
            lines += [] if values is None else [f"update delete {whole} {kind}"]
            lines += [f"update add {whole} {int(args.ttl or 60)} {kind} {value}" for value in values or ()]
    return [*entry.read_by_hand(args.zone, args.record), *entry.set_by_hand(args.zone, args.record, lines)]


KINDS = (
    ChangeKind(KIND, "Set the addresses of a name", SetRecordsArgs, Risk.B3, _build, set_by_hand, {"wait": "duration"}),
)
