"""A real Patroni cluster of two nodes, for the session: how it is made, and when it stands still."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from adapters.context import AdapterContext
from adapters.databases.patroni import PatroniCluster
from adapters.databases.patroni_options import PatroniOptions
from state.errors import ReadFailure
from state.estate.model import SecretRef
from tests.contract.components import PASSWORD, as_user_argv, postgres_bin
from tests.support.ports import free_port

NODE = """
scope: orders
name: {name}
restapi:
  listen: 127.0.0.1:{api}
  connect_address: 127.0.0.1:{api}
  authentication: {{username: rec, password: {password}}}
raft:
  data_dir: {place}/{name}/raft
  self_addr: 127.0.0.1:{raft}
  partner_addrs: ["127.0.0.1:{partner}", "127.0.0.1:{witness}"]
bootstrap:
  dcs: {{ttl: 20, loop_wait: 1, retry_timeout: 3, maximum_lag_on_failover: 4194304}}
  initdb: [{{encoding: UTF8}}, {{locale: C}}, no-sync]
  post_init: {place}/post_init
postgresql:
  listen: 127.0.0.1:{postgres}
  connect_address: 127.0.0.1:{postgres}
  data_dir: {place}/{name}/data
  bin_dir: {bin}
  pgpass: {place}/{name}/pgpass
  parameters: {{unix_socket_directories: {place}, fsync: "off", shared_buffers: 16MB, wal_log_hints: "on"}}
  basebackup: [no-sync, {{checkpoint: fast}}]
  authentication:
    superuser: {{username: postgres, password: {password}}}
    replication: {{username: replication, password: {password}}}
    rewind: {{username: rewind, password: {password}}}
  pg_hba:
    - local all all trust
    - host all all 127.0.0.1/32 scram-sha-256
    - host replication all 127.0.0.1/32 scram-sha-256
"""
WITNESS = """
raft:
  data_dir: {place}/w/raft
  self_addr: 127.0.0.1:{witness}
  partner_addrs: ["127.0.0.1:{r1}", "127.0.0.1:{r2}"]
"""
POST_INIT = f"""#!/bin/sh
{{bin}}/psql "$1" -qc "create role recovery login password '{PASSWORD}' in role pg_monitor"
"""


@dataclass(frozen=True)
class Member:
    name: str
    postgres: int
    api: int
    raft: int


@dataclass(frozen=True)
class Live:
    """Two members and a witness, each in a session of its own."""

    place: Path
    members: tuple[Member, ...]
    processes: list[subprocess.Popen[bytes]]


def patroni(program: str, config: Path, log: Path) -> subprocess.Popen[bytes]:
    argv = as_user_argv(sys.executable, "-m", program, str(config))
    with log.open("ab") as said:
        return subprocess.Popen(argv, stdout=said, stderr=said, start_new_session=True)


@contextmanager
def live_patroni(folder: Path) -> Iterator[Live]:
    """The cluster below a folder; it is ended with the context."""
    place = Path(tempfile.mkdtemp(dir=folder))
    members = tuple(Member(name, free_port(), free_port(), free_port()) for name in ("n1", "n2"))
    witness = free_port()
    script = place / "post_init"
    script.write_text(POST_INIT.format(bin=postgres_bin()))
    script.chmod(0o700)
    running = Live(place, members, [])
    try:
        for member, other in zip(members, reversed(members), strict=True):
            (place / member.name).mkdir()
            config = place / f"{member.name}.yml"
            config.write_text(
                NODE.format(
                    name=member.name,
                    api=member.api,
                    raft=member.raft,
                    partner=other.raft,
                    witness=witness,
                    postgres=member.postgres,
                    place=place,
                    bin=postgres_bin(),
                    password=PASSWORD,
                )
            )
        (place / "w").mkdir()
        witness_file = place / "w.yml"
        witness_file.write_text(WITNESS.format(place=place, witness=witness, r1=members[0].raft, r2=members[1].raft))
        running.processes.append(patroni("patroni.raft_controller", witness_file, place / "w.log"))
        for member in members:
            running.processes.append(patroni("patroni", place / f"{member.name}.yml", place / f"{member.name}.log"))
        yield running
    finally:
        end(running)


def end(running: Live) -> None:
    """Patroni first, so that it starts nothing again; then the postmasters."""
    for process in running.processes:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for member in running.members:
        lock = running.place / member.name / "data" / "postmaster.pid"
        if lock.exists():
            try:
                os.kill(int(lock.read_text().split()[0]), signal.SIGQUIT)
            except ProcessLookupError:
                continue


def entry_of(live: Live, context: AdapterContext) -> PatroniOptions:
    """The cluster as an estate has it; its secrets are written into the folder of the estate."""
    for name in ("postgres", "patroni"):
        (context.base / name).write_text(PASSWORD)
        (context.base / name).chmod(0o600)
    nodes = {
        member.name: {
            "site": "east",
            "postgres": f"127.0.0.1:{member.postgres}",
            "api": f"http://127.0.0.1:{member.api}",
        }
        for member in live.members
    }
    return PatroniOptions(
        kind="patroni",
        scope="orders",
        user="recovery",
        password=SecretRef(file="postgres"),
        tls="loopback",
        api_user="rec",
        api_password=SecretRef(file="patroni"),
        nodes=nodes,
    )


async def settled(database: PatroniCluster) -> tuple[str, str]:
    """(leader, replica) once one leads and the other streams."""
    said = ""
    for _ in range(300):
        try:
            readings = [await database.read_member(node, deadline=2) for node in database.nodes]
            servers = [await database.read_node(node, deadline=2) for node in database.nodes]
        except ReadFailure as failure:
            said = failure.message
        else:
            roles = {reading.role: reading.node for reading in readings}
            said = str(roles)
            if set(roles) == {"primary", "replica"} and any(s.receiver_state == "streaming" for s in servers):
                return roles["primary"], roles["replica"]
        await asyncio.sleep(0.1)
    raise AssertionError(f"never settled: {said}")


async def close(database: PatroniCluster) -> None:
    for node in database.nodes:
        await database.close_node(node)
        await database.close_member(node)
