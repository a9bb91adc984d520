"""Facts as anything might answer them: names of any alphabet, empty lists, addresses that are none."""

from __future__ import annotations

from hypothesis import strategies as st

from state.discovery.families import FAMILIES
from state.discovery.found import (
    Fact,
    FoundAlerting,
    FoundBackend,
    FoundBalancer,
    FoundCluster,
    FoundFamily,
    FoundMember,
    FoundMetrics,
    FoundRecord,
    FoundServer,
    FoundZone,
    Unreached,
)
from state.errors import Trouble

COMMON = st.sampled_from(
    [
        "checkout", "catalog", "bk_checkout", "pg_rw", "pg-ro", "n1", "n2", "blue", "green", "a", "b", "api-v1",
        "api-v2", "yes", "null", "1e5", "0x10", "12", "1.5", "~", "<<", "token", "secret", "password", "key",
        "x" * 63, "x" * 64,
        "ünïcode", "база", "a:b", "a b", "#a", "-a", ".", "", "east", "dc2", "pg-eu-west-1a", "a\nb: c", "\x1b[31m",
        "{}",
    ]
)  # fmt: skip
NAMES = COMMON | st.text(max_size=70)
HOSTS = st.sampled_from(["127.0.0.1", "10.0.0.1", "10.0.0.2", "::1", "fd00::1", "db1.example.org", "", "a b"]) | NAMES
URLS = st.sampled_from(
    ["http://127.0.0.1:8008", "https://10.0.0.1:8008", "http://10.0.0.1:8008", "https://x", "", "ftp://x", "http://"]
)
GOOD_URLS = st.sampled_from(["http://127.0.0.1:9090", "http://10.0.0.1:9090", "https://prom.example.org/path"])
FEW = 4
servers = st.builds(
    FoundServer,
    NAMES,
    st.builds(lambda host, port: f"{host}:{port}", HOSTS, st.sampled_from([80, 5432])),
    st.sampled_from([0, 1, 100]),
    st.sampled_from([None, True, False]),
    st.sampled_from([None, True, False]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
backends = st.builds(
    FoundBackend,
    NAMES,
    st.lists(servers, min_size=1, max_size=FEW, unique_by=lambda server: server.name).map(tuple),
    st.sampled_from(["http", "tcp", ""]),
)
balancers = st.builds(
    FoundBalancer,
    NAMES,
    st.sampled_from(["/run/haproxy/east.sock", "/run/a.sock", "", "127.0.0.1:9999", "10.0.0.1:9999", "/x" * 60, "x:y"]),
    st.lists(backends, max_size=FEW, unique_by=lambda backend: backend.name).map(tuple),
    NAMES,
    NAMES,
    st.sampled_from(["", "user", "admin"]),
    st.lists(st.sampled_from(["10.0.0.1", "fd00::1"])).map(tuple),
    st.booleans(),
)
members = st.builds(
    FoundMember,
    NAMES.filter(bool),
    st.sampled_from(["leader", "replica", "standby_leader", "sync_standby", "", "odd"]),
    NAMES,
    HOSTS,
    st.sampled_from([0, 5432, 70_000, -1]),
    URLS,
    st.dictionaries(st.sampled_from(["site", "datacenter", "x"]), NAMES),
    NAMES,
    st.sampled_from([None, True, False]),
)
clusters = st.builds(
    FoundCluster,
    URLS,
    NAMES,
    st.lists(members, max_size=FEW, unique_by=lambda member: member.name).map(tuple),
    NAMES,
    st.booleans(),
    st.booleans(),
    st.none() | st.integers(0, 1 << 40),
    st.sampled_from(["", "/etc/ca.pem"]),
)
families = st.builds(
    FoundFamily,
    st.sampled_from([family.name for family in FAMILIES]),
    st.sampled_from(["service", "job", "app"]),
    st.sampled_from(["code", "status", ""]),
    st.lists(NAMES.filter(bool), max_size=FEW, unique=True).map(tuple),
    st.sampled_from(["", "version"]),
    st.booleans(),
    st.none() | st.floats(0.1, 600),
    st.none() | st.floats(10, 600),
    st.none() | st.floats(10, 600),
    st.dictionaries(
        st.sampled_from(["env", "stage", "reporter"]),
        st.lists(NAMES | st.just("prod"), min_size=2, max_size=3, unique=True).map(tuple),
        max_size=2,
    ),
)
metrics = st.builds(
    FoundMetrics,
    GOOD_URLS,
    NAMES,
    st.lists(families, max_size=3, unique_by=lambda family: family.family).map(tuple),
    st.lists(NAMES, max_size=2).map(tuple),
    st.sampled_from(["", "/etc/ca.pem"]),
)
texts = st.lists(NAMES, max_size=3).map(tuple)
alerting = st.builds(
    FoundAlerting, GOOD_URLS, NAMES, st.lists(NAMES.filter(bool), max_size=2).map(tuple), texts, texts, texts
)
records = st.builds(
    FoundRecord,
    NAMES,
    st.sampled_from(["A", "AAAA", "CNAME"]),
    st.just(()),
).flatmap(
    lambda record: st.builds(
        FoundRecord,
        st.just(record.name),
        st.just(record.type),
        st.lists(
            st.sampled_from(
                {"A": ["10.0.0.1", "10.0.0.2"], "AAAA": ["fd00::1"], "CNAME": ["a.example.", "b."]}[record.type]
            ),
            max_size=2,
            unique=True,
        ).map(tuple),
    )
)
zones = st.builds(
    FoundZone,
    NAMES,
    st.sampled_from(["shop.example", "shop.example.", "_x.example", "a b", "ü.example"]),
    st.just(("10.0.0.53:53",)),
    st.lists(records, max_size=FEW, unique_by=lambda record: (record.name, record.type)).map(tuple),
    st.booleans(),
)
unreached = st.builds(Unreached, NAMES, st.sampled_from(list(Trouble)), NAMES, NAMES)
facts: st.SearchStrategy[list[Fact]] = st.lists(
    st.one_of(balancers, clusters, metrics, alerting, zones, unreached), max_size=6
)
