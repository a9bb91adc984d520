"""Changes of records under one contract, on every server that takes updates."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import dns.message
import dns.update
import pytest

from adapters.context import AdapterContext
from adapters.dns import powerdns
from adapters.lab.services.dns_server import DnsServer, Zone
from state.changes.model import Finding
from state.errors import EffectRefused, EffectUnknown, UnsuitableArgument
from tests.contract.dns_zones import (
    BIND,
    RECORDS,
    SECRET,
    Acting,
    api_acting,
    embedded,
    estate_of,
    foreign,
    keep_secret,
    options,
    rows,
    serial,
    take_updates,
    zone_of,
)
from tests.contract.named import running_named
from tests.contract.pdns import RunningPdns, rrset, running_pdns
from tests.support.ports import free_port

NAMES = {"www": ["10.1.0.10", "10.2.0.10"], "api": ["10.1.0.10"]}
EXPECTED = [{"name": "www", "expect": ["10.1.0.10", "10.2.0.10"]}]


@pytest.fixture(params=["bind", "embedded", "pdns-update", "pdns-api"])
async def at(request: pytest.FixtureRequest, context: AdapterContext) -> AsyncIterator[tuple[Acting, int]]:
    keep_secret(context)
    async with AsyncExitStack() as stack:
        if request.param == "bind":
            port = stack.enter_context(running_named(BIND, RECORDS, key=SECRET))
        elif request.param == "embedded":
            port = await stack.enter_async_context(embedded(NAMES))
        else:
            pdns = stack.enter_context(running_pdns())
            pdns.patch(*(rrset(name, "A", 60, *values) for name, values in NAMES.items()))
            take_updates(pdns)
            port = pdns.port
            if request.param == "pdns-api":
                yield api_acting(context, pdns, records=EXPECTED), port
                return
        made = options(port, records=EXPECTED)
        yield Acting(zone_of(context, made), estate_of(made)), port


async def test_addresses_are_set_read_back_and_given_back(at: tuple[Acting, int]) -> None:
    acting, port = at
    was = await serial(port)
    card, found = await acting.done("www", a=["10.2.0.10"])
    assert [str(diff) for diff in card.diffs if diff.before != diff.after] == [
        "www.lab.test A: 10.1.0.10, 10.2.0.10 → 10.2.0.10"
    ]
    assert found.finding is Finding.DONE, found.evidence
    assert await rows(port, "www", "A") == (60, ["10.2.0.10"])
    assert await serial(port) > was
    assert card.services == ("www",)
    assert (await acting.undone(card)).finding is Finding.DONE
    assert await rows(port, "www", "A") == (60, ["10.1.0.10", "10.2.0.10"])


async def test_both_families_and_their_ttls_are_one_message_and_one_undo(at: tuple[Acting, int]) -> None:
    acting, port = at
    card, found = await acting.done("www", a=["10.3.0.10"], aaaa=["2001:DB8::0010"], ttl=5, ttl_aaaa=7)
    assert found.finding is Finding.DONE, found.evidence
    assert await rows(port, "www", "A") == (5, ["10.3.0.10"])
    assert await rows(port, "www", "AAAA") == (7, ["2001:db8::10"])
    assert (await acting.undone(card)).finding is Finding.DONE
    assert await rows(port, "www", "A") == (60, ["10.1.0.10", "10.2.0.10"])
    assert await rows(port, "www", "AAAA") == (-1, [])


async def test_a_new_name_is_made_and_unmade(at: tuple[Acting, int]) -> None:
    acting, port = at
    assert "ttl-known" in await acting.refused("new", a=["10.1.0.10"])
    card, found = await acting.done("new", a=["10.1.0.10"], ttl=30)
    assert found.finding is Finding.DONE, found.evidence
    assert "answer-left" in await acting.refused("new", a=[])
    assert (await acting.undone(card)).finding is Finding.DONE
    assert await rows(port, "new", "A") == (-1, [])


async def test_what_is_so_already_sends_nothing(at: tuple[Acting, int]) -> None:
    acting, _ = at
    assert (await acting.card("www", a=["10.2.0.10", "10.1.0.10"])).already, "the order of addresses is none of DNS's"
    assert not (await acting.card("www", a=["10.2.0.10", "10.1.0.10"], ttl=61)).already


async def test_somebody_else_in_between_has_nothing_overwritten(at: tuple[Acting, int]) -> None:
    acting, port = at
    change = acting.change("www", a=["10.2.0.10"])
    card = await change.preview(deadline=4)
    await foreign(port, ("add", "www", "60", "A", "10.9.0.9"))
    with pytest.raises(EffectRefused) as refused:
        await change.apply(card.facts, effect="R-1/a", deadline=5)
    assert refused.value.code == "moved"
    assert await rows(port, "www", "A") == (60, ["10.1.0.10", "10.2.0.10", "10.9.0.9"])
    assert (await change.read_back(card.facts, deadline=4)).finding is Finding.PARTIAL, "neither before nor after"


def elsewhere(context: AdapterContext, acting: Acting) -> Acting:
    """The same zone at an address where nothing listens."""
    if isinstance(acting.zone, powerdns.PowerDnsZone):
        return api_acting(context, RunningPdns(context.base, 1, 1))
    dead = options(1)
    return Acting(zone_of(context, dead), estate_of(dead))


async def test_a_server_that_is_gone_is_no_outcome(at: tuple[Acting, int], context: AdapterContext) -> None:
    acting, _ = at
    change = acting.change("www", a=["10.2.0.10"])
    card = await change.preview(deadline=4)
    alone = elsewhere(context, acting)
    with pytest.raises(EffectRefused) as refused:
        await alone.change("www", a=["10.2.0.10"]).apply(card.facts, effect="R-1/a", deadline=2)
    assert refused.value.code in ("unreachable", "unread")
    found = await alone.change("www", a=["10.2.0.10"]).read_back(card.facts, deadline=2)
    assert found.finding is Finding.UNKNOWN


class Mute(DnsServer):
    """Carries out updates and closes the connection in place of an answer; `lies`: answers without a signature."""

    lies = False

    def answer(self, wire: bytes) -> bytes | None:
        said = super().answer(wire)
        message = dns.message.from_wire(wire, keyring=False)
        if not isinstance(message, dns.update.UpdateMessage) or not message.update:
            return said
        message.tsig = None
        return dns.message.make_response(message).to_wire() if self.lies else None


@pytest.mark.parametrize(("lies", "code"), [(False, "reset"), (True, "unsigned")])
async def test_an_answer_that_is_lost_or_not_signed_is_unknown_and_settled_by_reading(
    context: AdapterContext, lies: bool, code: str
) -> None:
    keep_secret(context)
    server, port = Mute(Zone("lab.test", NAMES, 60), ("recovery.", SECRET, "hmac-sha256")), free_port()
    server.lies = lies
    await server.start("127.0.0.1", port)
    try:
        acting = Acting(zone_of(context, options(port)), estate_of(options(port)))
        change = acting.change("www", a=["10.3.0.10"])
        card = await change.preview(deadline=4)
        with pytest.raises(EffectUnknown) as unknown:
            await change.apply(card.facts, effect="R-1/a", deadline=3)
        assert (unknown.value.code, unknown.value.over) == (code, False)
        assert (await change.read_back(card.facts, deadline=4)).finding is Finding.DONE
    finally:
        await server.stop()


HOSTILE = ["www;x", "www\n", "www\nserver 10.0.0.1", "$(id)", "www.", "..", "-www", "a b", "www%", "ü", "\x1b[2J", ""]


async def test_hostile_names_reach_no_server(at: tuple[Acting, int]) -> None:
    acting, port = at
    was = await serial(port)
    for name in HOSTILE:
        with pytest.raises(UnsuitableArgument):
            acting.change(name, a=["10.1.0.10"])
        for args in ({"a": [name]}, {"aaaa": [name]}, {"cname": f"{name};"}):
            with pytest.raises(UnsuitableArgument):
                acting.change("www", **args)
    for args in ({"a": ["10.1.0.010"]}, {"aaaa": ["fe80::1%e"]}, {"a": ["10.1.0.1"], "ttl": "500ms"}, {}):
        with pytest.raises(UnsuitableArgument):
            acting.change("www", **args)
    assert await serial(port) == was
