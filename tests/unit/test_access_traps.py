"""Signatures and approvals: failures that others met (traps 43 to 54), one test each."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from typing import Any

import pytest

from adapters.files.located_yaml import parse_yaml
from adapters.registry import kinds
from state.api.approvals import Approve, AskApproval, Deny, GoAlone, HaltAlone, Withdraw
from state.api.requests import Decide, PlanRunbook
from state.approvals.fold import Approvals
from state.errors import ConfigError, RecoveryError, Refused
from state.estate.parse import parse_estate
from state.policy.sshsig import parse_signature
from tests.support.signing import (
    ADA,
    BEN,
    CARL,
    WHY,
    approve,
    asked,
    estate,
    people,
    public_key,
    sign,
)
from tests.support.small_estate import Small, flip, small

SECOND = {"risk": ["B2"], "roles": ["responder", "commander"], "approvers": 1}
ALTERED = {
    "other line ends": (lambda text: text.replace("\n", "\r\n"), "with other line ends"),
    "no last line end": (lambda text: text.rstrip("\n"), "without its last line end"),
    "one more": (lambda text: text + "\n", "with one line end more"),
    "a blank": (lambda text: text.rstrip("\n") + " \n", "with blanks at its end"),
}


@pytest.mark.parametrize("how", list(ALTERED))
async def test_access_trap_43_altered_bytes_are_refused_with_that_reason(how: str) -> None:
    alter, reason = ALTERED[how]
    async with small(estate=estate()) as lab:
        name, _ = await asked(lab)
        text = (await lab.engine.approvals.card(BEN, name)).statement
        with pytest.raises(Refused, match=f"the statement was signed {reason}"):
            await lab.engine.approvals.act(BEN, name, Approve(sign("ben", alter(text))))


FILE = """\
estate: small
environment: lab
sites: {{east: {{}}}}
people:
  ada: {{accounts: [ada], roles: [commander], keys: {{one: {{public: "{ada}"}}}}}}
  {other}
"""
BAD_KEYS = {
    "the same key for two": ("ben: {keys: {one: {public: '%ADA%'}}}", "a key of one person only; 'ada' already has it"),
    "a wildcard person": ("'*': {keys: {one: {public: '%BEN%'}}}", "a name of letters, digits"),
    "a time without Z": ("ben: {keys: {one: {public: '%BEN%', until: '2026-12-01T00:00:00'}}}", "ends with Z"),
    "a time with a zone": ("ben: {keys: {one: {public: '%BEN%', since: '2026-12-01T00:00:00+01:00'}}}", "ends with Z"),
    "a pattern as namespace": ("ben: {keys: {one: {public: 'namespaces=\"*\" %BEN%'}}}", "a public key as in a .pub"),
    "an authority": ("ben: {keys: {one: {public: 'cert-authority %BEN%'}}}", "a public key as in a .pub"),
    "half a key": ("ben: {keys: {one: {public: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5'}}}", "this one is cut off"),
    "another kind": ("ben: {keys: {one: {public: '%RSA%'}}}", "of another kind"),
    "no base64": ("ben: {keys: {one: {public: 'ssh-ed25519 !!!!'}}}", "no base64"),
    "a namespace of its own": ("ben: {keys: {one: {public: '%BEN%', namespace: x}}}", "namespace"),
    "another case of a name": ("ADA: {}", "differs in letter case only"),
    "the same as oneself": ("ben: {same_as: ben}", "a person who has no same_as"),
    "the same as nobody": ("ben: {same_as: carl}", "a person: ada or ben"),
    "a chain": ("ben: {same_as: ada}\n  carl: {same_as: ben}", "a person who has no same_as"),
}


@pytest.mark.parametrize("what", list(BAD_KEYS))
def test_access_trap_44_a_doubtful_list_of_signers_is_refused_at_load(what: str) -> None:
    other, expected = BAD_KEYS[what]
    ben = public_key("ben")
    for mark, key in (("%ADA%", public_key("ada")), ("%BEN%", ben), ("%RSA%", f"ssh-rsa {ben.split()[1]}")):
        other = other.replace(mark, key)
    text = FILE.format(ada=public_key("ada"), other=other)
    with pytest.raises(ConfigError, match=expected):
        parse_estate(parse_yaml(text, "estate.yaml"), kinds())


def test_access_trap_44_a_good_list_of_signers_is_taken() -> None:
    ben = f"ben: {{keys: {{one: {{public: '{public_key('ben')}', touch: true, until: '2099-12-01T00:00:00Z'}}}}}}"
    made = parse_estate(parse_yaml(FILE.format(ada=public_key("ada"), other=ben), "estate.yaml"), kinds())
    assert made.people["ben"].keys["one"].touch


async def test_access_trap_45_one_use_hangs_on_the_request_not_on_the_bytes_of_a_signature() -> None:
    async with small(estate=estate()) as lab:
        name, _ = await asked(lab)
        text = (await lab.engine.approvals.card(BEN, name)).statement
        good = sign("ben", text)
        lines = good.splitlines()
        other = "\n".join([lines[0], *("".join(lines[1:-1])[i : i + 40] for i in range(0, 400, 40)), lines[-1]])
        assert parse_signature(other) == parse_signature(good)
        assert other != good
        await lab.engine.approvals.act(BEN, name, Approve(good))
        accepted = await lab.submit(await lab.preview(flip("green"), ADA), ADA)
        await lab.ended(accepted.run)
        with pytest.raises(Refused, match="is used"):
            await lab.engine.approvals.act(BEN, name, Approve(other))


async def test_access_trap_46_a_key_that_ended_later_leaves_the_approval_and_a_revoked_one_is_flagged() -> None:
    async with small(estate=estate()) as lab:
        name, _ = await asked(lab)
        await approve(lab, name)
        accepted = await lab.submit(await lab.preview(flip("green"), ADA), ADA)
        await lab.ended(accepted.run)
    for differs, flagged in (({"until": "2020-01-01T00:00:00Z"}, ""), ({"revoked": "stolen"}, "was revoked: stolen")):
        found = people()
        found["ben"]["keys"]["ben"] |= differs
        async with small(estate={**estate(), "people": found}, balancer=lab.balancer, store=lab.store) as later:
            row = later.engine.view("approvals").requests[name]
            assert (row.state.value, row.given) == ("used", ("ben",))
            assert flagged in row.flagged
            assert bool(flagged) is bool(row.flagged)


async def test_access_trap_47_no_touch_is_refused_where_one_is_demanded() -> None:
    found = people()
    found["ben"]["keys"]["ben"]["touch"] = True
    async with small(estate={**estate(), "people": found}) as lab:
        name, _ = await asked(lab)
        with pytest.raises(Refused, match="must be touched, and the signature does not say so"):
            await approve(lab, name)


@pytest.mark.parametrize("flags", [b"", b"\x00", b"\x04"])
def test_access_trap_47_only_the_flag_of_presence_counts_as_a_touch(flags: bytes) -> None:
    def text(raw: bytes) -> bytes:
        return len(raw).to_bytes(4, "big") + raw

    def armored(kind: bytes, tail: bytes) -> str:
        inner = text(kind) + text(b"s" * 64) + tail
        raw = (
            b"SSHSIG\0\0\0\1" + text(b"k" * 51) + text(b"approval@recovery") + text(b"") + text(b"sha512") + text(inner)
        )
        return f"-----BEGIN SSH SIGNATURE-----\n{base64.b64encode(raw).decode()}\n-----END SSH SIGNATURE-----\n"

    hardware, counter = b"sk-ssh-ed25519@openssh.com", b"\0\0\0\7"
    assert not parse_signature(armored(hardware, flags + counter)).touched
    assert parse_signature(armored(hardware, b"\x01" + counter)).touched
    assert not parse_signature(armored(b"ssh-ed25519", b"\x01" + counter)).touched


@pytest.mark.parametrize(
    ("who", "caller"),
    [
        ({"ben": {"accounts": ["ADA"]}}, BEN),
        ({"ben": {"same_as": "ada"}}, BEN),
        ({"ADA": people()["ben"]}, replace(BEN, person="ADA")),
        ({}, replace(BEN, uid=ADA.uid)),
    ],
    ids=["account in other letters", "alias", "name in other letters", "account"],
)
async def test_access_trap_48_one_person_under_two_names_is_one_person(who: dict[str, Any], caller: Any) -> None:
    found = people()
    for name, entry in who.items():
        found[name] = {**found.get(name, {}), **entry}
    async with small(estate={**estate(), "people": found}) as lab:
        name, _ = await asked(lab)
        with pytest.raises(Refused, match=r"same person|by the account with which"):
            await approve(lab, name, caller, key="ben")
        assert "approval.given" not in lab.kinds()


async def outcomes(*acts: Any) -> list[object]:
    return list(await asyncio.gather(*acts, return_exceptions=True))


async def test_access_trap_49_two_at_once_have_one_outcome() -> None:
    async with small(estate=estate()) as lab:
        for _ in range(5):
            name, _card = await asked(lab)
            both = await outcomes(approve(lab, name, BEN), approve(lab, name, CARL), approve(lab, name, BEN))
            assert sum(isinstance(each, Refused) for each in both) == 2, both
            act = lab.engine.approvals.act
            ends = await outcomes(
                act(ADA, name, Withdraw()), act(CARL, name, Deny("no, wait")), act(ADA, name, Withdraw())
            )
            assert sum(isinstance(each, Refused) for each in ends) == 2, ends
        told = lab.kinds()
        assert told.count("approval.given") == 5
        assert told.count("approval.withdrawn") + told.count("approval.denied") == 5


async def test_access_trap_49_approval_against_withdrawal_and_two_submissions() -> None:
    async with small(estate=estate()) as lab:
        name, _ = await asked(lab)
        await outcomes(approve(lab, name), lab.engine.approvals.act(ADA, name, Withdraw()))
        state = lab.engine.view("approvals").requests[name].state.value
        assert state in ("withdrawn", "approved")
        if state == "approved":
            await lab.engine.approvals.act(ADA, name, Withdraw())
        again, _ = await asked(lab)
        await approve(lab, again)
        one, two = await lab.preview(flip("green"), ADA), await lab.preview(flip("green"), ADA)
        both = await outcomes(lab.submit(one, ADA), lab.submit(two, ADA))
        assert sum(isinstance(each, RecoveryError) for each in both) == 1
        assert lab.kinds().count("approval.used") == 1


async def test_access_trap_50_any_edit_voids_it_and_the_approver_sees_which() -> None:
    async with small(estate=estate()) as lab:
        name, _ = await asked(lab)
        await lab.balancer.set_weight("shop", "blue", 77, deadline=1)
        with pytest.raises(Refused, match=r"A-1 is void: .*100.*77"):
            await lab.engine.approvals.card(BEN, name)
        row = lab.engine.view("approvals").requests[name]
        assert row.state.value == "void"
        assert "77" in row.message


async def test_access_trap_50_the_reason_is_part_of_what_is_signed() -> None:
    async with small(estate=estate()) as lab:
        first, _ = await asked(lab, reason="the green release is broken")
        text = (await lab.engine.approvals.card(BEN, first)).statement
        await lab.engine.approvals.act(ADA, first, Withdraw())
        second, _ = await asked(lab, reason="the green release is broken!")
        plans = [lab.engine.view("approvals").requests[each].plan for each in (first, second)]
        assert plans[0] != plans[1]
        with pytest.raises(Refused, match="it is the signature of A-1, not of A-2"):
            await lab.engine.approvals.act(BEN, second, Approve(sign("ben", text)))


async def test_access_trap_51_the_deadline_counts_at_the_decision_with_nobody_sweeping() -> None:
    async with small(estate=estate(authority={"second": {**SECOND, "decide_within": "150ms"}})) as lab:
        name, _ = await asked(lab)
        signature = sign("ben", (await lab.engine.approvals.card(BEN, name)).statement)
        await asyncio.sleep(0.2)
        assert lab.engine.folds.of(Approvals).requests[name].over is None
        with pytest.raises(Refused, match="is lapsed"):
            await lab.engine.approvals.act(BEN, name, Approve(signature))
        again, _ = await asked(lab)
        assert again != name


async def test_access_trap_52_what_nobody_can_approve_is_refused_at_once() -> None:
    alone = {"ada": people()["ada"], "ben": people()["ben"]}
    async with small(estate={**estate(authority={"two": {**SECOND, "approvers": 2}}), "people": alone}) as lab:
        card = await lab.preview(flip("green"), ADA)
        with pytest.raises(Refused, match="2 of approver, commander must approve; besides ada only ben can") as told:
            await lab.engine.approvals.ask(ADA, AskApproval(card.plan, card.fingerprint, WHY))
        assert "recovery engine reload" in told.value.refusal.way_out


async def test_access_trap_53_the_requester_sees_who_was_not_reached() -> None:
    async with small(estate=estate()) as lab:
        lab.engine.attach(BEN, "c1", "overview")
        card = await lab.preview(flip("green"), ADA)
        said = (await lab.engine.approvals.ask(ADA, AskApproval(card.plan, card.fingerprint, WHY))).message
        assert "ben is told; not at a console, tell them yourself: carl" in said
        row = lab.engine.view("approvals").requests["A-1"]
        assert (row.may, row.told) == (("ben", "carl"), ("ben",))


WATCHED = {"watched": {**SECOND, "present": True}}
ASKS = {"runbook": "asks", "title": "Asks", "steps": [
    {"id": "flip", "change": "backend.flip", "with": {"balancer": "edge", "backend": "shop", "to": "green"}},
    {"id": "q", "decide": {"question": "Go on?", "options": {"yes": "continue", "no": "stop"}}, "timeout": "1m"},
]}  # fmt: skip


async def test_access_trap_54_the_first_leave_of_a_required_person_freezes_and_an_observer_changes_nothing() -> None:
    async with small(estate=estate(authority=WATCHED)) as lab:
        ben, eve = lab.engine.attach(BEN, "c1", ""), lab.engine.attach(replace(CARL, read_only=True), "c2", "")
        name, _ = await asked(lab)
        await approve(lab, name)
        card = await lab.preview(flip("green"), ADA)
        assert card.present == ("ben",)
        assert card.refusals == ()
        lab.engine.detach(eve)
        assert (await lab.preview(flip("green"), ADA)).refusals == ()
        lab.engine.detach(ben)
        with pytest.raises(Refused, match="ben, who approved it, is not attached to this engine: input is frozen"):
            await lab.submit(card, ADA)
        lab.engine.attach(BEN, "c3", "")
        accepted = await lab.submit(await lab.preview(flip("green"), ADA), ADA)
        assert await lab.ended(accepted.run) == "done"


async def run_that_asks(lab: Small) -> str:
    card = await lab.preview(PlanRunbook("asks"), ADA)
    name = (await lab.engine.approvals.ask(ADA, AskApproval(card.plan, card.fingerprint, WHY))).run
    await approve(lab, name)
    accepted = await lab.submit(await lab.preview(PlanRunbook("asks"), ADA), ADA)
    assert await lab.ended(accepted.run) == "waiting"
    return accepted.run


async def test_access_trap_54_a_run_takes_no_decision_while_the_required_person_is_away_but_stops() -> None:
    async with small(ASKS, estate=estate(authority=WATCHED)) as lab:
        ben = lab.engine.attach(BEN, "c1", "")
        run = await run_that_asks(lab)
        lab.engine.detach(ben)
        with pytest.raises(Refused, match="input is frozen"):
            await lab.engine.control(ADA, run, Decide("yes"))
        await lab.engine.stop_all(ADA)
        assert await lab.ended(run) == "stopped"


async def test_going_alone_and_its_stop_at_once_have_one_outcome() -> None:
    async with small(estate=estate()) as lab:
        name, _ = await asked(lab)
        act = lab.engine.approvals.act
        why = "nobody else answers and checkout is down"
        both = await outcomes(act(ADA, name, GoAlone(why)), act(ADA, name, GoAlone(why)), act(BEN, name, HaltAlone()))
        assert sum(isinstance(each, RecoveryError) for each in both) in (1, 2)
        assert lab.kinds().count("override.begun") == 1
