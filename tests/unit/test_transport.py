"""Replication over plain text: red between sites, shown within one, never guessed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from state.health import Health
from state.verdicts.transport import certificate_causes, edges, transport_causes, transport_words
from state.views.replication import build
from state.world.postgres_parts import Transport, WalSender
from state.world.world import World
from tests.unit.verdict_world import MB, healthy_cluster, look, manager, primary, put, sender, told

TLS = Transport("TLSv1.3", "TLS_AES_256_GCM_SHA384")
PLAIN = Transport()
LOCAL = Transport(local=True)


def streaming(near: Transport | None, far: Transport | None) -> World:
    """n1 and n2 are in one site, n3 in the other."""
    world = World()
    healthy_cluster(world)
    rows = (replace(sender("n2"), transport=near), replace(sender("n3"), transport=far))
    put(world, "postgres:orders/n1", primary("n1", 100 * MB, senders=rows))
    return world


@pytest.mark.parametrize(
    ("near", "far", "red"),
    [
        (PLAIN, PLAIN, ["replication from n1 to n3 is plain text between sites"]),
        (PLAIN, TLS, []),
        (TLS, LOCAL, []),
        (None, None, []),
    ],
)
def test_plain_text_is_red_between_sites_only(near: Transport | None, far: Transport | None, red: list[str]) -> None:
    cluster = look(streaming(near, far)).clusters["orders"]
    assert [(each.health, each.what) for each in transport_causes(cluster)] == [(Health.FAIL, what) for what in red]


def test_it_is_a_cause_beside_a_healthy_database() -> None:
    world = streaming(TLS, PLAIN)
    causes = [each for each in told(world)[0].causes if each.key == "database/orders/n3/plain"]
    assert [each.health for each in causes] == [Health.FAIL]
    assert look(world).clusters["orders"].health is Health.PASS, "commits and failover are as they were"


def test_the_edge_is_in_the_direction_now_in_force() -> None:
    world = streaming(TLS, PLAIN)
    found = {(each.upstream, each.node): each.between_sites for each in edges(look(world).clusters["orders"].facts)}
    assert found == {("n1", "n2"): False, ("n1", "n3"): True}


@pytest.mark.parametrize(
    ("transport", "words"),
    [
        (TLS, "TLSv1.3 TLS_AES_256_GCM_SHA384, certificate not known"),
        (PLAIN, "plain text"),
        (LOCAL, "not over a network"),
        (None, "not told"),
    ],
)
def test_every_stream_is_told_in_its_row(transport: Transport | None, words: str) -> None:
    rows = build(look(streaming(transport, TLS))).nodes
    assert rows["orders/n2"].transport == words
    assert rows["orders/n1"].transport == "", "the primary has no upstream"
    assert transport_words(WalSender("n2", "streaming", "", None, None, None, None)) == "not told"


@pytest.mark.parametrize(
    ("days", "health", "words"),
    [
        (None, None, "certificate not known"),
        (15, None, "certificate for 15 days"),
        (14, None, "certificate for 14 days"),
        (13, Health.WARN, "certificate for 13 days"),
        (3, Health.WARN, "certificate for 3 days"),
        (2, Health.FAIL, "certificate for 2 days"),
        (0, Health.FAIL, "certificate for less than a day"),
        (-1, Health.FAIL, "certificate expired"),
    ],
)
def test_the_certificate_of_an_edge_is_that_of_the_node_it_comes_from(
    days: int | None, health: Health | None, words: str
) -> None:
    world = streaming(TLS, PLAIN)
    rows = (replace(sender("n2"), transport=TLS), replace(sender("n3"), transport=LOCAL))
    put(world, "postgres:orders/n1", replace(primary("n1", 100 * MB, senders=rows), certificate_days=days))
    judged = look(world)
    nodes = build(judged).nodes
    assert nodes["orders/n2"].transport.endswith(words)
    assert nodes["orders/n3"].transport == "not over a network"
    causes = certificate_causes(judged.clusters["orders"])
    assert [(each.key, each.health) for each in causes] == (
        [("database/orders/n1/certificate", health)] if health is not None else []
    )
    assert [each.key in {cause.key for cause in told(world)[0].causes} for each in causes] == [True] * len(causes)


@pytest.mark.parametrize("days", [None, 40])
def test_a_certificate_that_cannot_be_read_is_a_cause_also_beside_one_that_was_read_before(days: int | None) -> None:
    world = streaming(TLS, TLS)
    rows = (replace(sender("n2"), transport=TLS), replace(sender("n3"), transport=TLS))
    served = primary("n1", 100 * MB, senders=rows)
    put(world, "postgres:orders/n1", replace(served, certificate_days=days, certificate_unread=True))
    put(world, "patroni:orders/n2", manager("n2", "n1", certificate_days=days, certificate_unread=True))
    judged = look(world)
    causes = {each.key: each for each in certificate_causes(judged.clusters["orders"])}
    server, agent = "database/orders/n1/certificate-unread", "database/orders/n2/agent-certificate-unread"
    assert {key: each.health for key, each in causes.items()} == {server: Health.WARN, agent: Health.WARN}
    assert causes[server].what == "the certificate of n1 cannot be read: when it ends is not known"
    assert {server, agent} <= {cause.key for cause in told(world)[0].causes}
    row = build(judged).nodes["orders/n2"]
    assert row.agent_certificate == ("cannot be read" if days is None else "for 40 days")


def test_replication_trap_68_the_certificate_of_an_agent_is_told_and_alarms_of_its_own() -> None:
    world = streaming(TLS, TLS)
    put(world, "patroni:orders/n2", manager("n2", "n1", certificate_days=1))
    judged = look(world)
    assert build(judged).nodes["orders/n2"].agent_certificate == "for 1 day"
    assert build(judged).nodes["orders/n1"].agent_certificate == ""
    causes = certificate_causes(judged.clusters["orders"])
    assert [(each.key, each.health) for each in causes] == [("database/orders/n2/agent-certificate", Health.FAIL)]
    assert "Patroni at n2 is good for 1 day" in causes[0].what


def test_replication_trap_68_a_certificate_of_another_ca_fails_while_what_is_open_goes_on() -> None:
    world = streaming(TLS, TLS)
    rows = (replace(sender("n2"), transport=TLS), replace(sender("n3"), transport=TLS))
    served = primary("n1", 100 * MB, senders=rows)
    why = "TLS refused: unable to get local issuer certificate"
    put(world, "postgres:orders/n1", replace(served, certificate_days=300, certificate_refused=why))
    put(world, "patroni:orders/n2", manager("n2", "n1", certificate_days=300, certificate_refused=why))
    causes = {each.key: each for each in told(world)[0].causes}
    server, agent = (causes[f"database/orders/{each}-refused"] for each in ("n1/certificate", "n2/agent-certificate"))
    assert (server.health, agent.health) == (Health.FAIL, Health.FAIL)
    assert server.what == (
        "the certificate that n1 serves now is not believed here (unable to get local issuer certificate)"
    )
    assert agent.what.startswith("the certificate that Patroni at n2 serves now")
