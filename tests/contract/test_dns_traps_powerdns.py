"""Failures that others met when they changed DNS over PowerDNS's API, on a real one: named after their numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from adapters.context import AdapterContext
from adapters.dns import powerdns, powerdns_examine
from state.changes.model import Finding, Preview
from state.diagnosis.model import Asked
from state.errors import EffectRefused, ReadFailure, Trouble
from state.health import Health
from state.verdicts.dns import record_verdict
from tests.contract.dns_zones import Acting, api_acting, keep_secret, rows
from tests.contract.named import running_named
from tests.contract.pdns import API_KEY, RunningPdns, rrset, running_pdns

SECONDARY = """
options {{ directory "{root}"; pid-file none; session-keyfile "{root}/session.key";
  managed-keys-directory "{root}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; notify no; empty-zones-enable no; }};
controls {{ }};
zone "lab.test" {{ type secondary; primaries {{ 127.0.0.1 port {primary}; }}; file "{root}/copy.db"; }};
"""


@pytest.fixture
def pdns() -> Iterator[RunningPdns]:
    with running_pdns() as running:
        running.patch(
            rrset("www", "A", 60, "10.1.0.10", off=("10.2.0.10",), note="ask ada"),
            rrset("both", "A", 60, "10.1.0.10"),
            rrset("both", "AAAA", 60, "2001:db8::10"),
            rrset("name", "ALIAS", 60, "www.lab.test."),
            rrset("*.wild", "A", 60, "10.7.0.10"),
        )
        yield running


@pytest.fixture
def acting(context: AdapterContext, pdns: RunningPdns) -> Acting:
    return api_acting(context, pdns)


def told(card: Preview) -> str:
    return "; ".join(each.message for each in card.warnings)


async def test_40_an_address_becomes_an_alias_and_back(acting: Acting, pdns: RunningPdns) -> None:
    """The API checks each set against those that are there by then: what goes is sent first."""
    card, found = await acting.done("both", cname="x.example.org")
    assert found.finding is Finding.DONE, found.evidence
    assert set(pdns.sets("both")) == {"CNAME"}
    other, found = await acting.done("both", a=["10.1.0.10"], aaaa=[])
    assert found.finding is Finding.DONE, found.evidence
    assert (await acting.undone(other)).finding is Finding.DONE
    assert (await acting.undone(card)).finding is Finding.DONE
    assert set(pdns.sets("both")) == {"A", "AAAA"}


async def test_41_a_refused_record_leaves_the_old_one(acting: Acting, pdns: RunningPdns) -> None:
    pdns.patch(rrset("both", "TXT", 60, '"kept"'))
    assert "alias-alone" in await acting.refused("both", cname="x.example.org")
    assert set(pdns.sets("both")) == {"A", "AAAA", "TXT"}


async def test_47_the_whole_set_is_sent_with_its_disabled_values_and_comments(
    acting: Acting, pdns: RunningPdns
) -> None:
    _, found = await acting.done("www", a=["10.3.0.10"])
    assert found.finding is Finding.DONE, found.evidence
    kept = pdns.sets("www")["A"]
    assert {row["content"]: row["disabled"] for row in kept["records"]} == {"10.3.0.10": False, "10.2.0.10": True}
    assert [(each["content"], each["account"]) for each in kept["comments"]] == [("ask ada", "ada")]


async def test_47_what_changed_since_the_card_is_not_overwritten(acting: Acting, pdns: RunningPdns) -> None:
    change = acting.change("www", a=["10.3.0.10"])
    card = await change.preview(deadline=4)
    pdns.patch(rrset("www", "A", 60, "10.1.0.10", "10.9.0.9", off=("10.2.0.10",)))
    with pytest.raises(EffectRefused) as refused:
        await change.apply(card.facts, effect="R-1/a", deadline=5)
    assert refused.value.code == "moved"
    assert len(pdns.sets("www")["A"]["records"]) == 3


async def test_48_a_disabled_record_is_no_answer_and_enabling_it_is_a_change(acting: Acting, pdns: RunningPdns) -> None:
    card = await acting.card("www", a=["10.1.0.10", "10.2.0.10"])
    assert not card.already
    assert "www.lab.test A: 10.1.0.10 → 10.1.0.10, 10.2.0.10" in [str(diff) for diff in card.diffs]
    assert "disabled values, which are no answers: 10.2.0.10" in told(card)
    card, found = await acting.done("www", a=["10.1.0.10", "10.2.0.10"])
    assert found.finding is Finding.DONE, found.evidence
    assert await rows(pdns.port, "www", "A") == (60, ["10.1.0.10", "10.2.0.10"])
    assert (await acting.undone(card)).finding is Finding.DONE
    back = {row["content"]: row["disabled"] for row in pdns.sets("www")["A"]["records"]}
    assert back == {"10.1.0.10": False, "10.2.0.10": True}, "disabled again, not removed"


async def test_49_after_an_api_change_every_secondary_proves_it(context: AdapterContext) -> None:
    with (
        running_pdns(kind="Master", more="primary=yes\nonly-notify=127.0.0.0/8") as pdns,
        running_named(SECONDARY, "", primary=str(pdns.port)) as copy,
    ):
        pdns.tool("set-meta", "lab.test", "ALSO-NOTIFY", f"127.0.0.1:{copy}")
        acting = api_acting(context, pdns, copy)
        change = acting.change("www", a=["10.3.0.10"], ttl=60)
        card = await change.preview(deadline=4)
        assert "native" not in told(card)
        await change.apply(card.facts, effect="R-1/a", deadline=5)
        async with asyncio.timeout(60):
            while (found := await change.read_back(card.facts, deadline=4)).finding is not Finding.DONE:
                assert found.finding is Finding.UNKNOWN, found
                await asyncio.sleep(0.2)
        assert [line.split(",")[0] for line in found.evidence] == [
            f"127.0.0.1:{pdns.port} answers it",
            f"127.0.0.1:{copy} answers it",
        ]


async def test_49_native_zones_and_a_serial_that_stays_are_named(context: AdapterContext) -> None:
    with running_pdns(edits="") as pdns, running_named(SECONDARY, "", primary=str(pdns.port)) as copy:
        acting = api_acting(context, pdns, copy)
        said = told(await acting.card("www", a=["10.3.0.10"], ttl=60))
        assert "the zone is native: no secondary is notified" in said
        assert "SOA-EDIT-API is not set: the serial stays" in said
        _, found = await acting.done("www", a=["10.3.0.10"], ttl=60)
        assert found.finding is Finding.UNKNOWN, "the secondary may still follow"
        assert f"127.0.0.1:{copy}, serial" in found.evidence[-1]
        assert "the same as there: it is stale" in found.evidence[-1], "trap 50: same serial, other content"


async def test_53_a_record_takes_the_wildcard_away(acting: Acting) -> None:
    assert "it would lose its A" in (await acting.refused("shop.wild", aaaa=["2001:db8::1"]))["answer-left"]
    assert "shop.wild.lab.test is answered by *.wild.lab.test now" in told(
        await acting.card("x.shop.wild", a=["10.8.0.1"])
    )
    card, found = await acting.done("shop.wild", a=["10.8.0.10"])
    assert found.finding is Finding.DONE, found.evidence
    assert "shop.wild.lab.test is answered by *.wild.lab.test now" in told(card)
    assert (await acting.undone(card)).finding is Finding.DONE


async def test_56_an_alias_is_expanded_so_addresses_are_compared_and_not_changed(acting: Acting) -> None:
    refused = await acting.refused("name", a=["10.3.0.10"], ttl=60)
    assert "it is an ALIAS of www.lab.test, whose addresses the server looks up" in refused["not-expanded"]
    assert record_verdict(("10.1.0.10",), ("10.1.0.10",))[0] is Health.PASS, "by address, whatever gave it"


async def test_an_examination_tells_the_zone_and_whether_the_key_is_taken(
    context: AdapterContext, pdns: RunningPdns
) -> None:
    for key, health in ((API_KEY, Health.PASS), ("another-key", Health.FAIL)):
        keep_secret(context, key, f"api-{key}")
        made = {"kind": "powerdns", "url": pdns.url, "api_key": {"file": f"api-{key}"}}
        options = powerdns.OPTIONS.model_validate({**made, "servers": [f"127.0.0.1:{pdns.port}"]})
        found = await powerdns_examine.examine("lab.test", options, context, deadline=10)
        assert {row.health for row in found if row.target.endswith("/api")} == {health}, found
        assert not any(key in row.reason for row in found)
    assert any(row.asked is Asked.IDENTIFIED and "authoritative for lab.test" in row.reason for row in found)


async def test_52_a_wrong_key_of_the_api_is_told_as_such(context: AdapterContext, pdns: RunningPdns) -> None:
    wrong = api_acting(context, pdns, key="another-key")
    with pytest.raises(ReadFailure, match="401") as failure:
        await wrong.card("www", a=["10.3.0.10"])
    assert failure.value.trouble is Trouble.DENIED
    assert "another-key" not in failure.value.message


async def test_a_reading_that_ends_first_takes_nobody_elses_connection(acting: Acting) -> None:
    """Identity and preview of a card read the zone at once; so do those of every plan."""
    change = acting.change("www", a=["10.3.0.10"])
    looks = [each(deadline=4) for _ in range(20) for each in (change.identify, change.preview)]
    found = await asyncio.gather(*looks, return_exceptions=True)
    assert [each for each in found if isinstance(each, BaseException)] == []
