"""What clients get while a change spreads, from a real resolver that keeps answers."""

from __future__ import annotations

import pytest

from adapters.context import AdapterContext
from adapters.dns import rfc2136
from state.changes.model import Finding
from state.errors import ReadFailure, Trouble
from state.world.dns_parts import DnsReading
from tests.contract.dns_zones import BIND, RECORDS, SECRET, Acting, estate_of, keep_secret, options, zone_of
from tests.contract.named import running_named

RESOLVER = """
options {{ directory "{root}"; pid-file none; session-keyfile "{root}/session.key";
  managed-keys-directory "{root}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion yes; allow-recursion {{ any; }}; dnssec-validation no; notify no; empty-zones-enable no; }};
controls {{ }};
zone "lab.test" {{ type forward; forward only; forwarders {{ 127.0.0.1 port {primary}; }}; }};
"""


async def read(context: AdapterContext, made: dict[str, object]) -> dict[str, DnsReading]:
    found = {}
    for source in rfc2136.build("lab.test", rfc2136.OPTIONS.model_validate(made), context):
        reading = await source.read()
        assert isinstance(reading, DnsReading)
        found[source.key.partition("@")[0]] = reading
        await source.close()
    return found


async def test_45_a_resolver_keeps_the_old_answer_and_says_for_how_long(context: AdapterContext) -> None:
    keep_secret(context)
    with (
        running_named(BIND, RECORDS, key=SECRET) as port,
        running_named(RESOLVER, "", primary=str(port)) as resolver,
    ):
        records = [{"name": "www", "expect": ["10.1.0.10"]}, {"name": "gone", "expect": ["10.1.0.10"]}]
        made = options(port, records=records, resolvers=[f"127.0.0.1:{resolver}"])
        before = await read(context, made)
        assert before["resolver:lab.test"].records["www/A"] == ("10.1.0.10", "10.2.0.10")
        assert before["resolver:lab.test"].records["gone/A"] == ()
        acting = Acting(zone_of(context, made), estate_of(made))
        _, found = await acting.done("www", a=["10.3.0.10"])
        assert found.finding is Finding.DONE, "resolvers prove nothing about the zone, and hold nothing up"
        after = await read(context, made)
        assert after["dns:lab.test"].records["www/A"] == ("10.3.0.10",)
        assert after["resolver:lab.test"].records["www/A"] == ("10.1.0.10", "10.2.0.10"), "kept"
        assert 0 < after["resolver:lab.test"].ttls["www/A"] <= 60


async def test_a_resolver_that_answers_nothing_is_no_answer(context: AdapterContext) -> None:
    made = options(1, records=[{"name": "www", "expect": ["10.1.0.10"]}], resolvers=["127.0.0.1:1"])
    *_, resolver = rfc2136.build("lab.test", rfc2136.OPTIONS.model_validate(made), context)
    with pytest.raises(ReadFailure) as failure:
        await resolver.read()
    assert failure.value.trouble is Trouble.UNREACHABLE
