"""`recovery init` on clusters as Patroni 2 to 4 answers for them: no failure, and `check` accepts what is written."""

from __future__ import annotations

import asyncio

import pytest

from adapters.discovery.asking import discover
from adapters.discovery.looking import Looking
from adapters.files.estate_text import render
from adapters.files.located_yaml import parse_yaml
from adapters.registry import kinds
from state.discovery.answers import Answers
from state.discovery.found import Fact, FoundBalancer, FoundCluster, FoundMetrics, Unreached
from state.discovery.proposal import Proposal
from state.discovery.propose import propose
from state.errors import Trouble
from state.estate.model import Estate
from state.estate.parse import parse_estate
from state.text import is_clean
from tests.contract.components import serving
from tests.contract.patroni_clusters import CLUSTERS, served
from tests.contract.web import canned
from tests.support.shipped_library import held_against

LOOKING = Looking(deadline=60)


async def found(name: str, offers: bytes = b"N") -> list[Fact]:
    """What is found at the address of one of the clusters; its PostgreSQL answers a request for TLS by `offers`."""

    async def postgres(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(offers)

    async with serving(postgres) as port, canned({}) as web:
        web.answers.update(served(CLUSTERS[name], web.url, port))
        return await discover([web.url], LOOKING)


def written(facts: list[Fact]) -> tuple[Proposal, Estate, str]:
    proposal, _ = propose(facts, Answers(("ada",)), "shop", "ada")
    text = render(proposal, ["head"])
    return proposal, parse_estate(parse_yaml(text, "estate"), kinds()), text


def said(proposal: Proposal) -> str:
    return "\n".join(f"{point.where}: {point.what}" for point in proposal.open)


@pytest.mark.parametrize("name", CLUSTERS)
async def test_every_shape_gives_an_estate_that_is_accepted(name: str) -> None:
    proposal, estate, text = written(await found(name))
    assert all(is_clean(line) for line in text.splitlines())
    held = [each for each in proposal.withheld if each.path[0] == "databases"]
    assert len(estate.databases) + len(held) == 1
    without = held_against(estate)
    assert ("switch-database" in without) is not bool(estate.databases)
    for each in held:
        assert each.why
        assert each.way_out, "what is not written says how it could be"


async def test_members_roles_and_what_failover_tolerates_are_as_they_were_answered() -> None:
    proposal, estate, text = written(await found("3.0 of three"))
    database = estate.databases["orders"]
    assert list(database.nodes) == ["n1", "n2", "n3"]
    assert database.rpo == 2_097_152
    assert database.tls == "loopback"  # type: ignore[attr-defined]
    assert "rpo: 2097152B  # proposed, confirm: maximum_lag_on_failover" in text
    assert list(proposal.secrets) == ["secrets/orders-postgres"]


async def test_names_that_an_estate_cannot_hold_withhold_the_whole_cluster() -> None:
    proposal, estate, text = written(await found("names with colons"))
    assert not estate.databases, "a cluster without half of its members would be judged by the other half"
    assert "member pg:1 is left out: its name is none that an estate can hold" in said(proposal)
    assert "# not written: none of its members can be written" in text


async def test_what_is_strange_is_said() -> None:
    assert "no member leads now" in said(written(await found("no leader"))[0])
    assert "Patroni is paused" in said(written(await found("paused"))[0])
    assert "a standby cluster" in said(written(await found("standby cluster"))[0])
    assert "member n4 is left out" in said(written(await found("unknown states"))[0])


async def test_sites_come_from_tags_and_synchronous_clusters_lose_nothing() -> None:
    _, estate, text = written(await found("tags and synchronous"))
    assert {name: node.site for name, node in estate.databases["orders"].nodes.items()} == {
        "pg-0": "frankfurt",
        "pg-1": "dublin",
    }
    assert estate.databases["orders"].rpo == 0
    assert "it replicates synchronously" in text


async def test_sites_come_from_names() -> None:
    _, estate, _ = written(await found("names with dots"))
    assert [node.site for node in estate.databases["orders"].nodes.values()] == ["east", "west"]


async def test_a_member_that_says_another_name_is_no_evidence_of_itself() -> None:
    async with canned({}) as web:
        build = CLUSTERS["3.0 of three"]
        web.answers.update(served(build, web.url, 1))
        status, body = web.answers["GET /patroni"]  # type: ignore[misc]
        body["patroni"]["name"] = "n1"
        web.answers["GET /patroni"] = (status, body)
        (fact,) = await discover([web.url], LOOKING)
    assert isinstance(fact, FoundCluster)
    assert [member.answered for member in fact.members] == [
        "",
        "what answers there is member n1",
        "what answers there is member n1",
    ]
    assert [member.encrypted for member in fact.members] == [None] * 3, "nobody listens there"
    assert "n2" in said(propose([fact], Answers(("ada",)), "shop", "ada")[0])


async def test_tls_is_measured_without_a_credential() -> None:
    (fact,) = await found("3.0 of three", offers=b"S")
    assert isinstance(fact, FoundCluster)
    assert [member.encrypted for member in fact.members] == [True] * 3


async def test_a_target_that_hangs_is_a_timeout_with_a_way_out() -> None:
    async with canned({"GET /patroni": None}) as web:
        (fact,) = await discover([web.url], Looking(deadline=0.3))
    assert isinstance(fact, Unreached)
    assert "did not answer within" in fact.message
    assert fact.way_out


async def test_nothing_that_is_asked_could_act_or_has_a_credential() -> None:
    async with canned({}) as web:
        web.answers.update(served(CLUSTERS["3.0 of three"], web.url, 1))
        await discover([web.url], LOOKING)
        assert web.asked
        assert {line.partition(" ")[0] for line, _, _ in web.asked} == {"GET"}
        assert not [headers for _, headers, _ in web.asked if "authorization" in headers]


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:{port}/?token=hunter2",
        "http://u:hunter2@127.0.0.1:{port}",
        "http://u:hun/hunter2@127.0.0.1:{port}",
        "u:hunter2@127.0.0.1:{port}",
        "dns://k:hunter2@127.0.0.1/shop.example",
        "https://hunter2@127.0.0.1:{port}/patroni",
    ],
)
async def test_an_address_with_a_credential_is_neither_asked_nor_told(address: str) -> None:
    async with canned({}) as web:
        facts = await discover([address.format(port=web.port)], LOOKING)
        assert not web.asked
    (fact,) = facts
    assert isinstance(fact, Unreached)
    assert "hunter2" not in render(propose(facts, Answers(("ada",)), "shop", "ada")[0], []) + str(fact)
    assert "127.0.0.1" in fact.address


async def test_a_credential_in_what_a_cluster_lists_is_left_out() -> None:
    async with canned({}) as web:
        web.answers.update(served(CLUSTERS["3.0 of three"], web.url, 1))
        _, body = web.answers["GET /cluster"]  # type: ignore[misc]
        body["members"][1]["api_url"] = "http://admin:hunter2@127.0.0.1:8008/patroni"
        facts = await discover([web.url], LOOKING)
    text = render(propose(facts, Answers(("ada",)), "shop", "ada")[0], [])
    assert "hunter2" not in text
    assert "Patroni tells no address of its API" in text


async def test_what_asks_for_a_credential_says_so() -> None:
    async with canned({"GET /patroni": (401, "Unauthorized")}) as web:
        (fact,) = await discover([web.url], LOOKING)
    assert isinstance(fact, Unreached)
    assert (fact.trouble, fact.message) == (Trouble.DENIED, "answer 401: not allowed without a credential")
    assert "never sends" in fact.way_out


def test_balancers_that_only_metrics_know_are_told() -> None:
    metrics = FoundMetrics("https://prom:9090", balancers=("edge1:8404", "edge2:8404"))
    one = FoundBalancer("/run/a.sock", "/run/a.sock", (), node="edge1", level="admin")
    (told,) = [p for p in propose([metrics, one], Answers(("ada",)), "shop", "ada")[0].open if p.where == "balancers"]
    assert told.what == "Prometheus has figures of 2 HAProxy processes (edge1:8404, edge2:8404), 1 answered here"
