"""The lab's DNS server against dnspython's client: answers, signed updates, prerequisites, transfers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import dns.asyncquery
import dns.message
import dns.name
import dns.rcode
import dns.tsigkeyring
import dns.update
import pytest

from adapters.lab.services.dns_server import DnsServer, Zone
from adapters.lab.topology import PortPlan

SECRET = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"
WRONG = "d3Jvbmd3cm9uZ3dyb25nd3Jvbmd3cm9u"
KEY = dns.name.from_text("recovery.")
HOST = "127.0.0.1"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    plan = PortPlan()
    port = plan.choose()
    plan.release()
    zone = Zone("lab.test", {"checkout": ["127.0.1.10", "127.0.2.10"]}, 5)
    server = DnsServer(zone, ("recovery.", SECRET, "hmac-sha256"))
    await server.start(HOST, port)
    yield port
    await server.stop()


async def resolve(port: int, name: str, kind: str = "A", *, tcp: bool = False) -> dns.message.Message:
    question = dns.message.make_query(f"{name}.lab.test" if name else "lab.test", kind)
    ask = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
    return await ask(question, HOST, port=port, timeout=1)


def update(secret: str | None = SECRET) -> dns.update.UpdateMessage:
    if secret is None:
        return dns.update.UpdateMessage("lab.test")
    keyring = dns.tsigkeyring.from_text({"recovery.": ("hmac-sha256", secret)})
    return dns.update.UpdateMessage("lab.test", keyring=keyring, keyname=KEY, keyalgorithm="hmac-sha256")


async def send(port: int, message: dns.message.Message) -> dns.rcode.Rcode:
    return (await dns.asyncquery.tcp(message, HOST, port=port, timeout=1)).rcode()


def addresses(answer: dns.message.Message) -> list[str]:
    return sorted(record.to_text() for rrset in answer.answer for record in rrset)


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
async def test_answers_with_authority(port: int, tcp: bool) -> None:
    answer = await resolve(port, "checkout", tcp=tcp)
    assert addresses(answer) == ["127.0.1.10", "127.0.2.10"]
    assert answer.answer[0].ttl == 5
    assert answer.flags & dns.flags.AA
    assert (await resolve(port, "nowhere")).rcode() == dns.rcode.NXDOMAIN
    assert (await resolve(port, "checkout", "AAAA")).rcode() == dns.rcode.NOERROR
    other = await dns.asyncquery.udp(dns.message.make_query("example.org", "A"), HOST, port=port, timeout=1)
    assert other.rcode() == dns.rcode.REFUSED


async def test_a_signed_update_replaces_and_raises_the_serial(port: int) -> None:
    before = (await resolve(port, "", "SOA")).answer[0][0].serial
    change = update()
    change.replace("checkout", 5, "A", "127.0.2.10")
    assert await send(port, change) == dns.rcode.NOERROR
    assert addresses(await resolve(port, "checkout")) == ["127.0.2.10"]
    assert (await resolve(port, "", "SOA")).answer[0][0].serial == before + 1


async def test_a_stale_prerequisite_changes_nothing(port: int) -> None:
    change = update()
    change.present("checkout", "A", "127.0.9.9")
    change.replace("checkout", 5, "A", "127.0.2.10")
    assert await send(port, change) == dns.rcode.NXRRSET
    assert addresses(await resolve(port, "checkout")) == ["127.0.1.10", "127.0.2.10"]
    exact = update()
    exact.present("checkout", "A", "127.0.2.10")
    exact.present("checkout", "A", "127.0.1.10")
    exact.absent("spare")
    exact.delete("checkout", "A", "127.0.1.10")
    assert await send(port, exact) == dns.rcode.NOERROR
    assert addresses(await resolve(port, "checkout")) == ["127.0.2.10"]


async def test_unsigned_and_wrongly_signed_updates_are_refused(port: int) -> None:
    for secret, expected in ((None, "REFUSED"), (WRONG, None)):
        change = update(secret)
        change.replace("checkout", 5, "A", "127.0.9.9")
        if expected is None:
            with pytest.raises(dns.exception.DNSException):
                await send(port, change)
        else:
            assert dns.rcode.to_text(await send(port, change)) == expected
    assert addresses(await resolve(port, "checkout")) == ["127.0.1.10", "127.0.2.10"]
