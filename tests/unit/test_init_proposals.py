"""Whatever is found, what `recovery init` proposes is an estate that is accepted, and says where each value is from."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.discovery.looking import unreached
from adapters.files.estate_text import render
from adapters.files.located_yaml import parse_yaml
from adapters.registry import kinds
from state.discovery.answers import Answers
from state.discovery.found import (
    Fact,
    FoundBackend,
    FoundBalancer,
    FoundCluster,
    FoundFamily,
    FoundMember,
    FoundMetrics,
    FoundServer,
)
from state.discovery.haproxy_cfg import parse_haproxy_cfg
from state.discovery.names import colours_in, made_valid, role_in, service_in, site_in, valid
from state.discovery.proposal import Proposal
from state.discovery.propose import propose
from state.errors import ReadFailure, Trouble
from state.estate.model import Estate
from state.estate.parse import parse_estate
from state.text import is_clean
from tests.support.random_facts import NAMES, facts

REASON = "VLAN 12 has these hosts only"


def proposed(found: list[Fact], waive: str = "") -> tuple[Proposal, Estate, str]:
    proposal, _ = propose(found, Answers(("ada",), waive=waive), "shop", "ada")
    text = render(proposal, ["made here"])
    return proposal, parse_estate(parse_yaml(text, "estate"), kinds()), text


@settings(max_examples=100, deadline=None)
@given(facts, st.sampled_from(["", REASON]))
def test_any_facts_give_an_accepted_estate_in_clean_text(found: list[Fact], waive: str) -> None:
    proposal, estate, text = proposed(found, waive)
    assert all(is_clean(line) for line in text.splitlines())
    assert parse_yaml(text, "estate").data == proposal.tree, "what is written is what was proposed"
    assert proposed(found, waive)[2] == text, "the same facts give the same estate"
    for held in proposal.withheld:
        assert held.path[1] not in getattr(estate, held.path[0])
        assert held.why


@settings(max_examples=300, deadline=None)
@given(NAMES)
def test_any_name_becomes_a_valid_one(name: str) -> None:
    assert valid(made_valid(name))
    assert made_valid(name) == name or not valid(name) or len(name) > 63 or name[-1] in "-._"
    assert valid(made_valid(name, {made_valid(name)}))
    assert made_valid(name, {made_valid(name)}) != made_valid(name)


def test_names_of_sites_are_places_only() -> None:
    told = {
        "pg-east-1": "east",
        "db1.dc2.example.org": "dc2",
        "fra1-db01": "fra1",
        "ip-10-0-0-1.eu-west-1.compute": "eu-west-1",
        "node_az_a": "az-a",
        "northwind": "",
        "checkout": "",
        "n1": "",
        "feast-1": "",
    }
    assert {name: site_in(name) for name in told} == told


def test_colours_need_words_for_them_or_an_idle_half() -> None:
    assert colours_in(["blue", "green"], []) == ("blue", "green")
    assert colours_in(["a", "b"], []) is None
    assert colours_in(["a", "b"], ["b"]) == ("a", "b")
    assert colours_in(["a", "b"], ["a", "b"]) is None, "with both idle nothing tells which one serves"
    assert colours_in(["web1", "web2"], ["web2"]) is None
    assert colours_in(["blue", "green", "grey"], []) is None


def test_roles_and_services_are_read_from_names() -> None:
    assert [role_in(name) for name in ("pg_rw", "pgprimary", "db-replicas", "pg_rw_ro", "orders")] == [
        "primary",
        "primary",
        "standby",
        "",
        "",
    ]
    assert [service_in(name) for name in ("bk_checkout", "checkout-backend", "be", "backend-a", "api")] == [
        "checkout",
        "checkout",
        "be",
        "a",
        "api",
    ]


def server(name: str, *, serving: bool = True, weight: int = 1, backup: bool = False) -> FoundServer:
    return FoundServer(name, "10.0.0.1:80", weight, serving, True, backup)


def balancer(name: str, *backends: FoundBackend) -> FoundBalancer:
    return FoundBalancer(f"/run/{name}.sock", f"/run/{name}.sock", backends, version="2.8")


def test_the_floor_is_half_of_what_serves_where_fewest_do() -> None:
    for serving, floor in ((0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (10, 5)):
        servers = tuple(server(f"s{n}") for n in range(serving)) or (server("s0", serving=False),)
        _, estate, _ = proposed([balancer("edge", FoundBackend("shop", servers))])
        traffic = estate.services["shop"].traffic
        assert traffic is not None
        assert traffic.floor == floor
    east = balancer("east", FoundBackend("shop", tuple(server(f"s{n}") for n in range(10))))
    west = balancer("west", FoundBackend("shop", tuple(server(f"s{n}") for n in range(3))))
    _, estate, _ = proposed([east, west])
    assert estate.services["shop"].traffic is not None
    assert estate.services["shop"].traffic.floor == 2
    assert estate.services["shop"].traffic.balancers == ("east", "west")
    assert set(estate.sites) == {"east", "west"}


@pytest.mark.parametrize(
    ("servers", "comment"),
    [
        ([FoundServer("a", serving=True, checked=False)], "1 in rotation, none of them is checked"),
        ([server("a"), FoundServer("b", serving=True, checked=False)], "2 serve now; b without a check"),
        ([server("a", serving=False), server("sorry", backup=True)], "no main server serves now, sorry does as backup"),
        ([server("a", serving=False), server("sorry", serving=False, backup=True)], "nothing serves now"),
        ([server("a"), server("sorry", backup=True)], "1 serves now"),
    ],
)
def test_the_comment_of_a_floor_says_what_is_known(servers: list[FoundServer], comment: str) -> None:
    _, _, text = proposed([balancer("edge", FoundBackend("shop", tuple(servers)))])
    (line,) = [each for each in text.splitlines() if each.strip().startswith("floor:")]
    assert line.endswith(comment)


@pytest.mark.parametrize(("level", "said"), [("user", True), ("operator", True), ("admin", False), ("", False)])
def test_a_socket_that_changes_nothing_is_said(level: str, said: bool) -> None:
    fact = replace(balancer("edge", FoundBackend("shop", (server("a"),))), level=level)
    told = [point.what for point in proposed([fact])[0].open if "drained by nobody" in point.what]
    assert told == ([f"its socket is at level {level}: servers can be read, and drained by nobody"] if said else [])


def member(name: str, host: str, *, encrypted: bool | None = True, api: str = "") -> FoundMember:
    return FoundMember(
        name, "leader", "running", host, 5432, api or f"https://{host}:8008", answered="", encrypted=encrypted
    )


def test_plain_text_to_another_machine_is_withheld_with_its_reason() -> None:
    plain = FoundCluster("http://10.0.0.1:8008", "orders", (member("n1", "10.0.0.1", api="http://10.0.0.1:8008"),))
    _, estate, text = proposed([plain])
    assert not estate.databases
    assert "# not written: Patroni of n1 answers over http" in text
    assert "# way out: TLS; or waive: {tls: the reason}" in text
    assert '#   nodes: {n1: {site: main, postgres: "10.0.0.1:5432", api: "http://10.0.0.1:8008"}}' in text
    bare = FoundCluster("https://10.0.0.1:8008", "orders", (member("n1", "10.0.0.1", encrypted=False),))
    assert "PostgreSQL of n1 offers no TLS" in proposed([bare])[2]


def test_plain_text_is_written_with_the_reason_that_a_person_gave() -> None:
    plain = FoundCluster("http://10.0.0.1:8008", "orders", (member("n1", "10.0.0.1", api="http://10.0.0.1:8008"),))
    bare = FoundCluster("https://10.0.0.2:8008", "stock", (member("n1", "10.0.0.2", encrypted=False),))
    server = FoundMetrics("http://10.0.0.3:9090", families=(FoundFamily("prometheus", "job", "code", ("shop",)),))
    proposal, estate, text = proposed([plain, bare, server], REASON)
    assert {name: each.tls for name, each in estate.databases.items()} == {  # type: ignore[attr-defined]
        "orders": "verify-full",
        "stock": "plain",
    }
    assert [each.waive.tls for each in (*estate.databases.values(), *estate.monitors.values())] == [REASON] * 3
    assert list(estate.services) == ["shop"]
    assert not proposal.withheld
    assert text.count(f'waive: {{tls: "{REASON}"}}') == text.count("# asked: ") == 3
    assert not proposed([server])[1].services, "without its monitor nobody could judge it"


def test_a_database_and_a_service_of_one_name_get_two() -> None:
    shop = balancer("edge", FoundBackend("orders", (server("s1"), server("s2"))))
    cluster = FoundCluster("https://10.0.0.1:8008", "orders", (member("n1", "10.0.0.9"),))
    _, estate, _ = proposed([shop, cluster])
    assert list(estate.services) == ["orders"]
    assert list(estate.databases) == ["orders-db"]


def test_figures_are_joined_by_name_and_what_has_none_is_said() -> None:
    shop = balancer("edge", FoundBackend("bk_checkout", (server("s1"),)), FoundBackend("other", (server("s1"),)))
    family = FoundFamily("prometheus", "job", "code", ("Check-Out", "grafana"), durations=True)
    proposal, estate, text = proposed([shop, FoundMetrics("http://127.0.0.1:9090", families=(family,))])
    metrics = estate.services["checkout"].metrics
    assert metrics is not None
    assert metrics.service == "Check-Out"
    assert "# guessed: Check-Out is the label nearest to bk_checkout" in text
    assert list(estate.services) == ["checkout", "other"], "what monitors is no service of anybody"
    assert any(point.where == "services.other" and "no metrics" in point.what for point in proposal.open)


@pytest.mark.parametrize(
    ("message", "way_out"),
    [
        ("h:1: TLS refused: WRONG_VERSION_NUMBER", "http:// in place of https://"),
        ("h:1: TLS refused: self-signed certificate", "--ca FILE"),
        ("HAProxy: No such file or directory", "stats socket"),
        ("HAProxy: Permission denied", "a right to the socket"),
    ],
)
def test_an_address_that_gives_nothing_names_the_way_out(message: str, way_out: str) -> None:
    assert way_out in unreached("a", ReadFailure(Trouble.UNREACHABLE, message)).way_out


def test_a_server_that_is_drained_for_work_is_no_idle_colour() -> None:
    """A pair of equal servers is not blue and green because one of them is out for maintenance."""
    pair = (server("a"), FoundServer("b", "10.0.0.2:80", weight=100, serving=False, up=True, disabled=True))
    assert "colours" not in proposed([balancer("edge", FoundBackend("catalog", pair))])[2]
    waiting = (server("a"), server("b", serving=False, weight=0))
    assert "colours: {a: a, b: b}" in proposed([balancer("edge", FoundBackend("catalog", waiting))])[2]


ROLE_CHECKS = {
    "patroni's own template": """
listen batman
    bind *:5000
    option httpchk OPTIONS /master
    http-check expect status 200
    default-server inter 3s fall 3 rise 2 on-marked-down shutdown-sessions
    server postgresql_10.0.0.1_6543 10.0.0.1:6543 maxconn 100 check port 8008
    server postgresql_10.0.0.2_6543 10.0.0.2:6543 maxconn 100 check port 8008
""",
    "by a method": """
backend writes
    mode tcp
    option httpchk GET /primary
    server a 10.0.0.1:7000 check port 8008
""",
    "by http-check send": """
backend reads
    option httpchk
    http-check send meth OPTIONS uri /replica?lag=1MB
    server a 10.0.0.1:7000 check port 8008
""",
    "by pgsql-check": """
backend ledger
    option pgsql-check user haproxy
    server a 10.0.0.1:7000 check
""",
    "by the names of its servers": """
backend main
    server pg1 10.0.0.1:7000 check
    server pg2 10.0.0.2:7000 check
""",
    "by a short name": "backend db_rw\n    mode tcp\n    server a 10.0.0.1:7000 check\n",
}


@pytest.mark.parametrize("text", ROLE_CHECKS.values(), ids=list(ROLE_CHECKS))
def test_the_way_to_a_database_is_no_service(text: str) -> None:
    """Of such a backend one server is up by design: a floor of its own would be broken for ever."""
    fact = parse_haproxy_cfg("global\n    stats socket /run/h.sock level admin\n" + text, "/etc/haproxy/haproxy.cfg")
    assert fact is not None
    proposal, estate, _ = proposed([fact])
    assert not estate.services
    assert any("looks like the way to a database" in point.what for point in proposal.open)


def test_a_page_of_an_application_is_no_role() -> None:
    text = "backend shop\n    mode http\n    option httpchk GET /health\n    server db-admin 10.0.0.1:80 check\n"
    fact = parse_haproxy_cfg("global\n    stats socket /run/h.sock level admin\n" + text, "/etc/haproxy/haproxy.cfg")
    assert fact is not None
    assert set(proposed([fact])[1].services) == {"shop"}
