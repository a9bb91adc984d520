"""Patroni's keys as the JSON gateway of etcd 3.4 answers them."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.databases.etcd import EtcdStore
from adapters.net.http_read import HttpReader
from adapters.secrets import Secret
from state.errors import ReadFailure, Trouble
from tests.contract.web import canned

RANGE, LEASE, SIGN = "POST /v3/kv/range", "POST /v3/lease/timetolive", "POST /v3/auth/authenticate"


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def keys(leader: str = "n1", **more: str) -> dict[str, Any]:
    rows = [{"key": coded("/service/orders/initialize"), "value": coded("7001")}]
    if leader:
        rows.append({"key": coded("/service/orders/leader"), "value": coded(leader), "lease": "53377021791040261"})
    rows += [{"key": coded(f"/service/orders/{name}"), "value": coded(value)} for name, value in more.items()]
    return {"header": {"raft_term": "2"}, "kvs": rows, "count": str(len(rows))}


@asynccontextmanager
async def store(answers: dict[str, Any], **signed: Any) -> AsyncIterator[tuple[EtcdStore, Any]]:
    async with canned(answers) as server:
        readers = [HttpReader(server.url)]
        made = EtcdStore("orders", "/service/", readers, signed.get("user"), signed.get("password"))
        try:
            yield made, server
        finally:
            await made.close()


async def test_the_lock_holder_is_read_by_a_lease_that_runs() -> None:
    answers = {
        RANGE: (200, keys(sync=json.dumps({"leader": "n1", "sync_standby": "n2,n3"}))),
        LEASE: (200, {"TTL": "28", "grantedTTL": "30"}),
    }
    async with store(answers) as (etcd, server):
        reading = await etcd.read(deadline=5)
    assert (reading.leader, reading.lease_left, reading.system_id) == ("n1", 28.0, "7001")
    assert reading.in_sync == ("n2", "n3")
    asked = json.loads(server.asked[0][2])
    assert base64.b64decode(asked["key"]) == b"/service/orders/"
    assert base64.b64decode(asked["range_end"]) == b"/service/orders0"
    assert "serializable" not in asked, "a member without its majority must not answer from memory"


async def test_replication_trap_02_an_expired_lease_is_no_lease() -> None:
    async with store({RANGE: (200, keys()), LEASE: (200, {"TTL": "-1"})}) as (etcd, _):
        assert (await etcd.read(deadline=5)).leader == ""


async def test_replication_trap_02_a_member_without_its_majority_is_no_witness() -> None:
    refused = {"error": "etcdserver: request timed out", "code": 14}
    async with store({RANGE: (503, refused)}) as (etcd, _):
        with pytest.raises(ReadFailure) as failure:
            await etcd.read(deadline=5)
    assert failure.value.trouble is Trouble.ERROR


async def test_no_key_is_no_leader() -> None:
    async with store({RANGE: (200, {"header": {}})}) as (etcd, _):
        reading = await etcd.read(deadline=5)
    assert (reading.leader, reading.system_id) == ("", "")


async def test_a_login_is_made_once_and_its_token_is_sent() -> None:
    answers = {SIGN: (200, {"token": "tok.1"}), RANGE: (200, keys("")), LEASE: (200, {"TTL": "9"})}
    async with store(answers, user="recovery", password=Secret("s3cret")) as (etcd, server):
        await etcd.read(deadline=5)
        await etcd.read(deadline=5)
    assert [ask for ask, _, _ in server.asked] == [SIGN, RANGE, RANGE]
    assert [headers.get("authorization", "") for _, headers, _ in server.asked] == ["", "tok.1", "tok.1"]


STRANGE = ({"kvs": 5}, {"kvs": [7]}, {"kvs": [{"key": 5}]}, {"kvs": [{"key": "?"}]}, [])


@pytest.mark.parametrize("body", [*STRANGE, {"kvs": [{"key": coded("a"), "value": 1}]}])
async def test_what_is_not_etcds_is_an_error(body: Any) -> None:
    async with store({RANGE: (200, body)}) as (etcd, _):
        with pytest.raises(ReadFailure):
            await etcd.read(deadline=5)


async def test_the_second_server_is_asked_when_the_first_is_gone() -> None:
    async with canned({RANGE: (200, keys("")), LEASE: (200, {"TTL": "9"})}) as server:
        readers = [HttpReader("http://127.0.0.1:1"), HttpReader(server.url)]
        etcd = EtcdStore("orders", "service", readers, None, None)
        assert (await etcd.read(deadline=5)).system_id == "7001"
        await etcd.close()
