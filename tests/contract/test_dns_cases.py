"""Inputs on which the product was wrong about names, on a real BIND; each is named after its case."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.context import AdapterContext
from adapters.dns import rfc2136
from state.estate.model import DnsRecord
from state.health import Health
from state.verdicts.dns import record_finding
from state.world.dns_parts import DnsReading
from tests.contract.named import running_named

NAMED = """
options {{ directory "{root}"; pid-file none; session-keyfile "{root}/session.key";
  managed-keys-directory "{root}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; notify no; empty-zones-enable no; minimal-responses yes; }};
controls {{ }};
zone "x.example" {{ type primary; file "{root}/zone.db"; }};
"""
ZONE = """$TTL 60
@ IN SOA ns1 host 1 3600 600 86400 60
@ IN NS ns1
@ IN A 10.1.0.10
ns1 IN A 127.0.0.1
www IN A 10.1.0.10
v6 IN AAAA 2001:db8::10
sub IN NS ns1.elsewhere.example.
cdn IN CNAME shop.provider.example.
edge IN CNAME EDGE-1.Provider.Example.
near 5 IN CNAME www
hollow IN CNAME nothing
into IN CNAME app.sub
"""


@pytest.fixture(scope="module")
def named() -> Iterator[int]:
    with running_named(NAMED, ZONE) as port:
        yield port


def record(name: str, *expect: str, kind: str = "A") -> DnsRecord:
    return DnsRecord.model_validate({"name": name, "type": kind, "expect": expect})


async def found(context: AdapterContext, port: int, *records: DnsRecord) -> list[tuple[Health, str, tuple[str, ...]]]:
    """What is said of each record, all of them read at once."""
    options = rfc2136.OPTIONS(kind="rfc2136", servers=(f"127.0.0.1:{port}",), records=records)
    (source,) = rfc2136.build("x.example", options, context)
    reading = await source.read()
    await source.close()
    assert isinstance(reading, DnsReading)
    return [tuple(record_finding(reading, each, each.expect)) for each in records]


async def test_16_one_referral_hides_the_zone(context: AdapterContext, named: int) -> None:
    www, below = await found(context, named, record("www", "10.1.0.10"), record("app.sub", "10.1.0.10"))
    assert www == (Health.PASS, "as expected", ("10.1.0.10",))
    assert below == (Health.UNKNOWN, "delegated to ns1.elsewhere.example: ask there", ())


async def test_17_a_became_cname(context: AdapterContext, named: int) -> None:
    (cdn,) = await found(context, named, record("cdn", "10.1.0.10"))
    assert cdn == (Health.WARN, "other answer: CNAME shop.provider.example", ("CNAME shop.provider.example",))


@pytest.mark.parametrize(
    "expected",
    ["edge-1.provider.example", "edge-1.provider.example.", "EDGE-1.PROVIDER.EXAMPLE", "Edge-1.provider.example."],
)
async def test_18_cname_compared_as_text(context: AdapterContext, named: int, expected: str) -> None:
    ((health, message, _),) = await found(context, named, record("edge", expected, kind="CNAME"))
    assert (health, message) == (Health.PASS, "as expected")


async def test_addresses_are_compared_in_any_spelling(context: AdapterContext, named: int) -> None:
    ((health, *_),) = await found(context, named, record("v6", "2001:0DB8:0:0::10", kind="AAAA"))
    assert health is Health.PASS


async def test_an_alias_within_the_zone_is_followed_and_lives_as_long_as_its_shortest_part(
    context: AdapterContext, named: int
) -> None:
    near, hollow = await found(context, named, record("near", "10.1.0.10"), record("hollow", "10.1.0.10"))
    assert near[0] is Health.PASS
    assert hollow[:2] == (Health.FAIL, "nothing.x.example has no address"), (
        "the alias leads to a name of this zone that is not there"
    )
    options = rfc2136.OPTIONS(kind="rfc2136", servers=(f"127.0.0.1:{named}",), records=(record("near"),))
    (source,) = rfc2136.build("x.example", options, context)
    reading = await source.read()
    await source.close()
    assert isinstance(reading, DnsReading)
    assert reading.ttls == {"near/A": 5}


async def test_an_alias_into_a_zone_below_is_answered_there(context: AdapterContext, named: int) -> None:
    """coredns/coredns#6405, gdnsd/gdnsd#51: the server answers the alias with authority, and refers for its target."""
    ((health, message, answers),) = await found(context, named, record("into", "10.1.0.10"))
    assert (health, message, answers) == (Health.UNKNOWN, "delegated to ns1.elsewhere.example: ask there", ())
