"""Answers of Patroni as its versions give them: 3.0.2 still says `master` and knows only `lag`."""

from __future__ import annotations

from typing import Any

SYSTEM = "7443289212345678901"


def primary_302() -> dict[str, Any]:
    return {
        "state": "running",
        "postmaster_start_time": "2026-11-23 19:02:11.120000+00:00",
        "role": "master",
        "server_version": 150020,
        "xlog": {"location": 83886432},
        "timeline": 3,
        "replication": [
            {
                "usename": "replication",
                "application_name": "n2",
                "client_addr": "127.0.0.1",
                "state": "streaming",
                "sync_state": "async",
                "sync_priority": 0,
            }
        ],
        "dcs_last_seen": 1795460000,
        "database_system_identifier": SYSTEM,
        "patroni": {"version": "3.0.2", "scope": "orders"},
    }


def cluster_302() -> dict[str, Any]:
    return {
        "members": [
            member("n1", "leader", "running"),
            {**member("n2", "replica", "running"), "lag": 0},
            {**member("n3", "replica", "stopped"), "lag": "unknown"},
        ]
    }


def replica_41() -> dict[str, Any]:
    return {
        "state": "running",
        "postmaster_start_time": "2026-11-23 19:02:15.330000+00:00",
        "role": "replica",
        "server_version": 180006,
        "xlog": {
            "received_location": 83886432,
            "replayed_location": 83880000,
            "replayed_timestamp": None,
            "paused": False,
        },
        "quorum_standby": True,
        "timeline": 4,
        "replication_state": "streaming",
        "pause": True,
        "cluster_unlocked": True,
        "failsafe_mode_is_active": True,
        "dcs_last_seen": 1795460000,
        "database_system_identifier": SYSTEM,
        "patroni": {"version": "4.1.5", "scope": "orders", "name": "n1"},
    }


def cluster_41() -> dict[str, Any]:
    lags = {"receive_lag": 0, "receive_lsn": "0/5000060", "replay_lag": 16, "replay_lsn": "0/5000050"}
    unknown = dict.fromkeys(lags, "unknown")
    return {
        "members": [
            member("n0", "leader", "running"),
            {**member("n1", "quorum_standby", "streaming"), **lags, "lag": 16, "lsn": "0/5000060"},
            {**member("n2", "sync_standby", "streaming"), **lags, "lag": 0, "lsn": "0/5000060"},
            {**member("n3", "replica", "stopped"), **unknown, "lag": "unknown", "lsn": "unknown"},
        ],
        "scope": "orders",
        "pause": True,
    }


def member(name: str, role: str, state: str) -> dict[str, Any]:
    return {
        "name": name,
        "role": role,
        "state": state,
        "api_url": f"http://127.0.0.1:8008/{name}",
        "host": "127.0.0.1",
        "port": 5432,
        "timeline": 3,
    }
