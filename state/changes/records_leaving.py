"""A name left by a site: its addresses there are taken away, and those elsewhere stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict

from state.api.card import Rule
from state.changes.floors import promise_of
from state.changes.model import ChangeKind, ChangeSpec, Preview, Risk
from state.changes.record_args import SetRecordsArgs
from state.changes.records import SetRecords
from state.config_files.suggestions import not_found
from state.errors import NotFound, ReadFailure
from state.estate.dns_names import RecordName, whole_name
from state.estate.model import Estate, HandStep, Name
from state.estate.values import SiteName
from state.ports.outside import Outside
from state.ports.target import Setting
from state.units import counted as number
from state.verdicts.safety import standing_at
from state.verdicts.traffic import sure
from state.world.record_sets import SETTABLE, Sets

KIND = "dns.leave-site"
OWN = "own-addresses"
LONGEST_CHAIN = 8
"""Aliases one after the other that are followed."""


class NameLeftArgs(BaseModel):
    """A name of a zone, and the site that clients are no longer sent to."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    zone: Name
    record: RecordName
    site: SiteName


class NameLeft(SetRecords):
    """Take the addresses of a site from a name. Each family keeps one, and where those that stay lead, enough serve."""

    def __init__(self, spec: ChangeSpec, args: NameLeftArgs, estate: Estate, outside: Outside) -> None:
        if not estate.sites[args.site].addresses:
            where = f"sites.{args.site}.addresses"
            raise NotFound(f"the estate does not say by which addresses clients come to {args.site}: give {where}")
        asked = SetRecordsArgs(zone=args.zone, record=args.record, a=(), aaaa=())
        super().__init__(spec, asked, estate, outside.zones[args.zone])
        self._estate, self._outside, self._site = estate, outside, args.site
        self._followed: tuple[Setting, ...] = ()
        self._there = frozenset(estate.sites[args.site].addresses)
        self.verb = f"take the addresses of {args.site} away"
        self.title = f"Take the addresses of {args.site} from {self.whole}"

    def _asked(self, held: Sets) -> SetRecordsArgs:
        """The addresses that are not of the site. An alias has none, and stays."""
        stay = {kind: [v for v in each.values if v not in self._there] for kind, each in held.items()}
        if "CNAME" in held:
            return SetRecordsArgs(zone=self._args.zone, record=self._args.record, cname=held["CNAME"].values[0])
        return SetRecordsArgs(
            zone=self._args.zone, record=self._args.record, a=stay.get("A", ()), aaaa=stay.get("AAAA", ())
        )

    @property
    def looks_around(self) -> bool:
        """An alias leads where other names do; fulfils LooksAround."""
        return True

    def follow(self, left: Sequence[Setting]) -> None:
        """And the names that an alias leads to."""
        super().follow(left)
        self._followed = tuple(left)

    async def preview(self, *, deadline: float) -> Preview:
        """An alias is left where it leads elsewhere already, and never by saying so."""
        card = await super().preview(deadline=deadline)
        astray = any(each.rule == OWN and not each.passed for each in card.rules)
        return replace(card, already=False) if astray else card

    async def _own_rules(self, held: Sets, asked: SetRecordsArgs, deadline: float) -> Sequence[Rule]:
        stay = [*(asked.a or ()), *(asked.aaaa or ())]
        own = await self._led_by_itself(held, deadline)
        return (own, self._kept(held, asked), await self._elsewhere(stay, deadline))

    def _rule(self, name: str, passed: bool, fact: str, way_out: str = "") -> Rule:
        return Rule(name, passed, fact, way_out, "responder", self.whole)

    async def _led_by_itself(self, held: Sets, deadline: float) -> Rule:
        """An alias is followed through the zones of the estate. Raises ReadFailure."""
        if "CNAME" not in held:
            return self._rule(OWN, True, "it has addresses of its own")
        target = held["CNAME"].values[0]
        leads = await self._addresses_of(target, deadline)
        if leads is None:
            fact = f"it is an alias of {target}, whose addresses no zone of the estate has"
            return self._rule(OWN, False, fact, "Set addresses here, or name the zone in the estate")
        if there := sorted(self._there & leads):
            fact = f"it is an alias of {target}, which leads to {', '.join(there)}"
            return self._rule(OWN, False, fact, f"Take the addresses of {self._site} from {target} first")
        return self._rule(OWN, True, f"it is an alias of {target}, which leads elsewhere")

    async def _addresses_of(self, name: str, deadline: float) -> frozenset[str] | None:
        """What a name leads to as the changes before leave it, None where that is not known. Raises ReadFailure."""
        for _ in range(LONGEST_CHAIN):
            zones = [(z, entry.domain or z) for z, entry in self._estate.zones.items() if z in self._outside.zones]
            inside = [(z, domain) for z, domain in zones if f".{name}".endswith(f".{domain}")]
            if not inside:
                return None
            zone, domain = max(inside, key=lambda each: len(each[1]))
            record = "@" if name == domain else name.removesuffix(f".{domain}")
            sets = (await self._outside.zones[zone].look(record, deadline=deadline)).state.sets
            left = {
                s.place[2]: s.value.split(" ")[1:] for s in self._followed if s.place[:2] == (f"dns:{zone}", record)
            }
            values = {kind: left.get(kind, sets[kind].values if kind in sets else ()) for kind in SETTABLE}
            if not values["CNAME"]:
                found = frozenset((*values["A"], *values["AAAA"]))
                return found or None
            name = values["CNAME"][0]
        return None

    def _kept(self, held: Sets, asked: SetRecordsArgs) -> Rule:
        after = {"A": asked.a, "AAAA": asked.aaaa}
        lost = [kind for kind in after if kind in held and held[kind].values and not after[kind]]
        if not lost or "CNAME" in held:
            return self._rule("address-left", True, "each family of addresses keeps one")
        fact = f"it has no {' and no '.join(lost)} but those of {self._site}"
        return self._rule("address-left", False, fact, "Give it an address of another site first: dns set")

    async def _elsewhere(self, stay: Sequence[str], deadline: float) -> Rule:
        """Where each address that stays leads, enough servers of every service of the name serve."""
        owners = {a: site for site, each in self._estate.sites.items() for a in each.addresses}
        unknown = [address for address in stay if address not in owners]
        if unknown:
            fact = f"no site of the estate has {', '.join(unknown)}: nobody knows what serves there"
            return self._rule("make-before-break", False, fact, "Say whose it is: sites.NAME.addresses")
        said: list[str] = []
        for site in dict.fromkeys(owners[address] for address in stay):
            for service in self.services:
                passed, fact = await self._serving(service, site, deadline)
                if not passed:
                    return self._rule("make-before-break", False, fact, "Let enough serve there first")
                said.append(fact)
        return self._rule("make-before-break", True, "; ".join(said) or "nothing of the estate serves behind it")

    async def _serving(self, service: str, site: str, deadline: float) -> tuple[bool, str]:
        """Whether a balancer of the site leads to enough servers of a service, proven by their checks."""
        traffic = self._estate.services[service].traffic
        here = [b for b in traffic.balancers if self._estate.balancers[b].site == site] if traffic else []
        if traffic is None or not here:
            return False, f"{service} has no balancer at {site}"
        told: list[str] = []
        for balancer in here:
            place = f"{balancer}/{traffic.backend}"
            promise = promise_of(self._estate, balancer, traffic.backend)
            try:
                servers = await self._outside.balancers[balancer].read_backend(traffic.backend, deadline=deadline)
            except (ReadFailure, KeyError) as error:
                return False, f"{place} cannot be read: {error}"
            place_of = balancer, traffic.backend
            elsewhere = (s for s in servers if standing_at(self._estate, place_of, s) != self._site)
            well = [s for s in sure(tuple(elsewhere), promise.backups) if s.checked]
            least = max(1, promise.floor)
            serve = number(len(well), "server serves", "servers serve")
            told.append(f"{place}: {serve} outside {self._site}, by checks")
            if len(well) < least:
                return False, f"{told[-1]}; at least {least} must"
        return True, "; ".join(told)


def _build(args: NameLeftArgs, estate: Estate, outside: Outside) -> NameLeft:
    if args.zone not in outside.zones or args.zone not in estate.zones:
        raise not_found("zone whose records can be changed", args.zone, outside.zones)
    if args.site not in estate.sites:
        raise not_found("site", args.site, estate.sites)
    return NameLeft(ChangeSpec(KIND, args.model_dump()), args, estate, outside)


def leave_by_hand(args: Any, estate: Estate) -> Sequence[HandStep]:
    """The name at every server first: something must stay; then each address of the site in one message."""
    entry = estate.zones[args.zone]
    whole, there = whole_name(args.record, entry.domain or args.zone), estate.sites[args.site].addresses
    lines = [f"update delete {whole} {'AAAA' if ':' in each else 'A'} {each}" for each in there]
    return [*entry.read_by_hand(args.zone, args.record), *entry.set_by_hand(args.zone, args.record, lines)]


KINDS = (
    ChangeKind(
        KIND, "Take a site's addresses from a name", NameLeftArgs, Risk.B3, _build, leave_by_hand, {"wait": "duration"}
    ),
)
