"""The shipped runbooks on estates of every shape: each lints, and applies exactly where it has what it needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from state.estate.model import DnsRecord, Estate, ZoneEntry
from state.planning.library import Library
from state.runbooks.expand import expand
from state.runbooks.fields import needed_databases
from state.runbooks.model import Runbook
from state.runbooks.related import any_node
from tests.support.random_estates import random_estate
from tests.support.shipped_library import books, given, held_against

ESTATES = 500


def _with_traffic(estate: Estate) -> bool:
    return any(service.traffic for service in estate.services.values())


def _with_colours(estate: Estate) -> bool:
    return any(service.traffic and service.traffic.colours for service in estate.services.values())


def _with_standbys(estate: Estate) -> bool:
    return any(len(database.nodes) > 1 for database in estate.databases.values())


NEEDS: Mapping[str, Callable[[Estate], bool]] = {
    "capture-evidence": lambda estate: bool(estate.services),
    "drain-server": _with_traffic,
    "evacuate-site": _with_traffic,
    "fail-over": lambda estate: bool(estate.databases),
    "maintenance-off": _with_traffic,
    "maintenance-on": _with_traffic,
    "prove-restore": lambda estate: bool(estate.databases),
    "rebuild": lambda estate: bool(estate.databases),
    "ramp": _with_colours,
    "rejoin": lambda estate: bool(estate.databases),
    "restart-instance": lambda estate: bool(estate.databases),
    "roll-back-release": _with_colours,
    "rolling-restart": _with_standbys,
    "switch-database": lambda estate: bool(estate.databases),
}
"""What each needs of an estate, said without the language of runbooks."""


@pytest.mark.parametrize("count", [100, pytest.param(ESTATES, marks=pytest.mark.torture)])
def test_each_lints_and_applies_exactly_where_it_can(count: int) -> None:
    assert set(NEEDS) == set(books())
    applied: Counter[str] = Counter()
    for seed in range(count):
        estate = random_estate(seed)
        without = held_against(estate)
        expected = {name for name, needs in NEEDS.items() if not needs(estate)}
        assert set(without) == expected, (seed, without)
        applied.update(set(NEEDS) - expected)
    assert min(applied[name] for name in NEEDS) > count // 10, applied
    assert max(applied.values()) < count, "each is also held against an estate that has nothing for it"


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_each_says_what_it_does_why_and_what_to_do_when_it_fails(name: str) -> None:
    book = books()[name]
    assert book.description
    estate = next(e for e in map(random_estate, range(ESTATES)) if NEEDS[name](e))
    steps = expand(book, next(given(book, estate)), estate, books(), any_node(estate)).steps
    changes = [each for each in steps if each.do == "change"]
    for each in changes:
        assert each.prose[0], f"{each.id} does not say why"
        assert each.step.limit > 0, f"{each.id} has no limit of its own"
    assert all(each.step.title for each in steps)
    assert any(each.prose[1] for each in steps), "nothing to look for"
    assert any(each.prose[2] for each in steps), "nothing to do if it fails"
    assert not {c.step.what for c in changes} & {"database.switchover", "database.restart"} or not {
        c.on_failure for c in changes
    } & {"undo", "continue"}, "a change of a database is never undone or passed over by itself"


def test_capturing_evidence_changes_nothing_asks_nothing_and_stops_at_nothing() -> None:
    book = books()["capture-evidence"]
    for seed in range(60):
        estate = random_estate(seed)
        for params in given(book, estate) if estate.services else ():
            steps = expand(book, params, estate, books(), any_node(estate)).steps
            assert {(each.do, each.on_failure) for each in steps} == {("check", "continue")}
            assert all(each.step.what.startswith("evidence.") for each in steps)
            service = estate.services[params["service"]]
            asked = [each.step.what for each in steps]
            traffic = service.traffic.balancers if service.traffic else ()
            assert asked.count("evidence.backend") == len(traffic)
            assert asked.count("evidence.database") == len(needed_databases(estate, params["service"]))


TREE: Mapping[str, Any] = {
    "estate": "pair",
    "environment": "lab",
    "sites": {"east": {}, "west": {}},
    "databases": {"orders": {"kind": "patroni", "nodes": {n: {"site": "east"} for n in ("n1", "n2", "n3")}}},
}
CLUSTER = Estate.model_validate(TREE)


def drafted(book: Runbook, estate: Estate, leader: str = "n1", **params: str) -> list[tuple[str, dict[str, Any]]]:
    steps = Library({book.runbook: book}, estate, {}).draft(book.runbook, params, lambda _: leader).steps
    return [(each.what, dict(each.args)) for each in steps if each.do == "change"]


@pytest.mark.parametrize("leader", ["n1", "n2", "n3"])
def test_a_rolling_restart_takes_the_standbys_then_moves_the_role_then_takes_who_led(leader: str) -> None:
    others = [node for node in ("n1", "n2", "n3") if node != leader]
    assert drafted(books()["rolling-restart"], CLUSTER, leader) == [
        *(("database.restart", {"database": "orders", "node": node}) for node in others),
        ("database.switchover", {"database": "orders", "to": None}),
        ("database.restart", {"database": "orders", "node": leader}),
    ]


def test_a_cluster_that_no_service_needs_is_proven_without_one() -> None:
    for name in ("restart-instance", "rolling-restart", "switch-database"):
        book = books()[name]
        params = {"node": "n2"} if name == "restart-instance" else {}
        draft = Library(books(), CLUSTER, {}).draft(name, params, lambda _: "n1")
        assert draft.service == ""
        assert "service.healthy" not in {each.what for each in draft.steps}
        assert book.params["service"].derived


AT = ("10.1.0.10",)


def sited(colours: Mapping[str, Mapping[str, str]], records: tuple[DnsRecord, ...] = ()) -> Estate:
    """A service behind a balancer at each of two sites."""
    traffic = {"balancers": ["e", "w"], "backend": "web", "floor": 1, "colours": colours}
    balancers = {"e": {"kind": "memory", "site": "east"}, "w": {"kind": "memory", "site": "west"}}
    service = {"tier": 1, "rto": "5m", "rpo": "1MB", "traffic": traffic}
    estate = Estate.model_validate({**TREE, "balancers": balancers, "services": {"shop": service}})
    return estate.model_copy(update={"zones": {"z.example": ZoneEntry(kind="memory", records=records)}})


def test_evacuating_shifts_only_what_stands_at_several_sites() -> None:
    book = books()["evacuate-site"]
    names = (
        DnsRecord(name="shop", expect=AT),
        DnsRecord(name="www", service="shop", expect=AT),
        DnsRecord(name="other", expect=AT),
    )
    left = [("dns.leave-site", {"zone": "z.example", "record": name, "site": "east"}) for name in ("shop", "www")]
    assert drafted(book, sited({"a": {}, "b": {}}, names), site="east", service="shop") == left
    spanning = drafted(book, sited({"a": {"site": "east"}, "b": {"site": "west"}}, names), site="east", service="shop")
    assert spanning == [
        *(
            ("backend.leave-site", {"balancer": edge, "backend": "web", "site": "east", "at_most": percent})
            for edge in ("e", "w")
            for percent in (50, 20, 0)
        ),
        *left,
    ]


def test_only_the_balancers_of_the_site_that_is_left_are_asked_about() -> None:
    book, estate = books()["evacuate-site"], sited({"a": {}, "b": {}})
    steps = Library({book.runbook: book}, estate, {}).draft(
        book.runbook, {"site": "east", "service": "shop"}, any_node(estate)
    )
    assert [each.id for each in steps.steps if each.do == "decide"] == ["addresses.e.away"]


def test_before_it_has_values_a_runbook_is_told_in_plain_words() -> None:
    for seed in (1, 2, 3):
        for row in Library(books(), random_estate(seed), {}).rows().values():
            told = " ".join((row.title, *row.outline, *(text for words in row.words for text in words)))
            assert "${" not in told, row.name
            assert row.steps == len(row.outline), row.name
    row = Library(books(), random_estate(1), {}).rows()["drain-server"]
    assert "<server>" in " ".join((*row.outline, *(text for words in row.words for text in words)))
