"""Estate files: what is wrong, where it stands, what was expected, and which name was probably meant."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from adapters.balancers.haproxy import HaproxyOptions
from adapters.registry import kinds
from state.config_files.located import Located
from state.errors import ConfigError
from state.estate.parse import parse_estate
from state.estate.rules import LONGEST_CHAIN, MOST_WATCHED
from tests.support.estate_samples import CANARY, estate, problems_of, replaced, small

NODE = '"10.1.0.11:5432", api: "https://10.1.0.11:8008"'


def test_the_sample_holds_and_units_are_base_units() -> None:
    valid = estate(small())
    checkout = valid.services["checkout"]
    assert (checkout.rto, checkout.rpo, checkout.objectives.error_ratio) == (900.0, 1_000_000, 0.01)
    assert valid.balancers["edge"] == HaproxyOptions(kind="haproxy", site="east", socket="/run/edge.sock")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    tier: 1\n", "    teir: 1\n", "found key 'teir', expected one of the keys"),
        ("    tier: 1\n", "    teir: 1\n", "did you mean 'tier'?"),
        ("tier: 1\n", "tier: 9\n", "found 9, expected at most 5"),
        ("tier: 1\n", "tier: high\n", "found 'high', expected a whole number"),
        ("tier: 1\n", "tier: true\n", "found true, expected a whole number"),
        ("    tier: 1\n", "    tier: ~\n", "found nothing, expected a whole number"),
        ("tier: 1\n", "tier: [1]\n", "found a list, expected a whole number"),
        ("rto: 15m", "rto: 15", "found 15, expected a duration such as 500ms, 5s, 15m, 1h30m or 1d"),
        ("rto: 15m", "rto: soon", "found 'soon', expected a duration"),
        ("rto: 15m", "rto: 0s", "found '0s', expected a duration such as 500ms, 5s, 15m, 1h30m or 1d, more than 0"),
        ("rto: 15m", f"rto: {'9' * 400}d", "expected a duration"),
        (
            "rto: 15m",
            "rto: 9999d",
            "found '9999d', expected a duration such as 500ms, 5s, 15m, 1h30m or 1d, at most 366",
        ),
        ("rpo: 1MB", "rpo: 1", "found 1, expected a size such as 512B, 64kB, 1.5MB or 2GB"),
        ("rpo: 1MB", "rpo: {a: b}", "found a mapping, expected a size"),
        ("rpo: 1MB", f"rpo: {'9' * 400}MB", "expected a size"),
        ("error_ratio: 0.01", "error_ratio: 101%", "found '101%', expected a share from 0 to 100%"),
        ("error_ratio: 0.01", "error_ratio: yes", "found 'yes', expected a share"),
        ("environment: lab", "environment: prod", "found 'prod', expected drill, lab, production or staging"),
        ("environment: lab", "environment: prodution", "did you mean 'production'?"),
        (
            "estate: small",
            "estate: 'a b'",
            "found 'a b', expected a name of letters, digits, dot, dash and underscore",
        ),
        ("estate: small", "estate: 5", "found 5, expected text (numbers and true or false need quotes)"),
        ("  west: {}", "  we st: {}", "found 'we st', expected a name of letters"),
        ("  west: {}", "  west: here", "found 'here', expected a mapping of keys and values"),
        ("owners: [u1]", "owners: u1", "found 'u1', expected a list"),
        ("owners: [u1]", "owners: [u9]", "found 'u9', expected a person: u1 or u2"),
        ("depends_on: [orders]", "depends_on: [order]", "did you mean 'orders'?"),
        ("depends_on: [checkout]", "depends_on: [catalog]", "without a cycle: catalog → catalog"),
        ("backend: checkout, floor: 1", "backend: checkout, floor: -1", "found -1, expected at least 0"),
        (
            "traffic: {balancers: [edge], backend: catalog}",
            "traffic: {balancers: [egde], backend: catalog}",
            "found 'egde', expected a balancer: edge; did you mean 'edge'?",
        ),
        ("monitors: [prometheus]", "monitors: [promethues]", "did you mean 'prometheus'?"),
        (
            "accounts: [ben]",
            "accounts: [ada]",
            "found 'ada', expected an account of one person only; 'u1' already has it",
        ),
        ("roles: [observer]", "roles: [obsever]", "did you mean 'observer'?"),
        ("n2: {site: west", "n2: {site: wset", "found 'wset', expected a site: east or west; did you mean 'west'?"),
        (NODE, NODE.replace(":5432", ""), "found '10.1.0.11', expected an address host:port"),
        (NODE, NODE.replace(":5432", ":99999"), "expected a port from 1 to 65535"),
        (
            NODE,
            NODE.replace("https://", "ftp://"),
            "found 'ftp://10.1.0.11:8008', expected an address that begins with https",
        ),
        (NODE, NODE.replace("https://", "http://"), "expected https:// (plain http needs waive: {tls: the reason})"),
        (NODE, NODE.replace("https://10", "https://[10"), "expected an address that begins with https"),
        ("kind: haproxy", "kind: haprxy", "found 'haprxy', expected an adapter: haproxy; did you mean 'haproxy'?"),
        ("kind: prometheus,", "kind: haproxy,", "found 'haproxy', expected an adapter: http or prometheus"),
        (
            "socket: /run/edge.sock",
            "sokcet: /run/edge.sock",
            "found key 'sokcet', expected one of the keys config, hard_stop_after, kind, maps, site, socket,"
            " state_file, stick_tables or 1 more; did you mean 'socket'?",
        ),
        ("socket: /run/edge.sock", "", "expected the key 'socket' in balancers.edge"),
        ("socket: /run/edge.sock", "socket: /run/edge.sock, state_file: state", "found 'state', expected the absolute"),
        (
            "socket: /run/edge.sock",
            "socket: /run/edge.sock, state_file: /a/../b",
            "expected the absolute path of a file",
        ),
        (
            "socket: /run/edge.sock",
            "socket: /run/edge.sock, state_file: '/a/{backend}/b'",
            "{backend} as its last part",
        ),
        (
            "socket: /run/edge.sock",
            "socket: '10.1.0.1:9999', state_file: /a/b, waive: {tls: a VLAN of its own}",
            "found '/a/b', expected a balancer of this host, where the engine can write the file: leave it out",
        ),
        (
            'url: "https://10.1.0.20:9090"',
            "url: gopher://x",
            "found 'gopher://x', expected an address that begins with https",
        ),
        ('url: "https://10.1.0.20:9090"', 'url: "https://x", window: 5', "found 5, expected a duration"),
        (
            "site: east, service: checkout, url",
            "site: esst, service: checkout, url",
            "expected a site: east or west; did you mean",
        ),
        ("site: east, service: checkout, url", "site: east, service: chekout, url", "did you mean 'checkout'?"),
        ('servers: ["10.1.0.53:53"]', "servers: [10.1.0.53]", "found '10.1.0.53', expected an address host:port"),
        ("expect: [10.1.0.10]", "expect: [10.1.0.300]", "found '10.1.0.300', expected an IPv4 address"),
        ("every: 1s", "every: 1ms", "found '1ms', expected at least 50ms"),
        ("stale_after: 3s", "stale_after: 1s", "expected more than every (1 s), or every value would be old"),
        ("deadline: 900ms", "deadline: 4s", "found '4s', expected less than stale_after (3 s)"),
        ("second_person: [B3]", "second_person: [B9]", "found 'B9', expected B2, B3 or B4"),
        (
            "password: {file: secrets/postgres}",
            "password: {file: a, env: B}",
            "found file and env, expected exactly one of file, env and command",
        ),
        ("password: {file: secrets/postgres}", "password: {}", "found none of them, expected exactly one"),
        (
            "key: {name: recovery., secret: {file: secrets/tsig}}",
            "key: {name: r, secret: {}}",
            "expected exactly one of file",
        ),
    ],
)
def test_each_problem_is_told_at_its_line(old: str, new: str, message: str) -> None:
    text, line = replaced(small(), old, new)
    with pytest.raises(ConfigError) as refused:
        estate(text)
    assert any(message in str(problem) for problem in problems_of(refused.value, line)), str(refused.value)


def of_services(needs: Sequence[Sequence[int]]) -> Located:
    services = {
        f"s{at}": {"tier": 3, "rto": "5m", "rpo": "1MB", "depends_on": [f"s{n}" for n in each]}
        for at, each in enumerate(needs)
    }
    return Located({"estate": "t", "environment": "lab", "sites": {"east": {}}, "services": services}, "t.yaml")


def test_an_estate_that_could_not_be_judged_in_time_is_refused() -> None:
    assert len(parse_estate(of_services([()] * MOST_WATCHED), kinds()).services) == MOST_WATCHED
    with pytest.raises(ConfigError, match=f"found {MOST_WATCHED + 1}, expected at most {MOST_WATCHED} services"):
        parse_estate(of_services([()] * (MOST_WATCHED + 1)), kinds())
    chain = [(), *((at,) for at in range(LONGEST_CHAIN))]
    assert parse_estate(of_services(chain[:-1]), kinds()).services
    with pytest.raises(ConfigError, match=f"found {LONGEST_CHAIN + 1} of them, expected at most {LONGEST_CHAIN} serv"):
        parse_estate(of_services(chain), kinds())


def test_a_cycle_is_named_and_told_where_it_closes() -> None:
    text, _ = replaced(small(), "depends_on: [orders]", "depends_on: [orders, catalog]")
    with pytest.raises(ConfigError) as refused:
        estate(text)
    message = "small.yaml:23:18: found 'checkout', expected dependencies without a cycle: catalog → checkout → catalog"
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("    tier: 1\n", "    teir: 1\n", "small.yaml:11:5: found key 'teir'"),
        ("    tier: 1\n", "    teir: 1\n", "small.yaml:10:3: expected the key 'tier' in services.checkout"),
        ("rto: 15m", "rto: 15", "small.yaml:12:10: "),
        ("owners: [u1]", "owners: [u1, u9]", "small.yaml:14:18: found 'u9'"),
        ("kind: haproxy", "kind: haprxy", "small.yaml:35:16: found 'haprxy'"),
        ("error_ratio: 0.01", "error_ratio: 2", "small.yaml:17:31: found 2"),
        ("  orders:\n    kind", "  orders: &o\n    knid", "small.yaml:27:5: found key 'knid'"),
    ],
)
def test_file_line_and_column(old: str, new: str, place: str) -> None:
    with pytest.raises(ConfigError) as refused:
        estate(replaced(small(), old, new)[0])
    assert any(str(problem).startswith(place) for problem in refused.value.problems), str(refused.value)


def test_all_problems_come_at_once_in_file_order() -> None:
    text = small()
    for old, new in (("rto: 15m", "rto: 15"), ("kind: haproxy", "kind: x"), ("owners: [u1]", "owners: [u9]")):
        text, _ = replaced(text, old, new)
    with pytest.raises(ConfigError) as refused:
        estate(text)
    assert [p.line for p in refused.value.problems] == [12, 14, 35]


def test_loopback_is_a_promise_about_every_address() -> None:
    text, line = replaced(small(), "    user: recovery\n", "    user: recovery\n    tls: loopback\n")
    with pytest.raises(ConfigError) as refused:
        estate(text)
    assert len(refused.value.problems) == 4
    assert all("a loopback address, because of tls: loopback" in str(p) for p in refused.value.problems)
    assert refused.value.problems[0].line == line + 3
    plain = text.replace("https://10.1.0.11", "http://127.0.0.1").replace("https://10.2.0.11", "http://[::1]")
    assert estate(plain.replace("10.1.0.11:", "127.0.0.1:").replace("10.2.0.11:", "localhost:"))


def test_production_has_no_faults_and_keeps_its_arm_time() -> None:
    text = small().replace("environment: lab", "environment: production").replace("arm: 500ms", "arm: 10ms")
    with pytest.raises(ConfigError) as refused:
        estate(f"{text}faults: {{kind: lab}}\n")
    told = str(refused.value)
    assert "no faults in production: they are for laboratories and drills only" in told
    assert "found '10ms', expected at least 500ms in production" in told


def test_a_name_is_a_service_or_a_database() -> None:
    text, line = replaced(small(), "databases:\n  orders:\n", "databases:\n  checkout:\n")
    with pytest.raises(ConfigError) as refused:
        estate(text)
    assert any("a service has this name" in str(p) for p in problems_of(refused.value, line))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("password: {file: secrets/postgres}", f"password: {CANARY}"),
        ("password: {file: secrets/postgres}", f"password: [{CANARY}]"),
        ("password: {file: secrets/postgres}", f"password: {{value: {CANARY}}}"),
        ("password: {file: secrets/postgres}", f"passwrd: {CANARY}"),
        ("password: {file: secrets/postgres}", f"api_password: {CANARY}"),
        ("secret: {file: secrets/tsig}", f"secret: {CANARY}"),
        ("key: {name: recovery., secret: {file: secrets/tsig}}", f"key: {CANARY}"),
        ('url: "https://10.1.0.20:9090"', f'url: "https://me:{CANARY}@10.1.0.20"'),
        ('url: "https://10.1.0.20:9090"', f'url: "https://h/?token={CANARY}"'),
        ('url: "https://10.1.0.20:9090"', f'url: "https://h", bearer_token: {CANARY}'),
        ("socket: /run/edge.sock", f"socket: /run/edge.sock, authToken: {CANARY}"),
        ("user: recovery", f"user: 'recovery password={CANARY}'"),
        ("estate: small", f'estate: "Bearer {CANARY}"'),
        ("  west: {}", f'  "https://me:{CANARY}@h": {{}}'),
    ],
)
def test_a_literal_secret_is_refused_and_never_repeated(old: str, new: str) -> None:
    text, line = replaced(small(), old, new)
    with pytest.raises(ConfigError) as refused:
        estate(text)
    assert CANARY not in str(refused.value)
    assert problems_of(refused.value, line)


OWN = """
checks:
  codes: {command: {argv: [/bin/true], pass: [0, 3], fail: [1]}}
commands:
  purge:
    argv: [/bin/true, "${key}", "${tag}"]
    params: {key: {kind: text}, tag: {kind: text}}
    risk: B1
    undo: {command: purge, args: {key: "${key}", tag: "${tag}"}}
"""


def test_what_only_looks_like_a_secret_is_accepted() -> None:
    """A client's key is a file, `pass` of a check has exit codes, a value that is filled in later is none yet."""
    text, _ = replaced(small(), "    password: {file: secrets/postgres}", "    cert: cc.pem\n    key: secrets/ck.pem")
    read = estate(text + OWN)
    assert read.databases["orders"].key == "secrets/ck.pem"  # type: ignore[attr-defined]
    assert read.checks["codes"].command is not None
    assert read.checks["codes"].command.passes == (0, 3)


@pytest.mark.parametrize("text", ["", "just words", "[a, b]", "5"])
def test_what_is_no_mapping(text: str) -> None:
    with pytest.raises(ConfigError, match="a mapping that begins with `estate: <name>`"):
        estate(text)


@pytest.mark.parametrize("value", ["7", "[1, 2]", '"no"', "1.5", "true"])
@pytest.mark.parametrize("section", ["sites", "people", "services", "databases", "balancers", "zones", "monitors"])
def test_a_section_that_is_no_mapping_is_told_at_its_place(section: str, value: str) -> None:
    text = "estate: x\nenvironment: staging\n" + ("" if section == "sites" else "sites: {}\n")
    with pytest.raises(ConfigError, match="expected a mapping of keys and values"):
        estate(f"{text}{section}: {value}\n")


def test_a_long_chain_of_dependencies_is_refused_and_a_ring_of_it_is_told() -> None:
    entry = "  s{}: {{tier: 1, rto: 1h, rpo: 1MB, depends_on: [s{}]}}\n"
    head = "estate: chain\nenvironment: lab\nsites: {}\nservices:\n"
    chain = head + "".join(entry.format(i, i + 1) for i in range(900)) + "  s900: {tier: 1, rto: 1h, rpo: 1MB}\n"
    with pytest.raises(ConfigError, match="at most 32 services one below the other"):
        estate(chain)
    with pytest.raises(ConfigError, match="without a cycle: s0 → s1 → s2"):
        estate(chain.replace("s900: {", "s900: {depends_on: [s0], "))
