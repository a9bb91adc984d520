"""PowerDNS Authoritative Server (4.2 and newer): names are read by DNS at every server, changed over its API.

Source: PowerDNS Authoritative Server, HTTP API, `GET` and `PATCH /servers/{server_id}/zones/{zone_id}`. The API
compares nothing: the whole set is read right before it is sent, and sent whole, with its comments and disabled values.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field, model_validator

from adapters.concealed import Concealed
from adapters.context import AdapterContext, Polled
from adapters.dns.name_states import NameQueries
from adapters.dns.powerdns_zone import PRIMARY, SECONDARY, ApiZone, replacement, zone_of
from adapters.dns.rfc2136 import sources
from adapters.dns.zone_servers import seen_at
from adapters.net.answers_read import MALFORMED, understood
from adapters.net.http_act import HttpActor
from adapters.net.http_read import HttpReader
from adapters.net.origin import BaseUrl, Origin, locate
from adapters.secrets import Secret
from state.config_files.findings import refuse
from state.errors import EffectRefused, EffectUnknown, ReadFailure, Trouble
from state.estate.dns_names import whole_name
from state.estate.model import HandStep, Name, SecretRef, ZoneEntry
from state.estate.values import HostPort
from state.ports.target import Identity, Receipt
from state.text import clean
from state.world.record_sets import SETTABLE, Bar, NameLook, NameSeen, NameState, Sets

KIND = "powerdns"
HEADER = "X-API-Key"
SAID = 200
"""Characters of a refusal that are shown."""


class PowerDnsOptions(ZoneEntry):
    """`url` and `api_key` of the API, which is at the first of `servers`: every authoritative server as address:port.

    http is for loopback addresses, and for other machines with `waive.tls`.
    """

    url: BaseUrl
    api_key: SecretRef
    server_id: Name = "localhost"
    servers: tuple[HostPort, ...] = Field(min_length=1)
    ca: str | None = None

    @property
    def changeable(self) -> bool:
        return True

    @property
    def asked(self) -> tuple[str, ...]:
        return self.servers

    @property
    def _plain(self) -> bool:
        origin = Origin.of(locate(self.url)[0])
        return origin.scheme == "http" and not origin.loopback

    @property
    def goes_without(self) -> Sequence[str]:
        return ("tls",) if self._plain else ()

    @model_validator(mode="after")
    def _plain_text_on_loopback(self) -> PowerDnsOptions:
        if self.waive.tls is None and self._plain:
            message = "https:// (plain text to another machine needs waive: {tls: the reason})"
            refuse(type(self), [(("url",), self.url, message)])
        return self

    def set_by_hand(self, zone: str, record: str, updates: Sequence[str]) -> Sequence[HandStep]:
        name = whole_name(record, self.domain or zone)
        steps = "; ".join(each.removeprefix("update ") for each in updates)
        return [HandStep(f"pdnsutil edit-zone {self.domain or zone}, at {name}: {steps}; then increase-serial")]


OPTIONS = PowerDnsOptions


@dataclass(frozen=True, slots=True)
class PowerDnsZone:
    """A zone behind the API; fulfils DnsZone, CanSetRecords and ActsAt."""

    name: str
    domain: str
    path: str
    reader: HttpReader
    actor: HttpActor
    key: Secret
    asked: Sequence[NameQueries]

    @property
    def acting(self) -> str:
        """The server whose records the API changes."""
        return self.asked[0].server

    @property
    def servers(self) -> tuple[str, ...]:
        """Every authoritative server."""
        return tuple(each.server for each in self.asked)

    def acts_at(self) -> tuple[str, ...]:
        """The zone at its API."""
        return (f"dns {self.reader.origin.netloc} {self.domain}",)

    async def identify(self, *, deadline: float) -> Identity:
        """The API, the zone, and of which kind it is there. Raises ReadFailure."""
        zone = await self._zone(deadline)
        facts = {"api": self.reader.origin.netloc, "zone": zone.name, "kind": zone.kind, "server": self.acting}
        return Identity(self.name, facts)

    async def look(self, record: str, *, deadline: float) -> NameLook:
        """The name as the server answers it and as the API has it. Raises ReadFailure."""
        zone, state = await asyncio.gather(self._zone(deadline), self.asked[0].state(record, deadline=deadline))
        name = whole_name(record, self.domain).lower()
        held, here = zone.held(name), zone.at(name)
        bar, trouble = self._bar(zone, name, state)
        alias = next(iter(here["ALIAS"].set.values), "") if "ALIAS" in here else ""
        _, under = zone.wildcard(name, without=True)
        return NameLook(state, held, "", under, bar, trouble, zone.shaded(name), alias, self._notes(zone, name))

    async def seen(self, record: str, *, deadline: float) -> tuple[NameSeen, ...]:
        """The name at every server, by DNS. Never raises."""
        return tuple(await asyncio.gather(*(seen_at(each, record, deadline) for each in self.asked)))

    async def set_records(self, record: str, before: Sets, after: Sets, *, deadline: float) -> Receipt:
        """Read the sets again, compare, and send them whole. Raises EffectRefused or EffectUnknown."""
        end = asyncio.get_running_loop().time() + deadline
        try:
            zone = await self._zone(deadline)
        except ReadFailure as failure:
            raise EffectRefused(f"nothing was sent: {failure.message}", "unread") from failure
        name = whole_name(record, self.domain).lower()
        if zone.held(name) != before:
            raise EffectRefused("the name has other records now than were read, so none was changed", "moved")
        body = {"rrsets": replacement(zone, name, before, after)}
        left = max(0.1, end - asyncio.get_running_loop().time())
        reply = await self.actor.send("PATCH", self.path, body, deadline=left)
        if 200 <= reply.status < 300:
            notified = await self._notify(zone, end - asyncio.get_running_loop().time())
            return Receipt(str(reply.status), f"the API answers {reply.status}, which is no proof{notified}")
        said = f"the API answers {reply.status}: {clean(self._unsaid(reply.text)[:SAID])}"
        if 400 <= reply.status < 500:
            raise EffectRefused(said, str(reply.status))
        raise EffectUnknown(said, str(reply.status), over=True)

    async def _notify(self, zone: ApiZone, left: float) -> str:
        """Have the secondaries told at once: by itself the server looks once a minute whether a serial has moved. What
        becomes of it is in the receipt only; they are read."""
        if zone.kind not in PRIMARY or left <= 0:
            return ""
        try:
            reply = await self.actor.send("PUT", f"{self.path}/notify", None, deadline=left)
        except (EffectRefused, EffectUnknown) as error:
            return f"; secondaries were not notified: {error.message}"
        return "; secondaries notified" if 200 <= reply.status < 300 else f"; not notified: {reply.status}"

    async def _zone(self, deadline: float) -> ApiZone:
        """The whole zone. Raises ReadFailure, which never tells the key, whatever was answered."""
        try:
            return await self._answered(deadline)
        except ReadFailure as failure:
            raise ReadFailure(failure.trouble, self._unsaid(failure.message)) from None

    def _unsaid(self, text: str) -> str:
        """What it said without the key, which it may say again."""
        return Concealed([self.key]).hide(text)

    async def _answered(self, deadline: float) -> ApiZone:
        reader = self.reader.apart()  # the zone is read by several at once, and each ends its connection
        try:
            answer = await reader.fetch(self.path, deadline=deadline, more={HEADER: self.key.reveal()})
        finally:
            await reader.close()  # it is asked for cards only, no connection is kept meanwhile
        where = self.reader.origin.netloc
        if answer.status == 404:
            raise ReadFailure(Trouble.DENIED, f"{where} has no zone {self.domain}")
        body = self.reader.usable(answer, self.path).body
        if self.key.reveal().encode() in body:  # what it says of records is shown and recorded
            raise ReadFailure(Trouble.ERROR, f"{where}: its answer has the key in it that it was sent")
        try:
            zone = await understood(body, zone_of)
        except MALFORMED as error:
            raise ReadFailure(Trouble.ERROR, f"{where}: its answer is no zone ({type(error).__name__})") from error
        if zone.name != self.domain.lower():
            raise ReadFailure(Trouble.ERROR, f"{where} answers for {clean(zone.name)}")
        return zone

    def _bar(self, zone: ApiZone, name: str, state: NameState) -> tuple[Bar | None, str]:
        """Why a change over the API would not reach what is answered."""
        if zone.kind in SECONDARY:
            return Bar.ZONE, f"zone {self.domain} is {zone.kind} there: another server writes it"
        held = {kind: each for kind, each in zone.held(name).items() if each.values}
        expected = held or zone.wildcard(name)[1]
        shown = {kind: (each.ttl, each.values) for kind, each in state.sets.items()}
        differs = shown != {kind: (each.ttl, each.values) for kind, each in expected.items()}
        if differs and "ALIAS" not in zone.at(name) and not state.delegated:
            return Bar.VIEW, f"{self.acting} answers otherwise than the API has it: another server, or a cache"
        return None, ""

    def _notes(self, zone: ApiZone, name: str) -> tuple[str, ...]:
        """What its kind and its settings mean for secondaries, and what goes with sets that are removed."""
        notes = ["the API compares nothing: what is changed within milliseconds before it is overwritten"]
        several = len(self.asked) > 1
        if several and zone.kind == "native":
            notes.append("the zone is native: no secondary is notified, each must have the same database")
        if several and not zone.edits_serial:
            notes.append("SOA-EDIT-API is not set: the serial stays, and secondaries transfer nothing")
        notes += [
            f"{kind} has disabled values, which are no answers: {', '.join(each.set.disabled)}"
            for kind, each in zone.at(name).items()
            if kind in SETTABLE and each.set.disabled
        ]
        notes += [
            f"{kind} has comments, which go where the set is removed"
            for kind, each in zone.at(name).items()
            if kind in SETTABLE and each.comments
        ]
        return tuple(notes)


def build(zone: str, options: PowerDnsOptions, context: AdapterContext) -> Sequence[Polled]:
    """The sources `dns:{zone}@{server}`, and those of resolvers."""
    return sources(zone, options, options.servers, context)


def acting(zone: str, options: PowerDnsOptions, context: AdapterContext) -> PowerDnsZone:
    """The zone as changes reach it; nothing is connected yet."""
    domain, key = options.domain or zone, context.secret(options.api_key)
    assert key is not None
    ca = context.authorities(f"zones.{zone}", options.ca)
    headers: Mapping[str, str] = {"Accept": "application/json"}
    return PowerDnsZone(
        zone,
        domain,
        f"/api/v1/servers/{options.server_id}/zones/{domain}.",
        HttpReader(options.url, ca=ca, headers=headers),
        HttpActor(Origin.of(options.url), ca=ca, secret_headers={HEADER: key}),
        key,
        [NameQueries(domain, server) for server in options.servers],
    )
