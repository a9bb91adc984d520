"""Aliases that lead to no address, and those whose end others answer for, at real servers and a real resolver."""

from __future__ import annotations

from typing import Any

from adapters.context import AdapterContext
from adapters.dns import rfc2136
from state.estate.model import DnsRecord
from state.health import Health
from state.verdicts.dns import record_finding
from state.verdicts.reach import NameVerdict, name_verdicts
from state.world.dns_parts import DnsReading
from state.world.observed import Observed
from state.world.shapes import misfit
from state.world.world import World
from tests.contract.dns_zones import SECRET, Acting, estate_of, foreign, keep_secret, options, rows, zone_of
from tests.contract.named import running_named
from tests.contract.test_dns_resolvers import RESOLVER

TWO_ZONES = """
options {{ directory "{root}"; pid-file none; session-keyfile "{root}/session.key";
  managed-keys-directory "{root}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; notify no; empty-zones-enable no; }};
controls {{ }};
zone "lab.test" {{ type primary; file "{root}/zone.db"; }};
zone "sub.lab.test" {{ type primary; file "{root}/inside.db"; }};
"""
BOTH = (
    TWO_ZONES.replace('zone.db"; ', 'zone.db"; update-policy {{ grant recovery. zonesub ANY; }}; ')
    + 'key "recovery." {{ algorithm hmac-sha256; secret "{key}"; }};'
)
ALIASES = """$TTL 60
@ SOA ns hostmaster 1 3600 600 86400 30
@ NS ns
ns A 127.0.0.1
edge A 10.1.0.10
good CNAME edge
dead CNAME nowhere
empty CNAME text
text TXT "no address"
loop CNAME pool
pool CNAME loop
far CNAME gone.other.test.
down CNAME x.sub
there CNAME there.other.test.
x.shut A 10.1.0.10
sub NS ns
"""
BELOW = """$TTL 60
@ SOA ns.lab.test. hostmaster.lab.test. 1 3600 600 86400 30
@ NS ns.lab.test.
x A 10.1.0.10
"""
FURTHER = (
    'zone "other.test" {{ type primary; file "{root}/zone.db"; }};'
    'zone "shut.lab.test" {{ type forward; forward only; forwarders {{ 127.0.0.1 port 1; }}; }};'
)
OTHER = """$TTL 60
@ SOA ns.lab.test. hostmaster.lab.test. 1 3600 600 86400 30
@ NS ns.lab.test.
there A 10.1.0.10
"""


def record(name: str, kind: str, expect: str) -> dict[str, Any]:
    return {"name": name, "type": kind, "expect": [expect], "service": "www"}


async def verdicts(
    context: AdapterContext, *records: dict[str, Any], resolved: bool = True
) -> tuple[list[NameVerdict], dict[str, DnsReading]]:
    """The verdicts on the records, and the readings they come from; `resolved`: with a resolver."""
    with (
        running_named(TWO_ZONES, ALIASES, BELOW) as port,
        running_named(RESOLVER + FURTHER, OTHER, primary=str(port)) as resolver,
    ):
        made: dict[str, Any] = {"kind": "rfc2136", "servers": [f"127.0.0.1:{port}"], "records": records}
        made |= {"resolvers": [f"127.0.0.1:{resolver}"]} if resolved else {}
        world, found = World(), dict[str, DnsReading]()
        for source in rfc2136.build("lab.test", rfc2136.OPTIONS.model_validate(made), context):
            reading = await source.read()
            assert isinstance(reading, DnsReading)
            assert misfit(reading) is None
            found[source.key.partition(":")[0]] = reading
            world.observed[source.key] = Observed(source.key, 10.0, reading, 0.0, 0.0)
            await source.close()
        return name_verdicts(estate_of(made), "www", world, 1.0), found


async def test_an_alias_that_leads_to_no_address_is_never_as_expected(context: AdapterContext) -> None:
    names = {"dead": "nowhere.lab.test", "empty": "text.lab.test"}
    records = [record(name, "CNAME", end) for name, end in names.items()]
    found, readings = await verdicts(context, *records, resolved=False)
    assert [each.health for each in found] == [Health.FAIL] * 2
    assert [each.lost for each in found] == list(names.values())
    assert found[0].message == "dead.lab.test is an alias of nowhere.lab.test, which has no address"
    entry = DnsRecord.model_validate(records[0])
    health, message, answers = record_finding(readings["dns"], entry, entry.expect)
    assert (health, message, answers) == (Health.FAIL, "nowhere.lab.test has no address", ("nowhere.lab.test.",))


async def test_an_alias_with_an_address_passes(context: AdapterContext) -> None:
    found, _ = await verdicts(context, record("good", "CNAME", "edge.lab.test"), record("good", "A", "10.1.0.10"))
    assert [each.health for each in found] == [Health.PASS] * 2


async def test_aliases_in_a_circle_have_no_proven_address(context: AdapterContext) -> None:
    (alone,), _ = await verdicts(context, record("loop", "CNAME", "pool.lab.test"), resolved=False)
    assert alone.health is Health.UNKNOWN, alone.message
    assert "SERVFAIL" in alone.message
    _, readings = await verdicts(context, record("loop", "CNAME", "pool.lab.test"))
    assert readings["resolver"].lost == {"loop/CNAME": "pool.lab.test"}


async def test_where_an_alias_leads_elsewhere_its_resolvers_know(context: AdapterContext) -> None:
    records = [
        record("there", "A", "10.1.0.10"),
        record("there", "CNAME", "there.other.test"),
        record("far", "A", "10.1.0.10"),
        record("far", "CNAME", "gone.other.test"),
        record("down", "A", "10.1.0.10"),
    ]
    found, _ = await verdicts(context, *records)
    assert [each.health for each in found] == [Health.PASS, Health.PASS, Health.FAIL, Health.FAIL, Health.PASS]
    assert "is an alias of gone.other.test, which has no address, at 1 of 1 resolvers" in found[2].message
    alone, _ = await verdicts(context, *records, resolved=False)
    assert [each.health for each in alone[::2]] == [Health.WARN] * 3, "nobody read its addresses"
    assert alone[4].message == "down.lab.test is an alias of x.sub.lab.test, which is not read"


async def test_a_resolver_that_cannot_resolve_a_name_has_no_address_for_its_clients(context: AdapterContext) -> None:
    (found,), readings = await verdicts(context, record("x.shut", "A", "10.1.0.10"))
    assert readings["dns"].records["x.shut/A"] == ("10.1.0.10",)
    assert found.health is Health.FAIL
    assert "answers nothing at 1 of 1 resolvers" in found.message


async def test_a_name_below_a_delegation_is_not_changed_at_a_server_of_both_zones(context: AdapterContext) -> None:
    """BIND takes such an update with NOERROR, keeps the record in the upper zone, and answers from the lower one."""
    keep_secret(context)
    with running_named(BOTH, ALIASES, BELOW, key=SECRET) as port:
        made = options(port, records=[{"name": "x.sub", "expect": ["10.1.0.10"]}])
        acting = Acting(zone_of(context, made), estate_of(made))
        assert "delegated" in await acting.refused("x.sub", a=["10.9.0.1"])
        await foreign(port, ("add", "x.sub", "60", "A", "10.9.0.1"))
        assert await rows(port, "x.sub", "A") == (60, ["10.1.0.10"]), "which is why"
