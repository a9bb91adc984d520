"""One zone as its servers have it, and the channel by which its records are changed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import dns.name

from adapters.dns.name_states import NameQueries
from adapters.dns.updates import Probed, UpdateChannel
from state.errors import EffectRefused, ReadFailure, Trouble
from state.ports.target import Identity, Receipt
from state.world.record_sets import Bar, NameLook, NameSeen, NameState, Sets, Shaded

MOST_ABOVE = 4
"""Names above a new one that are looked at for a wildcard's answers."""


@dataclass(frozen=True, slots=True)
class ZoneServers:
    """A zone under RFC 2136; fulfils DnsZone, CanSetRecords and ActsAt.

    `keyed` asks with the key, `plain` without; `asked` are all servers as they are read. Without a channel nothing can
    be changed.
    """

    name: str
    domain: str
    view: str
    acting: str
    asked: Sequence[NameQueries]
    at: NameQueries
    keyed: NameQueries | None
    channel: UpdateChannel | None

    @property
    def servers(self) -> tuple[str, ...]:
        """Every server that is read."""
        return tuple(each.server for each in self.asked)

    def acts_at(self) -> tuple[str, ...]:
        """The zone at the server that updates go to, in the view of its key."""
        view = f" {self.view}" if self.view else ""
        return (f"dns {self.acting} {self.domain}{view}",) if self.channel is not None else ()

    async def identify(self, *, deadline: float) -> Identity:
        """The server, the zone it is authoritative for, who its SOA names as primary, and the view. Raises ReadFailure.

        The serial is no part of it: it moves with each change of any name.
        """
        answer = await self.at.ask(self.at.origin, "SOA", deadline)
        primary = next((spelt_name(rrset[0].mname) for rrset in answer.answer if rrset.rdtype.name == "SOA"), "")
        facts = {"server": self.acting, "zone": self.domain, "primary": primary}
        return Identity(self.name, {**facts, **({"view": self.view} if self.view else {})})

    async def look(self, record: str, *, deadline: float) -> NameLook:
        """The name, and whether an update would find it so. Raises ReadFailure."""
        try:
            async with asyncio.timeout(deadline):
                return await self._look(record, deadline)
        except TimeoutError as error:
            raise ReadFailure(Trouble.TIMEOUT, f"{self.acting} did not answer within {deadline:g} s") from error

    async def _look(self, record: str, deadline: float) -> NameLook:
        state, here = await asyncio.gather(
            self.at.state(record, deadline=deadline), self._serial_of_key(deadline), return_exceptions=False
        )
        held: Sets = state.sets
        bar: Bar | None = None
        trouble, shaded = "", tuple[Shaded, ...]()
        if self.channel is None:
            bar, trouble = Bar.KEY, f"the estate names no key for zone {self.name}"
            return NameLook(state, held, self.view, bar=bar, trouble=trouble)
        found = await self.channel.probe(record, state.sets, deadline=deadline)
        if found.refusal is not None:
            return NameLook(state, held, self.view, bar=found.refusal.bar, trouble=found.refusal.message)
        if not found.met:
            unused = await self.channel.probe(record, None, deadline=deadline)
            if unused.met:
                held = {}
            else:
                bar, trouble = Bar.VIEW, self._differs(unused)
        elif isinstance(here, int) and here != state.serial and not await self._same_serial(deadline):
            bar, trouble = Bar.VIEW, self._other_serial(here, state.serial)
        under: Sets = {}
        if bar is None:
            name = dns.name.from_text(record, self.at.origin)
            shaded = await self._shaded(name, state, held, deadline)
            if held and name != self.at.origin:
                under = await self.at.wildcard(dns.name.from_text("*", name.parent()), deadline=deadline)
        return NameLook(state, held, self.view, under, bar, trouble, shaded)

    async def seen(self, record: str, *, deadline: float) -> tuple[NameSeen, ...]:
        """The name at every server, and with the key at the acting one. Never raises."""
        asked = [(each, False) for each in self.asked]
        if self.keyed is not None and self.keyed is not self.at:
            asked.append((self.keyed, True))
        return tuple(await asyncio.gather(*(seen_at(each, record, deadline, keyed=keyed) for each, keyed in asked)))

    async def set_records(self, record: str, before: Sets, after: Sets, *, deadline: float) -> Receipt:
        """Send one update. Raises EffectRefused or EffectUnknown."""
        if self.channel is None:
            raise EffectRefused(f"the estate names no key for zone {self.name}", "key")
        return await self.channel.send(record, before, after, deadline=deadline)

    def _differs(self, unused: Probed) -> str:
        if unused.refusal is not None:
            return unused.refusal.message
        return (
            f"{self.acting} has other records for an update than it answers: the key reaches another view, or the"
            " answers are made up for each question"
        )

    def _other_serial(self, keyed: int, plain: int) -> str:
        return f"{self.acting} has serial {keyed} when asked with the key and {plain} without: two views"

    async def _serial_of_key(self, deadline: float) -> int | ReadFailure | None:
        """The serial in the view that the key reaches; None where all questions are signed anyway."""
        if self.keyed is None or self.keyed is self.at:
            return None
        try:
            return await _serial(self.keyed, deadline)
        except ReadFailure as failure:
            return failure

    async def _same_serial(self, deadline: float) -> bool:
        """Asked again: a change between two questions is no other view."""
        assert self.keyed is not None
        before = await _serial(self.at, deadline)
        keyed = await _serial(self.keyed, deadline)
        return keyed in (before, await _serial(self.at, deadline))

    async def _shaded(self, name: dns.name.Name, state: NameState, held: Sets, deadline: float) -> tuple[Shaded, ...]:
        """What a wildcard answers now for this name, and for names above it that do not exist."""
        assert self.channel is not None
        origin, found = self.at.origin, list[Shaded]()
        if not held and state.sets:
            source = await self._source(name, state.sets, deadline)
            found += [Shaded(spelt_name(name), source, each.type, each.values) for each in state.sets.values()]
        above = name.parent()
        for _ in range(MOST_ABOVE):
            if not above.is_subdomain(origin) or above == origin:
                break
            record = above.relativize(origin).to_text()
            seen = await self.at.state(record, deadline=deadline)
            if seen.sets and (await self.channel.probe(record, None, deadline=deadline)).met:
                source = await self._source(above, seen.sets, deadline)
                found += [Shaded(spelt_name(above), source, each.type, each.values) for each in seen.sets.values()]
            above = above.parent()
        return tuple(found)

    async def _source(self, name: dns.name.Name, sets: Sets, deadline: float) -> str:
        """The wildcard that gives these answers, the nearest one first."""
        above = name.parent()
        while above.is_subdomain(self.at.origin):
            wild = dns.name.from_text("*", above)
            answers = await self.at.wildcard(wild, deadline=deadline)
            if any(each.values == sets[kind].values for kind, each in answers.items() if kind in sets):
                return spelt_name(wild)
            if above == self.at.origin:
                break
            above = above.parent()
        return "a wildcard"


async def _serial(queries: NameQueries, deadline: float) -> int:
    answer = await queries.ask(queries.origin, "SOA", deadline)
    return next((int(rrset[0].serial) for rrset in answer.answer if rrset.rdtype.name == "SOA"), -1)


async def seen_at(queries: NameQueries, record: str, deadline: float, *, keyed: bool = False) -> NameSeen:
    """One reading of a name at one server. Never raises."""
    try:
        return NameSeen(queries.server, await queries.state(record, deadline=deadline), keyed=keyed)
    except ReadFailure as failure:
        return NameSeen(queries.server, None, failure.message, keyed)


def spelt_name(name: dns.name.Name) -> str:
    """A name in lower case without the final dot."""
    return str(name.to_text(omit_final_dot=True)).lower()
