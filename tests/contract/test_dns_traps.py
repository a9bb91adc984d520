"""Failures that others met when they changed DNS, on a real BIND: named after their numbers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.context import AdapterContext
from state.api.card import WarningKind
from state.changes.model import Finding, Preview
from state.changes.record_proof import agreement
from state.errors import EffectRefused, ReadFailure
from state.verdicts.record_sets import wait_after
from state.world.record_sets import NameSeen, NameState, RecordSet
from tests.contract.dns_zones import (
    SECRET,
    WRONG,
    Acting,
    estate_of,
    foreign,
    keep_secret,
    options,
    rows,
    serial,
    zone_of,
)
from tests.contract.named import running_named

NAMED = """
options {{ directory "{root}"; pid-file none; session-keyfile "{root}/session.key";
  managed-keys-directory "{root}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; notify no; empty-zones-enable no; }};
controls {{ }};
key "recovery." {{ algorithm hmac-sha256; secret "{key}"; }};
key "reader." {{ algorithm hmac-sha256; secret "{key}"; }};
zone "lab.test" {{ type primary; file "{root}/zone.db"; update-policy {{ grant recovery. zonesub ANY; }}; }};
"""
ZONE = """$TTL 60
@ SOA ns hostmaster 1 3600 600 86400 30
@ NS ns
@ A 10.1.0.10
ns A 127.0.0.1
www A 10.1.0.10
www A 10.2.0.10
both A 10.1.0.10
both AAAA 2001:db8::10
text A 10.1.0.10
text TXT "kept"
alias CNAME www
sub NS ns.elsewhere.test.
*.wild A 10.7.0.10
*.wild TXT "wild"
"""


@pytest.fixture
def port() -> Iterator[int]:
    with running_named(NAMED, ZONE, key=SECRET) as at:
        yield at


@pytest.fixture
def acting(context: AdapterContext, port: int) -> Acting:
    keep_secret(context)
    return Acting(zone_of(context, options(port)), estate_of(options(port)))


def effects(card: Preview) -> list[str]:
    return [each.message for each in card.warnings if each.kind is WarningKind.EFFECT]


async def test_39_noerror_is_no_proof_and_each_ignored_part_is_named(acting: Acting, port: int) -> None:
    """BIND answers NOERROR for a CNAME beside an A and leaves it out, serial unchanged."""
    change = acting.change("www", cname="shop.provider.example")
    card = await change.preview(deadline=4)
    was = await serial(port)
    await foreign(port, ("add", "www", "60", "CNAME", "shop.provider.example."))
    assert await serial(port) == was, "BIND said NOERROR"
    found = await change.read_back(card.facts, deadline=4)
    assert found.finding is Finding.NOT_DONE
    told = "; ".join(found.evidence)
    for part in ("A 10.1.0.10, 10.2.0.10 is still answered", "CNAME shop.provider.example is missing", "serial"):
        assert part in told, told


@pytest.mark.parametrize(("there", "back"), [({"cname": "x.example.org"}, {"a": ["10.1.0.10"], "aaaa": []})])
async def test_40_an_address_becomes_an_alias_and_back_in_one_message(
    acting: Acting, port: int, there: dict[str, Any], back: dict[str, Any]
) -> None:
    card, found = await acting.done("both", **there)
    assert found.finding is Finding.DONE, found.evidence
    assert await rows(port, "both", "CNAME") == (60, ["x.example.org."])
    other, found = await acting.done("both", **back)
    assert found.finding is Finding.DONE, found.evidence
    assert await rows(port, "both", "A") == (60, ["10.1.0.10"])
    assert (await acting.undone(other)).finding is Finding.DONE
    assert (await acting.undone(card)).finding is Finding.DONE, "both families come back, each with its TTL"
    assert (await rows(port, "both", "A"), await rows(port, "both", "AAAA")) == (
        (60, ["10.1.0.10"]),
        (60, ["2001:db8::10"]),
    )


async def test_41_a_name_never_goes_without_an_answer(acting: Acting, port: int) -> None:
    """At the apex and beside other records BIND would remove the address and leave the alias out."""
    assert "alias-alone" in await acting.refused("@", cname="shop.provider.example")
    assert "alias-alone" in await acting.refused("text", cname="shop.provider.example")
    assert "answer-left" in await acting.refused("www", a=[])
    change = acting.change("www", cname="shop.provider.example")
    card = await change.preview(deadline=4)
    await foreign(port, ("add", "www", "60", "TXT", '"beside"'))  # after the card
    with pytest.raises(EffectRefused):
        await change.apply(card.facts, effect="R-1/a", deadline=5)
    assert await rows(port, "www", "A") == (60, ["10.1.0.10", "10.2.0.10"]), "the old one stays"


async def test_42_a_ttl_is_of_the_whole_set_and_compared_apart(acting: Acting, port: int) -> None:
    card = await acting.card("www", a=["10.1.0.10", "10.2.0.10", "10.3.0.10"], ttl=5)
    assert "www.lab.test A TTL: 60 → 5 s" in [str(diff) for diff in card.diffs]
    change = acting.change("www", a=["10.3.0.10"])
    planned = await change.preview(deadline=4)
    await foreign(port, ("replace", "www", "5", "A", "10.1.0.10", "10.2.0.10"))
    now = await change.preview(deadline=4)
    assert now.facts != planned.facts, "the plan is void though every prerequisite would be met"


async def test_43_compare_and_set_names_the_full_set(acting: Acting, port: int) -> None:
    change = acting.change("www", a=["10.3.0.10"])
    card = await change.preview(deadline=4)
    await foreign(port, ("add", "www", "60", "A", "10.4.0.10"))
    with pytest.raises(EffectRefused) as refused:
        await change.apply(card.facts, effect="R-1/a", deadline=5)
    assert refused.value.code == "moved"
    assert (await rows(port, "www", "A"))[1] == ["10.1.0.10", "10.2.0.10", "10.4.0.10"]


async def test_44_for_a_new_name_the_negative_ttl_counts(acting: Acting) -> None:
    card = await acting.card("fresh", a=["10.1.0.10"], ttl=300)
    assert any("that there is none for 30 s" in each for each in effects(card)), card.warnings
    held = {"A": RecordSet("A", 600, ("10.1.0.10",))}
    both = {**held, "AAAA": RecordSet("AAAA", 5, ("2001:db8::1",))}
    assert wait_after(held, both, 900) == 900, "clients keep that there was no AAAA"
    assert wait_after(both, {}, 30) == 600


async def test_45_times_are_for_clients_that_honour_ttl(acting: Acting) -> None:
    card = await acting.card("www", a=["10.3.0.10"])
    (told,) = [each for each in effects(card) if "60 s" in each]
    assert "for clients that honour TTL" in told
    assert "keep addresses longer" in told


def seen(server: str, number: int, *values: str) -> NameSeen:
    return NameSeen(server, NameState(server, number, 30, {"A": RecordSet("A", 60, values)}))


def test_50_same_serial_other_content_names_the_stale_server() -> None:
    before, after = {"A": RecordSet("A", 60, ("10.1.0.10",))}, {"A": RecordSet("A", 60, ("10.2.0.10",))}
    servers = [seen("10.1.0.53:53", 7, "10.2.0.10"), seen("10.2.0.53:53", 7, "10.1.0.10")]
    found = agreement(servers, "10.1.0.53:53", before, after)
    assert (found.finding, found.following) == (Finding.PARTIAL, True)
    assert found.evidence[0] == "1 of 2 servers answer it"
    assert "10.2.0.53:53, serial 7, the same as there: it is stale" in found.evidence[2]


async def test_50_the_card_names_a_server_that_answers_otherwise_now(context: AdapterContext, port: int) -> None:
    keep_secret(context)
    with running_named(NAMED, ZONE.replace("www A 10.1.0.10\n", ""), key=SECRET) as stale:
        made = options(port, stale)
        acting = Acting(zone_of(context, made), estate_of(made))
        (told,) = [each for each in effects(await acting.card("www", a=["10.2.0.10"])) if "otherwise" in each]
        assert told.startswith(f"127.0.0.1:{stale} answers otherwise now with the same serial: A 10.1.0.10 is missing")


async def test_52_clock_key_and_zone_are_three_messages(
    context: AdapterContext, acting: Acting, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_secret(context, WRONG, "wrong")
    made = options(port, secret="wrong")
    wrong = await Acting(zone_of(context, made), estate_of(made)).refused("www", a=["10.3.0.10"])
    assert set(wrong) == {"tsig-key"}, wrong
    assert "BADSIG" in wrong["tsig-key"]
    made = options(port)
    made["key"] = {**made["key"], "name": "unknown."}
    unknown = await Acting(zone_of(context, made), estate_of(made)).refused("www", a=["10.3.0.10"])
    assert "BADKEY" in unknown["tsig-key"]
    with pytest.raises(ReadFailure, match="does not serve the zone"):
        await zone_of(context, options(port), "nowhere.test").look("www", deadline=4)
    real = time.time
    for off in (250, 310, -310):
        monkeypatch.setattr(time, "time", lambda off=off: real() + off)
        refused = await acting.refused("www", a=["10.3.0.10"])
        assert set(refused) == (set() if off == 250 else {"tsig-clock"}), (off, refused)
        if refused:
            assert " there, " in refused["tsig-clock"], "both clocks are shown"
            assert " here" in refused["tsig-clock"]


async def test_52_a_key_that_may_not_is_a_fourth(context: AdapterContext, port: int) -> None:
    keep_secret(context)
    made = options(port)
    made["key"] = {**made["key"], "name": "reader."}
    acting = Acting(zone_of(context, made), estate_of(made))
    change = acting.change("www", a=["10.3.0.10"])
    card = await change.preview(deadline=4)
    if not card.refusals:  # BIND looks at its policy only once there is something to change
        with pytest.raises(EffectRefused, match="does not let the key reader"):
            await change.apply(card.facts, effect="R-1/a", deadline=5)
    assert (await rows(port, "www", "A"))[1] == ["10.1.0.10", "10.2.0.10"]


async def test_53_a_record_takes_the_wildcard_away(acting: Acting, port: int) -> None:
    assert await rows(port, "shop.wild", "A") == (60, ["10.7.0.10"])
    lost = await acting.refused("shop.wild", aaaa=["2001:db8::1"])
    assert "it would lose its A" in lost["answer-left"]
    card = await acting.card("shop.wild", a=["10.8.0.10"])
    assert not card.refusals, card.refusals
    assert any("shop.wild.lab.test is answered by *.wild.lab.test now" in each for each in effects(card))
    below = await acting.card("x.shop.wild", a=["10.8.0.10"])
    assert any(each.startswith("shop.wild.lab.test is answered by *.wild.lab.test") for each in effects(below))
    card, found = await acting.done("shop.wild", a=["10.8.0.10"])
    assert found.finding is Finding.DONE, found.evidence
    assert (await acting.undone(card)).finding is Finding.DONE, "the wildcard answers again"
    assert await rows(port, "shop.wild", "A") == (60, ["10.7.0.10"])


async def test_54_the_family_that_stays_is_named(acting: Acting) -> None:
    assert "AAAA stays as it is: 2001:db8::10" in effects(await acting.card("both", a=["10.3.0.10"]))
    moved = await acting.card("both", a=["10.3.0.10"], aaaa=["2001:db8::3"])
    assert not any("stays" in each for each in effects(moved))


async def test_55_the_order_of_addresses_is_no_difference(acting: Acting) -> None:
    assert (await acting.card("www", a=["10.2.0.10", "10.1.0.10"])).already


async def test_a_delegated_name_is_changed_where_it_is_answered(acting: Acting) -> None:
    assert "ns.elsewhere.test answer for it" in (await acting.refused("app.sub", a=["10.1.0.10"], ttl=60))["delegated"]


VIEWS = """
options {{ directory "{root}"; pid-file none; session-keyfile "{root}/session.key";
  managed-keys-directory "{root}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; notify no; empty-zones-enable no; }};
controls {{ }};
key "recovery." {{ algorithm hmac-sha256; secret "{key}"; }};
view "internal" {{ match-clients {{ key "recovery."; }};
  zone "lab.test" {{ type primary; file "{root}/inside.db"; update-policy {{ grant recovery. zonesub ANY; }}; }}; }};
view "external" {{ match-clients {{ any; }};
  zone "lab.test" {{ type primary; file "{root}/zone.db"; allow-update {{ any; }}; }}; }};
"""


@pytest.mark.parametrize(
    "inside", [ZONE.replace("10.1.0.10", "10.5.0.10"), ZONE.replace("hostmaster 1 ", "hostmaster 9 ")]
)
async def test_51_each_view_is_read_through_its_own_key(context: AdapterContext, inside: str) -> None:
    keep_secret(context)
    with running_named(VIEWS, ZONE, key=SECRET, inside=inside) as port:
        plain = Acting(zone_of(context, options(port)), estate_of(options(port)))
        assert "same-view" in await plain.refused("www", a=["10.3.0.10"])
        made = options(port, domain="lab.test", view="internal", ask_with_key=True)
        keyed = Acting(zone_of(context, made, "inside"), estate_of(made, "inside"))
        card, found = await keyed.done("www", a=["10.3.0.10"])
        assert card.verb.endswith("in view internal")
        assert found.finding is Finding.DONE, found.evidence
        assert (await keyed.zone.identify(deadline=4)).facts["view"] == "internal"
        assert (await rows(port, "www", "A"))[1] == ["10.1.0.10", "10.2.0.10"], "the other view is as it was"


async def test_52_a_wrong_key_is_told_also_where_questions_are_signed(context: AdapterContext) -> None:
    keep_secret(context, WRONG)
    with running_named(VIEWS, ZONE, key=SECRET, inside=ZONE) as port:
        made = options(port, domain="lab.test", view="internal", ask_with_key=True)
        with pytest.raises(ReadFailure, match="its secret for the key is another one") as failure:
            await Acting(zone_of(context, made, "inside"), estate_of(made, "inside")).card("www", a=["10.3.0.10"])
        assert WRONG not in failure.value.message


async def test_51_what_only_the_other_view_has_is_no_success(context: AdapterContext) -> None:
    """Two views that look alike before the change: nothing tells them apart until it is read back."""
    keep_secret(context)
    with running_named(VIEWS, ZONE, key=SECRET, inside=ZONE) as port:
        plain = Acting(zone_of(context, options(port)), estate_of(options(port)))
        _, found = await plain.done("www", a=["10.3.0.10"])
        assert found.finding is Finding.PARTIAL
        assert "the key reaches another view" in found.evidence[0]
