"""Name servers: every server's own answers, against a real BIND."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.context import AdapterContext
from adapters.discovery.asking import discover
from adapters.discovery.looking import Looking
from adapters.dns import rfc2136, rfc2136_examine
from state.diagnosis.model import Asked
from state.discovery.answers import Answers
from state.discovery.found import FoundBalancer, FoundZone, Unreached
from state.discovery.haproxy_cfg import parse_haproxy_cfg
from state.discovery.propose import propose
from state.errors import ReadFailure, Trouble
from state.estate.model import DnsRecord
from state.health import Health
from state.world.dns_parts import DnsReading
from tests.contract.dns_zones import BIND, RECORDS, SECRET
from tests.contract.named import running_named

KEY = "c2VjcmV0LW9mLXRoZS16b25lLTEyMzQ1Ng=="
NAMED = """
options {{ directory "{root}"; pid-file none; session-keyfile "{root}/session.key";
  managed-keys-directory "{root}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; notify no; empty-zones-enable no; }};
controls {{ }};
key "recovery." {{ algorithm hmac-sha256; secret "{key}"; }};
zone "lab.test" {{ type primary; file "{root}/zone.db"; allow-transfer {{ any; }}; }};
zone "shut.test" {{ type primary; file "{root}/zone.db"; allow-query {{ none; }}; }};
zone "closed.test" {{ type primary; file "{root}/zone.db"; allow-transfer {{ none; }}; }};
"""
MANY = "\n".join(f"many 30 A 10.0.{n // 250}.{n % 250 + 1}" for n in range(95))
ZONE = f"""$TTL 60
@ SOA ns hostmaster 2026112301 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
checkout 5 A 10.2.0.10
checkout 5 A 10.1.0.10
www CNAME checkout
{MANY}
"""


@pytest.fixture(scope="module")
def named() -> Iterator[int]:
    with running_named(NAMED, ZONE, key=KEY) as port:
        yield port


async def read(context: AdapterContext, port: int, zone: str, *records: DnsRecord) -> DnsReading:
    (source,) = rfc2136.build(
        zone, rfc2136.OPTIONS(kind="rfc2136", servers=(f"127.0.0.1:{port}",), records=records), context
    )
    assert source.key == f"dns:{zone}@127.0.0.1:{port}"
    reading = await source.read()
    await source.close()
    assert isinstance(reading, DnsReading)
    return reading


def record(name: str, kind: str = "A") -> DnsRecord:
    return DnsRecord.model_validate({"name": name, "type": kind, "expect": []})


async def test_serial_answers_and_ttls(context: AdapterContext, named: int) -> None:
    wanted = (record("checkout"), record("www", "CNAME"), record("gone"), record("many"), record("checkout", "AAAA"))
    reading = await read(context, named, "lab.test", *wanted)
    assert reading.serial == 2026112301
    assert reading.records["checkout/A"] == ("10.1.0.10", "10.2.0.10")
    assert reading.records["www/CNAME"] == ("checkout.lab.test.",)
    assert reading.records["gone/A"] == ()
    assert reading.records["checkout/AAAA"] == ()
    assert len(reading.records["many/A"]) == 95
    assert reading.ttls == {"checkout/A": 5, "www/CNAME": 60, "many/A": 30}


async def test_a_zone_it_does_not_serve_is_denied(context: AdapterContext, named: int) -> None:
    with pytest.raises(ReadFailure) as failure:
        await read(context, named, "elsewhere.test", record("checkout"))
    assert failure.value.trouble is Trouble.DENIED


async def test_silence_is_a_timeout(context: AdapterContext) -> None:
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        with pytest.raises(ReadFailure) as failure:
            await read(context, mute.getsockname()[1], "lab.test", record("checkout"))
    assert failure.value.trouble is Trouble.TIMEOUT


def test_servers_are_addresses_with_ports() -> None:
    with pytest.raises(ValueError, match="host:port"):
        rfc2136.OPTIONS(kind="rfc2136", servers=("10.1.0.53",))


async def test_a_name_server_tells_its_serial_and_refuses_a_key_that_it_does_not_have(
    context: AdapterContext, named: int
) -> None:
    secret = "d3Jvbmctb2YtdGhlLXpvbmUtMTIzNDU2Nzg="
    (context.base / "key").write_text(secret)
    (context.base / "key").chmod(0o600)
    key = {"name": "stranger.", "secret": {"file": "key"}}
    servers = (f"127.0.0.1:{named}",)
    options = rfc2136.OPTIONS(kind="rfc2136", servers=servers, records=(record("checkout"),), key=key)
    found = {row.asked: row for row in await rfc2136_examine.examine("lab.test", options, context, deadline=60)}
    assert found[Asked.IDENTIFIED].reason == "authoritative for lab.test, serial 2026112301"
    assert (found[Asked.CREDENTIAL].health, "stranger." in found[Asked.CREDENTIAL].reason) == (Health.FAIL, True)
    assert not any(secret in row.reason for row in found.values())
    other = await rfc2136_examine.examine("elsewhere.test", options, context, deadline=60)
    assert Health.FAIL in {row.health for row in other}


async def test_a_key_that_the_server_has_is_accepted(context: AdapterContext, named: int) -> None:
    (context.base / "key").write_text(KEY)
    (context.base / "key").chmod(0o600)
    key = {"name": "recovery.", "secret": {"file": "key"}}
    options = rfc2136.OPTIONS(kind="rfc2136", servers=(f"127.0.0.1:{named}",), key=key)
    found = {row.asked: row for row in await rfc2136_examine.examine("lab.test", options, context, deadline=60)}
    assert (found[Asked.CREDENTIAL].health, found[Asked.CREDENTIAL].reason) == (
        Health.PASS,
        "the key recovery. is accepted",
    )


async def test_a_key_is_tried_where_it_is_used_also_at_a_hidden_primary(context: AdapterContext, named: int) -> None:
    """A secondary need not know the key of updates."""
    (context.base / "key").write_text(KEY)
    (context.base / "key").chmod(0o600)
    key = {"name": "recovery.", "secret": {"file": "key"}}
    with running_named(BIND, RECORDS, key=SECRET) as port:  # it has another secret for it
        here, there = f"127.0.0.1:{named}", f"127.0.0.1:{port}"
        for servers, primary, health in (((here, there), here, Health.PASS), ((here,), there, Health.FAIL)):
            options = rfc2136.OPTIONS(kind="rfc2136", servers=servers, primary=primary, key=key)
            found = await rfc2136_examine.examine("lab.test", options, context, deadline=60)
            tried = [(row.target, row.health) for row in found if row.asked is Asked.CREDENTIAL]
            assert tried == [(f"zones/lab.test/{primary}", health)]


SHOP = """
global
  stats socket /run/haproxy/edge.sock level admin
defaults
  mode http
frontend f
  bind 10.1.0.10:80
backend checkout
  server s1 10.0.0.1:80 check
"""
"""A balancer that listens where `checkout` of the zone points."""


async def test_init_finds_the_records_that_lead_to_the_balancers(named: int) -> None:
    (zone,) = await discover([f"dns://127.0.0.1:{named}/lab.test"], Looking(deadline=60))
    assert isinstance(zone, FoundZone)
    assert zone.whole
    assert zone.servers == (f"127.0.0.1:{named}",), "the address of ns is that of this host only"
    balancer = parse_haproxy_cfg(SHOP, "/etc/haproxy/haproxy.cfg")
    assert isinstance(balancer, FoundBalancer)
    proposal, _ = propose([balancer, zone], Answers(("ada",)), "shop", "ada")
    assert proposal.tree["zones"]["lab.test"]["records"] == [
        {"name": "checkout", "type": "A", "expect": ["10.1.0.10", "10.2.0.10"]},
        {"name": "www", "type": "CNAME", "expect": ["checkout.lab.test."]},
    ]
    assert any("left out" in point.what and "many" in point.what for point in proposal.open)


async def test_init_asks_for_names_where_no_zone_is_given_whole(named: int) -> None:
    (zone,) = await discover([f"dns://127.0.0.1:{named}/closed.test"], Looking(deadline=60))
    assert isinstance(zone, FoundZone)
    assert not zone.whole
    assert {record.name for record in zone.records} == {"checkout", "www"}
    proposal, _ = propose([zone], Answers(("ada",)), "shop", "ada")
    assert any("gives no whole zone" in point.what for point in proposal.open)


async def test_init_says_that_a_zone_is_not_there(named: int) -> None:
    (fact,) = await discover([f"dns://127.0.0.1:{named}/elsewhere.test"], Looking(deadline=60))
    assert isinstance(fact, Unreached)
    (fact,) = await discover(["dns://127.0.0.1"], Looking())
    assert isinstance(fact, Unreached)
    assert "dns://server/zone" in fact.message


async def test_a_zone_that_may_not_be_asked_is_not_called_missing(named: int) -> None:
    refused, missing = await discover(
        [f"dns://127.0.0.1:{named}/shut.test", f"dns://127.0.0.1:{named}/other.test"], Looking(deadline=60)
    )
    assert isinstance(refused, Unreached)
    assert (refused.trouble, "REFUSED" in refused.message) == (Trouble.DENIED, True)
    assert isinstance(missing, Unreached)
    assert "REFUSED" in missing.message, "a server without recursion refuses what it has not"
