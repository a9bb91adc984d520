"""Parsers of what databases, their managers and their stores answer, for the table of all parsers."""

from __future__ import annotations

from dataclasses import replace

from adapters.databases.etcd import _keys
from adapters.databases.patroni_parse import parse_object
from adapters.databases.pg_auto_failover_parse import parse_state
from adapters.databases.postgres import _fitting
from adapters.databases.postgres_descent import Descent, first_record
from adapters.databases.postgres_logical import SubscriptionWatch, publications_of
from adapters.databases.postgres_progress import Progress
from adapters.databases.postgres_rows import archiver_of, descent_of, reading_of, settings_of, timeline_of
from adapters.databases.repmgr_parse import parse_cluster_show, parse_node_check
from adapters.net.answers_read import read_json
from state.world.manager_tables import ManagerTable
from tests.support import parser_seeds as s
from tests.support.parsing import fits


def etcd_keys(data: bytes) -> None:
    _keys(parse_object(data, "etcd"), "/service/shop/", "etcd")


def postgres_slow_row(data: bytes) -> None:
    value = read_json(data)
    row = {**s.SLOW_ROW, **(value if isinstance(value, dict) else {})}
    made = reading_of("n1", dict(s.ROW), 1, Descent(), Progress(), 1.0)
    told = SubscriptionWatch().of(row["subscriptions"], 1.0)
    published = publications_of(row["publications"])
    made = replace(made, subscriptions=told, publications=published)
    _fitting(replace(made, settings=settings_of(row), archiver=archiver_of(row, None)))


def postgres_row(data: bytes) -> None:
    value = read_json(data)
    row = {**s.ROW, **(value if isinstance(value, dict) else {})}
    descent_of(row, timeline_of(row))
    _fitting(reading_of("n1", row, timeline_of(row), Descent(), Progress(), 1.0))


def wal_page(data: bytes) -> None:
    position = int.from_bytes(data[8:16], "little")
    for place in (0, 24, 40, 8184):
        first_record(data, position // 8192 * 8192 + place)


def repmgr_show(data: bytes) -> None:
    rows, strange = parse_cluster_show(data.decode(errors="replace"), {1: "n1", 2: "n2"}, "repmgr n1")
    fits(ManagerTable("repmgr n1", "n1", rows, unknown_rows=strange))


def repmgr_check(data: bytes) -> None:
    fits(ManagerTable("repmgr n2", "n2", (), issues=parse_node_check(data.decode(errors="replace"), 2, "repmgr n2")))


def pg_auto_failover(data: bytes) -> None:
    fits(ManagerTable("monitor", "", parse_state(data, "monitor")))
