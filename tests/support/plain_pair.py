"""A real pair without a manager, each node in its own directory, and the scripts of its estate that act on them."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import SubprocessError
from typing import Any

from tests.contract.components import (
    PASSWORD,
    Pair,
    as_user,
    as_user_argv,
    kill_pair,
    make_primary,
    postgres_bin,
)
from tests.support.ports import free_port

GRANTS = f"""
create role ops login replication password '{PASSWORD}';
grant execute on function pg_promote(boolean, integer), pg_reload_conf(), pg_create_restore_point(text) to ops;
grant set, alter system on parameter primary_conninfo to ops;
grant pg_read_all_settings to ops;
grant execute on function pg_read_file(text, bigint, bigint, boolean) to recovery;
create table ledger (n int primary key);
"""
REJOIN = """
{bin}/pg_ctl -D {data} -m fast stop || true
{bin}/pg_rewind -D {data} --source-server="host=$1 port=$2 user=postgres dbname=postgres"
echo "primary_conninfo = 'host=$1 port=$2 user=postgres application_name=a'" >> {data}/postgresql.auto.conf
touch {data}/standby.signal
{start}
"""
REBUILD = """
{bin}/pg_ctl -D {data} -m immediate stop || true
mv {data} {data}.old
{bin}/pg_basebackup -D {data} -R -X stream -c fast --no-sync -d "host=$1 port=$2 user=postgres application_name=a"
{start}
rm -rf {data}.old
"""


class Servers:
    """Nodes a and b, later c, each in its own directory, and the scripts that act on them."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.ports = {"a": pair.primary, "b": pair.standby, "c": free_port()}

    def script(self, name: str, text: str) -> list[str]:
        """The arguments of a script that runs as the servers' account."""
        path = self.pair.place / name
        path.write_text(f"#!/bin/sh\nset -e\n{text}\n")
        path.chmod(0o700)
        return [str(each) for each in as_user_argv(path)]

    def start(self, name: str) -> str:
        options = f"-p {self.ports[name]} -k {self.pair.place} -c listen_addresses=127.0.0.1"
        log = self.pair.place / f"{name}.log"
        return f'{self.pair.bin}/pg_ctl -D {self.pair.place}/{name} -w -l {log} -o "{options}" start >/dev/null'

    def copy(self, of: str, name: str) -> None:
        as_user(
            self.pair.bin / "pg_basebackup", "-D", self.pair.place / name, "-R", "-X", "stream", "-c", "fast",
            "--no-sync", "-d",
            f"host=127.0.0.1 port={self.ports[of]} user=postgres application_name={name}",
        )  # fmt: skip
        self.pair.start(name, self.ports[name])

    def sql(self, name: str, text: str) -> None:
        self.pair.psql(self.ports[name], text)

    def again(self, name: str) -> None:
        """Start a server that stood still."""
        as_user("sh", "-c", self.start(name))

    def lose_slot(self, name: str) -> None:
        """A slot of a whose WAL is gone."""
        self.sql("a", f"select pg_create_physical_replication_slot('{name}', true)")
        self.sql("a", "alter system set max_slot_wal_keep_size = '1MB'")
        self.sql("a", "alter system set wal_keep_size = 0")
        self.sql("a", "select pg_reload_conf()")
        for _ in range(4):
            self.sql("a", "insert into ledger select coalesce(max(n), 0) + 1 from ledger")
            self.sql("a", "select pg_switch_wal()")
        self.sql("a", "checkpoint")

    def points_in_wal(self, name: str, point: str) -> int:
        """How often a restore point is in the WAL of a node, as pg_waldump reads it."""
        found = 0
        for each in sorted((self.pair.place / name / "pg_wal").glob("?" * 24)):
            argv = as_user_argv(self.pair.bin / "pg_waldump", "-r", "XLOG", each)
            done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)  # the last is not full
            found += sum(line.endswith(f"desc: RESTORE_POINT {point}") for line in done.stdout.splitlines())
        return found

    def commands(self) -> dict[str, Any]:
        """What the estate can do with node a."""
        program, data = self.pair.bin, self.pair.place / "a"
        given = {"bin": program, "data": data, "start": self.start("a")}
        text = {"host": {"kind": "text"}, "port": {"kind": "text"}}
        stopped = {"argv": self.script("look-a", f"{program}/pg_ctl -D {data} status"), "done": [3], "not_done": [0]}
        found: dict[str, Any] = {
            "stop-a": {"argv": self.script("stop-a", f"{program}/pg_ctl -D {data} -m immediate stop"), "read": stopped}
        }
        for name, script in (("rejoin-a", REJOIN), ("rebuild-a", REBUILD)):
            argv = [*self.script(name, script.format(**given)), "${host}", "${port}"]
            found[name] = {"argv": argv, "params": text, "timeout": "40s"}
        return found

    def database(self, *nodes: str, fenced: bool = True) -> dict[str, Any]:
        """The entry of the cluster."""
        place = self.pair.place
        for secret in ("recovery", "ops"):
            (place / secret).write_text(PASSWORD)
            (place / secret).chmod(0o600)
        entries: dict[str, Any] = {n: {"site": "east", "postgres": f"127.0.0.1:{self.ports[n]}"} for n in nodes}
        if fenced:
            entries["a"] |= {"fence": "stop-a", "rejoin": "rejoin-a", "rebuild": "rebuild-a"}
        return {
            "kind": "streaming", "user": "recovery", "password": {"file": str(place / "recovery")}, "act_user": "ops",
            "act_password": {"file": str(place / "ops")}, "tls": "loopback", "checkpoint": "1s", "nodes": entries,
        }  # fmt: skip


@contextmanager
def plain_pair(programs: Path | None = None) -> Iterator[Servers]:
    """Node a leads, b streams from it; both end with the context, and c with them. `programs`: of another version."""
    with tempfile.TemporaryDirectory(prefix="rp-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        made = Servers(make_primary(place, programs or postgres_bin()))
        hba = place / "a" / "pg_hba.conf"
        hba.write_text("host all postgres 127.0.0.1/32 trust\n" + hba.read_text())  # for pg_rewind
        made.sql("a", GRANTS)
        made.sql("a", "alter system set wal_keep_size = '64MB'")  # what pg_rewind needs
        made.sql("a", "select pg_reload_conf()")
        made.copy("a", "b")
        try:
            yield made
        finally:
            kill_pair(made.pair)
            with suppress(SubprocessError):
                made.pair.control("c", "-m", "immediate", "stop")
