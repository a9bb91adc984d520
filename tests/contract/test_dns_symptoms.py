"""What others reported of changes of DNS, on a real PowerDNS and a real BIND; each names its thread."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.context import AdapterContext
from state.changes.model import Finding
from state.errors import ReadFailure
from tests.contract.dns_zones import (
    BIND,
    KEY,
    RECORDS,
    SECRET,
    Acting,
    api_acting,
    estate_of,
    keep_secret,
    options,
    rows,
    zone_of,
)
from tests.contract.named import running_named
from tests.contract.pdns import RunningPdns, rrset, running_pdns
from tests.support.ports import free_port

HINTED = "its HTTPS record has 10.1.0.10 in it too (ipv4hint, ipv6hint): some clients still go there"


@pytest.fixture
def pdns() -> Iterator[RunningPdns]:
    with running_pdns() as running:
        yield running


def stored(pdns: RunningPdns, name: str, kind: str, content: str, ttl: int = 60) -> None:
    """A record as other programs write it into the database, past all checks of the server."""
    put = "insert into records(domain_id, name, type, content, ttl, disabled, auth) select id, ?, ?, ?, ?, 0, 1"
    with sqlite3.connect(pdns.root / "zones.db") as database:
        database.execute(f"{put} from domains", (f"{name}.lab.test", kind, content, ttl))


async def test_a_name_in_capitals_is_the_same_name(context: AdapterContext, pdns: RunningPdns) -> None:
    """PowerDNS/pdns#8487, #8217: it is changed, and not made a second time."""
    pdns.patch(rrset("Www", "A", 60, "10.1.0.10"))
    _, found = await api_acting(context, pdns).done("WWW", a=["10.2.0.10"])
    assert found.finding is Finding.DONE, found.evidence
    sets = [each for each in pdns.ask("GET", "/lab.test.")["rrsets"] if each["name"].lower() == "www.lab.test."]
    assert [each["records"] for each in sets] == [[{"content": "10.2.0.10", "disabled": False}]]
    assert await rows(pdns.port, "www", "A") == (60, ["10.2.0.10"])


async def test_other_spellings_and_ttls_in_the_database_are_no_other_view(
    context: AdapterContext, pdns: RunningPdns
) -> None:
    """PowerDNS/pdns#12651, poweradmin/poweradmin#533: the API repeats what is stored, DNS answers one spelling."""
    stored(pdns, "six", "AAAA", "2001:DB8:0:0::0010")
    stored(pdns, "alias", "CNAME", "Target.Example.ORG")
    for value, ttl in (("10.1.0.10", 60), ("10.2.0.10", 300)):
        stored(pdns, "mixed", "A", value, ttl)
    acting = api_acting(context, pdns)
    for name, change in (
        ("six", {"aaaa": ["2001:db8::11"]}),
        ("alias", {"cname": "other.example.org"}),
        ("mixed", {"a": ["10.3.0.10"]}),
    ):
        card, found = await acting.done(name, **change)
        assert found.finding is Finding.DONE, (name, found.evidence)
        assert (await acting.undone(card)).finding is Finding.DONE


async def test_a_zone_that_the_api_cannot_read_refuses_the_card_and_changes_nothing(
    context: AdapterContext, pdns: RunningPdns
) -> None:
    """PowerDNS/pdns#12651: for one record that cannot be parsed the API answers 500 for the whole zone, while DNS
    answers. The name can be changed as soon as that record is mended."""
    pdns.patch(rrset("www", "A", 60, "10.1.0.10"))
    stored(pdns, "bad", "A", "no-address")
    acting = api_acting(context, pdns)
    with pytest.raises(ReadFailure, match="answered 500"):
        await acting.card("www", a=["10.2.0.10"])
    assert await rows(pdns.port, "www", "A") == (60, ["10.1.0.10"])
    with sqlite3.connect(pdns.root / "zones.db") as database:
        database.execute("delete from records where name = 'bad.lab.test'")
    _, found = await acting.done("www", a=["10.2.0.10"])
    assert found.finding is Finding.DONE, found.evidence


async def test_an_update_that_fits_in_no_datagram_is_sent_whole(context: AdapterContext) -> None:
    """kubernetes-sigs/external-dns#3836: the signature made it longer than 512 bytes, and the update timed out."""
    keep_secret(context)
    with running_named(BIND, RECORDS, key=SECRET) as port:
        acting = Acting(zone_of(context, options(port)), estate_of(options(port)))
        many = [f"10.9.{number // 250}.{number % 250 + 1}" for number in range(60)]
        card, found = await acting.done("www", a=many)
        assert found.finding is Finding.DONE, found.evidence
        assert (await rows(port, "www", "A"))[1] == sorted(many)
        assert (await acting.undone(card)).finding is Finding.DONE
        assert (await rows(port, "www", "A"))[1] == ["10.1.0.10", "10.2.0.10"]


async def test_an_alias_without_a_final_dot_is_a_whole_name_at_bind(context: AdapterContext) -> None:
    """octodns/octodns#1146: the zone's own name was put behind it, and each run changed it again."""
    keep_secret(context)
    with running_named(BIND, RECORDS, key=SECRET) as port:
        acting = Acting(zone_of(context, options(port)), estate_of(options(port)))
        for written in ("target.example.org", "Target.Example.ORG."):
            assert (await acting.done("www", cname=written))[1].finding is Finding.DONE
            assert [each.lower() for each in (await rows(port, "www", "CNAME"))[1]] == ["target.example.org."]


async def test_an_alias_without_a_final_dot_is_taken_by_the_api(context: AdapterContext, pdns: RunningPdns) -> None:
    """kubernetes-sigs/external-dns#541: the API refuses it without (422)."""
    pdns.patch(rrset("www", "A", 60, "10.1.0.10"))
    card, found = await api_acting(context, pdns).done("www", cname="target.example.org")
    assert found.finding is Finding.DONE, found.evidence
    assert (await rows(pdns.port, "www", "CNAME"))[1] == ["target.example.org."]
    assert (await api_acting(context, pdns).undone(card)).finding is Finding.DONE
    assert (await rows(pdns.port, "www", "A"))[1] == ["10.1.0.10"]


async def test_an_https_record_that_still_has_the_address_is_told_at_bind(context: AdapterContext) -> None:
    """timothymiller/cloudflare-ddns#107: the hints kept the former address; it may be the site that was left."""
    keep_secret(context)
    hinted = RECORDS + "www HTTPS 1 . alpn=h2 ipv4hint=10.1.0.10,10.2.0.10 ipv6hint=2001:db8::10\n"
    with running_named(BIND, hinted, key=SECRET) as port:
        acting = Acting(zone_of(context, options(port)), estate_of(options(port)))
        card, found = await acting.done("www", a=["10.2.0.10"])
        assert found.finding is Finding.DONE, found.evidence
        assert HINTED in [each.message for each in card.warnings]
        stays = await acting.card("www", a=["10.2.0.10", "10.3.0.10"])
        assert not [each for each in stays.warnings if "HTTPS" in each.message], "what stays harms nobody"


async def test_an_https_record_that_still_has_the_address_is_told_by_the_api(
    context: AdapterContext, pdns: RunningPdns
) -> None:
    """TechnitiumSoftware/DnsServer#947, PowerDNS/pdns#10258: hints that follow nobody."""
    pdns.patch(rrset("www", "A", 60, "10.1.0.10", "10.2.0.10"), rrset("www", "HTTPS", 60, "1 . ipv4hint=10.1.0.10"))
    card = await api_acting(context, pdns).card("www", a=["10.2.0.10"])
    assert HINTED in [each.message for each in card.warnings]


async def test_a_frozen_zone_is_not_blamed_on_the_key_alone(context: AdapterContext, tmp_path: Path) -> None:
    """webmin/webmin#958, thias/puppet-bind#99: jobs freeze a zone to write its file, and one that dies leaves it so."""
    keep_secret(context)
    control = free_port()
    allowed = f'controls {{{{ inet 127.0.0.1 port {control} allow {{{{ 127.0.0.1; }}}} keys {{{{ "{KEY}"; }}}}; }}}};'
    known = tmp_path / "rndc.conf"
    known.write_text(
        f'key "{KEY}" {{ algorithm hmac-sha256; secret "{SECRET}"; }};\n'
        f'options {{ default-server 127.0.0.1; default-port {control}; default-key "{KEY}"; }};\n'
    )
    with running_named(BIND.replace("controls {{ }};", allowed), RECORDS, key=SECRET) as port:
        acting = Acting(zone_of(context, options(port)), estate_of(options(port)))
        rndc = ["/usr/sbin/rndc", "-c", known]
        subprocess.run([*rndc, "freeze", "lab.test"], check=True, capture_output=True, timeout=20)
        (rule,) = [each for each in (await acting.card("www", a=["10.2.0.10"])).rules if not each.passed]
        assert (rule.rule, "or lets nobody" in rule.fact, "rndc thaw" in rule.way_out) == ("update-allowed", True, True)
        subprocess.run([*rndc, "thaw", "lab.test"], check=True, capture_output=True, timeout=20)
        assert (await acting.done("www", a=["10.2.0.10"]))[1].finding is Finding.DONE
