"""The consequence card: what the planner puts into it, typed, and how it is worded, folded and compared."""

import asyncio
import json
from dataclasses import replace

import pytest

from console.card_pieces import CardMark, Part
from console.card_text import card_sections, plain_card
from state.api.card import Card, CardWarning, Confirm, Diff, Fact, FactKind, Rule, Undo, WarningKind
from state.api.requests import PlanRequest, PlanRunbook
from state.api.wire import named, plain, revive
from state.errors import Refusal, Refused
from state.estate.model import Person, Service
from state.health import Health
from tests.support.cards import BEHIND, DRAIN, FLIP_TO_BLUE, ROLL_BACK, SWITCH, card, preview
from tests.support.small_estate import RESPONDER
from tests.unit.verdict_world import ESTATE


def lines(made: Card, part: Part, former: Card | None = None, held: float = 0.0) -> list[tuple[str, str]]:
    found = [section.lines for section in card_sections(made, former, held) if section.part is part]
    return [(line.label, f"{line.before} → {line.text}" if line.before else line.text) for line in sum(found, ())]


@pytest.mark.parametrize("confirm", list(Confirm))
def test_a_card_comes_over_the_wire_as_it_was_made(confirm: Confirm) -> None:
    made = card(confirm)
    assert revive(Card, json.loads(json.dumps(plain(made)))) == made
    told = json.loads(json.dumps(named(made)))
    assert told["confirmation"]["how"] == confirm.value
    assert told["facts"][0]["kind"] == "does"


def test_arguments_of_an_undo_are_cleaned_like_every_text() -> None:
    undo = Undo("edge", "server.weight", {"server": "a\x1b[31m", "weight": 5, "also": ["\x07"]})
    made: Card = revive(Card, json.loads(json.dumps(plain(card(undo=(undo,))))))
    assert made.undo[0].args == {"server": "a\\x1b[31m", "weight": 5, "also": ["\\x07"]}


def test_numbers_of_a_switchover_are_numbers() -> None:
    made = card(Confirm.NONCE_AND_NAME)
    assert (made.loss.size, made.loss.limit, made.confirmation.loss) == (BEHIND, 1_000_000, "13.2 MB")
    assert made.diffs[0] == Diff("orders leader", "n1", "n2")
    assert [(f.subject, f.figures) for f in made.of(FactKind.DEPENDENT)] == [
        ("checkout", {"tier": 1}),
        ("catalog", {"tier": 2}),
    ]
    took = made.of(FactKind.HISTORY)[0]
    assert took.figures == {"median": 5.1, "worst": 9.2, "count": 3}
    assert (made.undo[0].change, made.undo[0].args) == ("database.switchover", {"database": "orders", "to": "n1"})
    assert made.downtime[0].change == "database.switchover"


def test_what_a_target_did_not_prove_is_unknown() -> None:
    identity = {fact.name: fact for fact in card(Confirm.NONCE_AND_NAME).of(FactKind.IDENTITY)}
    assert identity["leader"].health is Health.PASS
    assert identity["n3"].health is Health.UNKNOWN
    assert identity["leader"].source == "orders"
    assert identity["leader"].age is not None


def test_each_rule_has_a_verdict() -> None:
    assert {rule.rule for rule in card().rules if rule.passed} == {"floor", "agent", "role", "lease", "journal"}
    assert card().refusals == ()


async def test_a_refusal_says_rule_fact_way_out_and_who_may() -> None:
    made = await preview(DRAIN, weights={"blue": 100, "green": 0})
    assert made.refusals == (
        Refusal(
            "floor",
            "edge-east/checkout: 0 of 2 servers would serve, checkout needs at least 1"
            " (read from edge-east for this plan)",
            "Return another server to rotation first",
            "responder",
        ),
    )
    assert lines(made, Part.TOP)[0] == ("REFUSED", str(made.refusals[0]))
    assert "floor" not in dict(lines(made, Part.RULES))


async def test_who_may_not_is_told_who_may() -> None:
    people = {"ada": Person(roles=("commander",)), "ben": Person(roles=("responder",))}
    estate = ESTATE.model_copy(update={"people": people})
    made = await preview(SWITCH, caller=RESPONDER, estate=estate)
    assert made.refusals == (
        Refusal(
            "role",
            "ben has the role responder; a B3 change needs commander",
            "Ask a person who has the role; the key W shows who is here",
            "ada",
        ),
    )


async def test_the_strictest_floor_of_all_services_on_a_backend_counts() -> None:
    traffic = {"balancers": ["edge-east"], "backend": "checkout"}
    services = {
        "blog": Service.model_validate({"tier": 4, "rto": "5h", "rpo": "0B", "traffic": {**traffic, "floor": 1}}),
        "shop": Service.model_validate({"tier": 1, "rto": "5m", "rpo": "0B", "traffic": {**traffic, "floor": 2}}),
    }
    for order in (("blog", "shop"), ("shop", "blog")):
        estate = ESTATE.model_copy(update={"services": {name: services[name] for name in order}})
        made = await preview(DRAIN, estate=estate)
        assert "1 of 2 servers would serve, shop needs at least 2" in made.refusals[0].fact


async def test_what_is_already_so_is_said_and_nothing_else() -> None:
    made = await preview(FLIP_TO_BLUE, weights={"blue": 100, "green": 0})
    assert made.confirmation.how is Confirm.YES
    assert (made.diffs, made.undo, made.loss.size) == ((), (), 0)
    assert lines(made, Part.TOP) == [("does nothing", "already done, nothing is sent (flip to blue (v41))")]


def test_equal_facts_of_several_targets_are_said_once() -> None:
    told = lines(card(Confirm.NONCE), Part.TOP)
    both = "edge-east/checkout and edge-west/checkout"
    assert ("does", f"{both}: flip from blue (v41) to green (v42)") in told
    assert ("undo", f"{both}: flip to blue (v41), with a card of its own") in told
    assert len(lines(card(Confirm.NONCE), Part.DIFFS)) == 4


def test_facts_that_differ_in_one_word_are_not_one() -> None:
    made = card(Confirm.NONCE)
    facts = (Fact(FactKind.DOES, "a", "flip to blue"), Fact(FactKind.DOES, "b", "flip to green"))
    told = lines(replace(made, facts=facts), Part.TOP)
    assert ("does", "a: flip to blue") in told
    assert ("does", "b: flip to green") in told
    same = tuple(Fact(FactKind.DOES, name, "flip") for name in ("a", "b", "c"))
    assert ("does", "a, b and c: flip") in lines(replace(made, facts=same), Part.TOP)


def test_loss_downtime_and_undo_come_first_and_ids_last() -> None:
    made = card(Confirm.NONCE_AND_NAME)
    told = [label for label, _ in lines(made, Part.TOP) if label != "warning"]
    assert told == ["loss", "downtime", "acts on", "affects", "undo", "does", "candidates"]
    assert [section.part for section in card_sections(made)] == list(Part)
    assert lines(made, Part.PROOF)[-1] == ("orders", "n3 unreadable")
    loss = next(line for line in card_sections(made)[0].lines if line.label == "loss")
    assert loss.health is Health.FAIL
    assert loss.text.startswith("13.2 MB of 1.0 MB allowed (")


def test_readings_grow_older_while_the_card_is_shown() -> None:
    made = card(Confirm.NONCE_AND_NAME)
    assert card_sections(made)[-1].note == "read just now"
    assert card_sections(made, held=42.0)[-1].note == "read 42 s ago"
    assert all(line.mark is None for section in card_sections(made, made, 42.0) for line in section.lines)


def test_a_later_card_says_what_is_new_changed_and_gone() -> None:
    x, y, z = Diff("x weight", "0", "1"), Diff("y weight", "0", "1"), Diff("z weight", "0", "1")
    former = card(diffs=(x, y))
    now = card(diffs=(replace(x, before="5"), z), warnings=(CardWarning(WarningKind.UNKNOWN, "", "the tide"),))
    told = {line.label: line for section in card_sections(now, former) for line in section.lines if line.mark}
    assert told["x weight"].difference == "CHANGED, was: 0 → 1"
    assert told["z weight"].mark is CardMark.NEW
    assert told["y weight"].mark is CardMark.GONE
    warnings = [line for line in card_sections(now, former)[0].lines if line.label == "warning"]
    assert [(line.mark, line.text) for line in warnings] == [
        (CardMark.NEW, "not known beforehand: the tide"),
        (CardMark.GONE, "edge-east/checkout/blue: 12 sessions continue until they end"),
        (CardMark.GONE, "edge-west is not touched: what goes from there to blue of checkout goes on"),
    ]


def test_nobody_knows_is_said() -> None:
    made = card(sessions_cut=None, loss=replace(card().loss, size=None, note="nothing was read"))
    told = dict(lines(made, Part.TOP))
    assert told["loss"] == "not known, 1.0 MB allowed (nothing was read)"
    assert (told["downtime"], told["sessions"]) == ("none", "how many are cut is not known")


def test_a_rule_of_a_later_step_is_a_warning() -> None:
    warning = CardWarning(WarningKind.LATER, "edge", "0 of 2 would serve", "floor")
    slow = CardWarning(WarningKind.EFFECT, "edge", "12 sessions continue")
    told = lines(card(warnings=(slow, warning)), Part.TOP)
    assert told[0][0] == "warning"
    assert told[0][1].startswith("edge: floor would refuse a later step: 0 of 2 would serve")
    assert told[1] == ("warning", "edge: 12 sessions continue")
    refused = card(warnings=(slow, warning), refusals=(Refusal("floor", "none would serve", ""),))
    assert [label for label, _ in lines(refused, Part.TOP)][:3] == ["REFUSED", "warning", "warning"]


@pytest.mark.parametrize(
    ("request_", "told"),
    [(DRAIN, "B1: small effect"), (ROLL_BACK, "B2: wide effect"), (SWITCH, "B3: may lose data or availability")],
)
async def test_the_class_is_said_in_words(request_: PlanRequest, told: str) -> None:
    weights = {"blue": 100, "green": 0} if request_ is ROLL_BACK else None
    assert plain_card(await preview(request_, weights=weights))[0].endswith(f"   risk {told}")


def test_a_card_without_an_effect_says_that_it_changes_nothing() -> None:
    made = replace(card(), risk="B0", facts=(), diffs=(), undo=(), warnings=())
    assert ("does", "changes nothing: it reads, and asks people") in lines(made, Part.TOP)
    assert plain_card(made)[0].endswith("risk B0: changes nothing")
    late = replace(made, warnings=(CardWarning(WarningKind.UNKNOWN, "Flip", "to after Ask"),))
    assert ("does", "changes nothing before its next card: it reads, and asks people") in lines(late, Part.TOP)


async def test_a_server_that_another_balancer_still_sends_to_is_told() -> None:
    told = "edge-west is not touched: what goes from there to blue of checkout goes on"
    assert ("warning", told) in lines(await preview(DRAIN), Part.TOP)
    alone = ESTATE.model_copy(update={"services": {}})
    assert told not in dict(lines(await preview(DRAIN, estate=alone), Part.TOP)).values()
    book = {
        "runbook": "both",
        "title": "Drain on both",
        "service": "checkout",
        "steps": [
            {"id": edge, "change": "server.drain", "with": {"balancer": edge, "backend": "checkout", "server": "blue"}}
            for edge in ("edge-east", "edge-west")
        ],
    }
    both = await preview(PlanRunbook("both"), book=book)
    assert "not touched" not in " ".join(plain_card(both))


def test_a_runbook_says_whether_this_version_was_run() -> None:
    made = card(Confirm.NONCE)
    assert "this version never ran to its end" in dict(lines(made, Part.PROOF))["runbook"]
    run = replace(made.of(FactKind.RUNBOOK)[0], age=172_800.0, health=Health.PASS)
    told = lines(replace(made, facts=(run,)), Part.PROOF)
    assert "this version last ran to its end 2 d ago" in dict(told)["runbook"]


def test_a_plain_card_names_rules_and_verdicts() -> None:
    told = plain_card(card(rules=(Rule("floor", True, "2 would serve", subject="edge"),)))
    assert told[0] == "Drain edge-east/checkout/blue   risk B1: small effect"
    assert "  floor  edge: 2 would serve   [ok]" in told


def test_a_refusal_is_an_error_and_back() -> None:
    refusal = Refusal("floor", "one is left", "Return another first", "responder")
    assert Refused.because(refusal).refusal == refusal
    assert str(Refused.because(refusal)) == "floor: one is left. Return another first. Who may: responder"
    assert str(Refused("floor", "one is left")) == "floor: one is left"


def test_a_diff_reads_in_the_journal_as_before() -> None:
    assert str(Diff("edge/shop/blue weight", "100", "0")) == "edge/shop/blue weight: 100 → 0"
    assert str(Diff("zone ttl", "300", "60", "s")) == "zone ttl: 300 → 60 s"


def test_the_hash_of_a_plan_does_not_hang_on_the_card() -> None:
    first, second = (asyncio.run(preview(ROLL_BACK)) for _ in range(2))
    assert first.fingerprint == second.fingerprint
    assert first.plan != second.plan
