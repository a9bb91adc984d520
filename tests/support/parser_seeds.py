"""Inputs as they should be, for every parser of bytes from outside."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from typing import Any

import dns.message
import dns.rrset

from adapters.balancers.haproxy_parse import STAT_HEADER, STATE_HEADER
from state.api.wire import Differ
from tests.screens import fake_views

QUERY = dns.message.make_query("www.example.test", "A", flags=0, id=7)
PDNS_ZONE = {
    "name": "lab.test.",
    "kind": "Master",
    "soa_edit_api": "DEFAULT",
    "rrsets": [
        {
            "name": "www.lab.test.",
            "type": "A",
            "ttl": 60,
            "records": [{"content": "10.1.0.10", "disabled": False}, {"content": "10.2.0.10", "disabled": True}],
            "comments": [{"content": "ask ada", "account": "ada", "modified_at": 1700000000}],
        },
        {"name": "*.wild.lab.test.", "type": "CNAME", "ttl": 5, "records": [{"content": "x.", "disabled": False}]},
    ],
}
DNS_SEED = dns.message.make_response(QUERY)
DNS_SEED.answer.append(dns.rrset.from_text("www.example.test.", 60, "IN", "A", "192.0.2.1", "192.0.2.2"))
DNS_SEED.answer.append(dns.rrset.from_text("example.test.", 60, "IN", "SOA", "a. b. 7 1 2 3 4"))

ROW: Mapping[str, Any] = {
    "in_recovery": False, "system_id": "7", "wal_timeline": "00000001", "received_tli": None, "receiver_state": None,
    "checkpoint_timeline": 1, "recovery_timeline": None, "version": "15.4 (Debian)", "started_at": 1.0,
    "address": "10.0.0.1", "port": 5432, "write_lsn": 1, "receive_lsn": None, "replay_lsn": None, "replay_pause": None,
    "replayed_at": None, "receiver": None, "clock": 1.0, "next_xid": 700, "activity": "[1, 0, null]",
    "privileged": True, "synchronous_standby_names": "", "synchronous_commit": "on", "senders": "[]", "slots": "[]",
    "sessions_limit": 90, "reads_files": False, "reads_wal": 0,
}  # fmt: skip

SLOW_ROW: Mapping[str, Any] = {
    "subscriptions": '[["s", "shop", true, "s", ["p"], false, 77, 3]]',
    "publications": '[["p", "shop", 3], ["every", "shop", null]]',
    "limits": '{"max_connections": "100"}', "apply_seconds": 0.0, "status_interval": 10.0, "restores": False,
    "archive_mode": "on", "archiver": '[1, 0, "01", "", false, 2.5]', "commits": '[["batch", null, "off"]]',
    "lists_archive": True, "follows": True, "has_target": False, "refuses_writes": False, "read_only": '["shop"]',
    "archives": True,
}  # fmt: skip
ETCD: Mapping[str, Any] = {
    "kvs": [{"key": "L3NlcnZpY2Uvc2hvcC9sZWFkZXI=", "value": "bjE=", "lease": "53377021791040261"}]
}


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def frames() -> tuple[bytes, ...]:
    views = fake_views.incident()
    made = [Differ(name).frame(view) for name, view in views.items()]
    more = ({"tick": {"mono": 1.0, "wall": 2.0}}, {"topic": "traffic", "failed": "TypeError"})
    return tuple(as_json(each) for each in (*made, *more) if each is not None)


SERVER = b"3 shop 1 blue 10.0.0.1 2 0 100 1 5 6 3 4 6 0 0 0 - 80 - 0 0 - - 0"
STAT = b"shop,blue,0,0,0,0,,0,0,0,,0,,0,0,0,0,UP,1,1,0,0,0,1,0,,1,3,1,,0,,2,0,,0,L4OK,,0,0,0,0,0,0,"


TABLE = (
    b"# table: web, type: string, size:100, used:1\n"
    b"0x55d0: key=abc\\ def use=0 exp=100 shard=0 server_id=1 server_key=a\n"
)
MAP = b"0x55 x.test web\n0x56 y web b\n\n"
FOUND = b'type=str, case=sensitive, found=yes, idx=tree, key="x", value="web"\n'


def haproxy_seed() -> bytes:
    info = b"Name: HAProxy\nVersion: 2.6.12\nPid: 7\nStart_time_sec: 1700000000\nnode: a\n"
    return info + b"\n1\n" + STATE_HEADER + b"\n" + SERVER + b"\n\n" + STAT_HEADER + b"\n" + STAT + b"\n\n"


MEMBER = {
    "name": "n1", "role": "leader", "state": "running", "api_url": "http://127.0.0.1:1/patroni", "host": "a", "port": 5,
    "timeline": 1, "lag": 0,
}  # fmt: skip
PATRONI = {
    "state": "running", "role": "primary", "postmaster_start_time": "2026", "server_version": 150004, "timeline": 1,
    "xlog": {"location": 100}, "database_system_identifier": "7", "dcs_last_seen": 1764000000, "members": [MEMBER],
    "patroni": {"version": "4.0", "scope": "shop", "name": "n1"}, "ttl": 30, "loop_wait": 10,
}  # fmt: skip
ALERT = {
    "labels": {"alertname": "Disk", "severity": "critical", "replica": "a"}, "annotations": {"summary": "full"},
    "startsAt": "2026-11-27T10:00:00Z", "updatedAt": "2026-11-27T10:00:00Z", "fingerprint": "0f", "id": "s1",
    "endsAt": "2026-11-28T10:00:00Z", "comment": "c", "createdBy": "u",
    "status": {"state": "suppressed", "silencedBy": ["s1"], "inhibitedBy": ["0f"], "mutedBy": ["x"]},
}  # fmt: skip
PROM = {"status": "success", "warnings": [], "data": {"resultType": "matrix", "up": [{"type": "gauge"}], "result": [
    {"metric": {"service": "shop"}, "values": [[1764000000.5, "2"], [1764000001.5, "NaN"]]},
    {"metric": {}, "value": [1, "1e3"]}]}}  # fmt: skip
PAGE = (
    b'# TYPE http_requests_total counter\nhttp_requests_total{service="shop",code="200",p="/a\\"b"} 1 1700000000000\n'
    b'{"http_requests_total",service="shop",code="500"} 2e3\nprocess_start_time_seconds 1.7e9\n'
    b'http_request_duration_seconds_bucket{service="shop",le="+Inf"} 1 # {trace="x"} 0.1\n# EOF\n'
)
CFG = (
    b"global\n  stats socket /run/h.sock mode 600 level admin\n  server-state-base /s\n  server-state-file a\n"
    b"defaults\n  mode http\n  load-server-state-from-file local\nbackend shop\n"
    b"  server-template s 1-3 app:80 check\n  server blue 10.0.0.1:80 check weight 10 backup\nlisten x\n bind *:1\n"
)
STATE = (
    b"1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_rest\n"
    + SERVER.replace(b" 2 0 100 1 ", b" 2 8 30 100 ")
    + b"\n"
)
PLAN = {
    "kind": "change",
    "change": "server.weight",
    "args": {"balancer": "edge", "weight": 1},
    "plan": "p",
    "typed": {},
}
ENTRY = (
    b'[1,"n",1700000000.5,1.5,"boot","ada","s1","run.started","","R-1","","00"]\n'
    b'{"words":"engine started","title":"t","steps":[]}'
)
LINE_SEED = b'{"hash":"%s","header":"[]","payload":"{}","salt":"%s","seq":1}\n' % (b"00" * 32, b"11" * 16)
CHECKPOINT = b'{"seq":1,"rules":"a","hash":"00","needs":{"a":[[1,1]]},"digest":"00"}'
PROBLEMS = b'{"kind":"config","problems":[["f",1,1,"v","e",""]],"exit_code":2}'
CLUSTER = {**PATRONI, "cluster": {"peers": [{"name": "a", "address": "b:1"}]}}
BACKUPS: Any = [{
    "name": "orders", "archive": [{"database": {"id": 1, "repo-key": 1}, "id": "15-1", "max": "", "min": ""}],
    "db": [{"id": 1, "repo-key": 1, "system-id": 7, "version": "15"}],
    "repo": [{"cipher": "none", "key": 1, "status": {"code": 0, "message": "ok"}}],
    "status": {"code": 0, "lock": {"backup": {"held": False}}, "message": "ok"},
    "backup": [{
        "archive": {"start": "000000010000000000000002", "stop": "000000010000000000000002"},
        "database": {"id": 1, "repo-key": 1}, "error": False, "label": "20261127-192324F", "reference": None,
        "lsn": {"start": "0/2000028", "stop": "0/2000100"}, "timestamp": {"start": 1, "stop": 2}, "type": "full",
    }],
}]  # fmt: skip
ARCHIVE = (
    b"wal 000000010000000000000002\nwal 00000002.history\nhistory 00000002.history 1 0/3000060 no recovery target\n"
    b"base 1795807409 START WAL LOCATION: 0/2000028 (file 000000010000000000000002) { "
    b'"WAL-Ranges": [ { "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000100" } ], } in b1\nbare b2\n'
)
DUMPED = b"12 rmgr: Transaction desc: COMMIT 2026-11-27 19:23:31.982139 UTC; inval msgs"
HISTORY = b'[[1, 25623960, "no recovery target"]]'
GZIP = gzip.compress(b"hello", mtime=0)
SENDERS = as_json({
    "senders": '[["a","b","c",1,2,3,0.5,4,77,0,true,"TLSv1.3","TLS_AES_256_GCM_SHA384",false]]',
    "activity": "[3, 1, 1764000000.5]",
    "slots": '[["a","physical",true,1,"reserved",null,null,77,null,null,false,null,false,false,null]]',
    "receiver": '["n1","10.0.0.2",5432,"n1",7,1764000000.5]',
})  # fmt: skip

NODE_CHECK = b""""Node name","n2"
"Node ID","2"
"Server role","CRITICAL","node is registered as standby but running as primary"
"Replication slots","OK"
"""
MONITOR_ROW = {
    "health": 1, "node_id": 1, "group_id": 0, "nodehost": "localhost", "nodename": "n1", "nodeport": 5501,
    "reported_lsn": "0/4000678", "reported_tli": 1, "candidate_priority": 50, "replication_quorum": True,
    "current_group_state": "primary", "assigned_group_state": "wait_primary",
}  # fmt: skip
LOCAL_ROW = {
    "node_id": 1, "nodename": "n1", "current_group_state": "maintenance", "assigned_group_state": "maintenance",
    "timeline": 1, "reachable": "good",
}  # fmt: skip

VERSION = b'{"digest": "sha256:%s", "version": "v41", "commit": "1a2b", "started": 1700000000}' % (b"1" * 64)
VERSION_METRICS = b'build_info{digest="sha256:%s",version="v41"} 1\nprocess_start_time_seconds 1.7e9\n' % (b"1" * 64)
