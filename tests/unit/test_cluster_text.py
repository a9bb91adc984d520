"""The words of a database cluster, and its tree: below whom a node hangs, and what is not known of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from console.cluster_text import (
    ASCII_TWIGS,
    NO_FORECAST,
    UNICODE_TWIGS,
    by_itself,
    edge_words,
    guarantee_message,
    loss,
    loss_reason,
    may_lead,
    may_lead_shortly,
    ranking,
    tree,
)
from state.api.views.causes import Cause, Forecast, ForecastKind, SubjectKind
from state.api.views.header import DataRisk
from state.api.views.replication import CandidateRow, ClusterRow, NodeRow
from state.health import Health
from tests.screens.fake_views import node as made
from tests.screens.fake_views import replication

ORDERS = replication(0.0, 0.0).clusters["orders"]


def standby(name: str, upstream: str, state: str = "streaming", cluster: str = "orders") -> NodeRow:
    return made(name, "standby", Health.PASS, "", upstream=upstream, state=state, cluster=cluster)


def leader(name: str, cluster: str = "orders") -> NodeRow:
    return made(name, "primary", Health.PASS, "", state="writable", cluster=cluster)


def drawn(*rows: NodeRow, ascii_only: bool = False) -> list[str]:
    nodes = {f"{row.cluster}/{row.node}": row for row in rows}
    branches = tree(nodes, ASCII_TWIGS if ascii_only else UNICODE_TWIGS)
    assert sorted(branch.key for branch in branches) == sorted(nodes), "every node once"
    return [f"{branch.lead}{branch.row.node}" for branch in branches]


def test_a_cascade_nests_and_the_leader_stands_first() -> None:
    rows = (standby("a", "z"), standby("b", "a"), standby("c", "a"), standby("d", "z"), leader("z"))
    assert drawn(*rows) == ["z", "├─► a", "│   ├─► b", "│   └─► c", "└─► d"]
    assert drawn(*rows, ascii_only=True) == ["z", "|-> a", "|   |-> b", "|   `-> c", "`-> d"]


def test_a_broken_stream_is_not_drawn_as_one_and_silence_is_not_a_break() -> None:
    rows = (leader("n1"), standby("n2", "", "not streaming"), standby("n3", "", "no data"), standby("n4", ""))
    assert drawn(*rows) == ["n1", "╳ n2", "? n3", "? n4"]


def test_two_writers_have_a_tree_each() -> None:
    rows = (leader("n1"), standby("n2", "n3"), leader("n3"))
    assert drawn(*rows) == ["n1", "n3", "└─► n2"]


def test_an_upstream_outside_begins_a_tree_and_a_circle_ends() -> None:
    assert drawn(standby("n1", "10.9.0.1"), standby("n2", "n1")) == ["n1", "└─► n2"]
    assert drawn(standby("n1", "n2"), standby("n2", "n1")) == ["n1", "└─► n2"]
    assert drawn(standby("n1", "n1")) == ["n1"]


def test_clusters_do_not_mix_though_their_nodes_have_the_same_names() -> None:
    rows = (leader("n1"), standby("n2", "n1"), standby("n1", "", "no data", "mail"), leader("n2", "mail"))
    assert drawn(*rows) == ["n1", "└─► n2", "n2", "? n1"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (leader("n1"), "lock, traffic"),
        (replace(standby("n2", "n1"), sync="sync"), "streaming, sync"),
        (standby("n2", "n1"), "streaming"),
        (replace(standby("n2", "n1"), transport="plain text"), "streaming, plain text"),
        (replace(standby("n2", "n1"), transport="not over a network"), "streaming"),
        (
            replace(standby("n2", "n1"), sync="quorum", transport="TLSv1.3 TLS_AES_256_GCM_SHA384"),
            "streaming, quorum, TLSv1.3",
        ),
        (standby("n4", "", "no data"), "no data"),
    ],
)
def test_an_edge_says_its_state_its_guarantee_and_what_its_node_has(row: NodeRow, words: str) -> None:
    assert edge_words(row, replace(ORDERS, lock="n1", traffic=("n1",))) == words


def test_traffic_and_lock_at_a_standby_are_told_and_nothing_is_where_nobody_says() -> None:
    row = standby("n2", "n1")
    assert edge_words(row, replace(ORDERS, lock="n2", traffic=("n1", "n2"))) == "streaming, lock, traffic"
    assert edge_words(row, replace(ORDERS, lock="", traffic=None)) == "streaming"
    assert edge_words(row, None) == "streaming"


def candidate(able: bool | None, lacks: int | None = 0, *reasons: str, unknowns: tuple[str, ...] = ()) -> CandidateRow:
    return CandidateRow("n2", able, lacks, reasons, unknowns, ())


@pytest.mark.parametrize(
    ("each", "words"),
    [
        (candidate(True), "yes, lacks 0 B"),
        (candidate(True, None), "yes, lacks an unknown part"),
        (candidate(False, 0, "may-lead: n2 carries the tag nofailover"), "no: carries the tag nofailover"),
        (candidate(False, 0, "a: one", "b: two"), "no: one; two"),
        (candidate(False, 0, "not-the-leader: n2 leads already"), "leads"),
        (candidate(None, unknowns=("its agent is silent",)), "not known: its agent is silent"),
        (None, "not told"),
    ],
)
def test_who_may_lead_has_its_reasons(each: CandidateRow | None, words: str) -> None:
    assert may_lead(each, "n2") == words


def test_of_two_writers_none_leads() -> None:
    each = candidate(False, None, "not-the-leader: n2 accepts writes already")
    assert may_lead(each, "CONFLICT") == "no: accepts writes already"


@pytest.mark.parametrize(
    ("each", "words"),
    [
        (
            candidate(False, 0, "t: n2 carries the tag nofailover: Patroni does not let it lead"),
            "no: carries the tag nofailover",
        ),
        (candidate(False, 0, "a: n2 does not stream: lag unknown", "b: two"), "no: does not stream, 1 more"),
        (candidate(True), "yes, lacks 0 B"),
        (candidate(None, unknowns=("one: two",)), "not known: one: two"),
    ],
)
def test_in_short_the_first_reason_stands_for_all_and_they_are_counted(each: CandidateRow, words: str) -> None:
    assert may_lead_shortly(each, "n1") == words


def test_the_ranking_has_everybody_but_who_leads_the_best_first() -> None:
    assert [(each.node, said) for each, said in ranking(ORDERS)] == [
        ("n2", "yes, lacks 13.2 MB"),
        ("n3", "no: accepts writes"),
    ]


def test_what_is_lost_is_a_figure_or_unknown_with_its_least() -> None:
    risk = DataRisk("orders", 0, 1_000_000, Health.PASS, "0 B not received by n2", ())
    assert (loss(risk), loss_reason(risk)) == ("0 B of 1.0 MB", "0 B not received by n2")
    gone = replace(risk, lost_bytes=None, health=Health.UNKNOWN, message="unknown, at least 5 kB: no data from n1")
    assert (loss(gone), loss_reason(gone)) == ("? unknown of 1.0 MB", "at least 5 kB: no data from n1")


def guaranteed(kind: str, detail: str = "", **other: object) -> ClusterRow:
    return replace(ORDERS, guarantee=kind, guarantee_detail=detail, **other)


def test_a_guarantee_is_told_without_terms_of_postgresql_and_with_who_waits_for_less() -> None:
    assert guarantee_message(guaranteed("async")) == "asynchronous: a commit may be on one node only"
    assert guarantee_message(guaranteed("sync", "n2")) == "synchronous: a commit is on a standby too (n2)"
    blocked = guaranteed("blocked", "no standby is in sync; 3 waiting now")
    assert guarantee_message(blocked) == "commits wait (no standby is in sync; 3 waiting now)"
    assert guarantee_message(guaranteed("sync", weaker=("role batch: off",))).endswith("; weaker: role batch: off")


def test_without_a_forecast_nothing_is_promised() -> None:
    cause = Cause(
        "k", SubjectKind.DATABASE, "orders", Health.FAIL, 0.0, "what", "detail", (), None, None, (), True
    )  # fmt: skip
    assert by_itself(cause, 0.0) == NO_FORECAST
    promoting = replace(cause, forecast=Forecast(ForecastKind.PROMOTION, "Patroni promotes n2", 18.0))
    assert by_itself(promoting, 0.0) == "Patroni promotes n2 in ≤ 18 s"
