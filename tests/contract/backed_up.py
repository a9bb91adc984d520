"""A PostgreSQL server with a pgBackRest repository and a plain archive, its ledger of commits, and restores of it."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from adapters.backups.asking import StoreAsked
from adapters.commands.command import LocalPlace, OwnCommand
from adapters.concealed import Concealed
from adapters.databases.postgres_descent import parse_lsn
from state.estate.backups import BackupsEntry
from tests.contract.components import as_user_argv, postgres_with_tls
from tests.support.ports import free_port

STANZA = "orders"


@dataclass(frozen=True)
class LedgerRow:
    """One commit of the client: its number, when by the server's clock it was begun, and how far WAL was after it."""

    number: int
    at: float
    lsn: int


@dataclass
class BackedUp:
    """One server, archived to both stores."""

    place: Path
    port: int = field(default_factory=free_port)
    bin: Path = field(default_factory=postgres_with_tls)
    ledger: list[LedgerRow] = field(default_factory=list)

    def run(self, *argv: str | Path, check: bool = True) -> str:
        """Run a tool to its end, as an account that PostgreSQL takes."""
        done = subprocess.run(
            as_user_argv(*argv), check=False, capture_output=True, text=True, timeout=180, cwd=self.place
        )
        assert not check or done.returncode == 0, f"{argv}: {done.stdout} {done.stderr}"
        return done.stdout

    def sql(self, query: str, port: int | None = None) -> str:
        return self.run(
            self.bin / "psql", "-h", self.place, "-p", str(port or self.port), "-U", "postgres", "-XAtqc", query
        ).strip()

    def rest(self, *argv: str, check: bool = True) -> str:
        return self.run("pgbackrest", f"--config={self.config}", f"--stanza={STANZA}", *argv, check=check)

    @property
    def config(self) -> Path:
        return self.place / "pgbackrest.conf"

    def make(self) -> None:
        """The server, running, with both archives and a table."""
        self.run(self.bin / "initdb", "-D", self.place / "pg", "-U", "postgres", "-A", "trust", "-E", "UTF8",
                 "--locale=C", "--no-sync", "--wal-segsize=1")  # fmt: skip
        for name in ("repo", "lock", "spool", "wal", "base", "log"):
            (self.place / name).mkdir()
        self.config.write_text(
            f"[global]\nrepo1-path={self.place}/repo\nlock-path={self.place}/lock\nspool-path={self.place}/spool\nlog-path={self.place}/log\n"
            f"log-level-file=off\nlog-level-console=error\nstart-fast=y\nrepo1-retention-full=9\n"
            f"[{STANZA}]\npg1-path={self.place}/pg\npg1-socket-path={self.place}\npg1-port={self.port}\n"
            "pg1-user=postgres\n"
        )
        push = f"pgbackrest --config={self.config} --stanza={STANZA} archive-push %p"
        copy = f"test ! -f {self.place}/wal/%f && cp %p {self.place}/wal/%f"
        with (self.place / "pg" / "postgresql.conf").open("a") as conf:
            conf.write(
                f"port={self.port}\nlisten_addresses=''\nunix_socket_directories='{self.place}'\nfsync=off\n"
                f"shared_buffers=16MB\nmax_wal_size=64MB\narchive_mode=on\narchive_command='{push} && {copy}'\n"
            )
        self.start("pg")
        self.rest("stanza-create")
        self.sql("create table ledger (number int primary key, pad text)")

    def start(self, name: str) -> None:
        self.run(self.bin / "pg_ctl", "-D", self.place / name, "-w", "-t", "120", "-l",
                 self.place / f"{name}.log", "start")  # fmt: skip

    def stop(self, name: str) -> None:
        self.run(self.bin / "pg_ctl", "-D", self.place / name, "-m", "immediate", "stop", check=False)

    def write(self, count: int = 3) -> None:
        """Commits, each with its time and position, then a segment that is archived."""
        for _ in range(count):
            number = len(self.ledger) + 1
            at = self.sql("select extract(epoch from clock_timestamp())")
            self.sql(f"insert into ledger values ({number}, repeat('x', 1000))")
            self.ledger.append(LedgerRow(number, float(at), parse_lsn(self.sql("select pg_current_wal_lsn()"))))
            time.sleep(0.05)
        self.switch()

    def switch(self) -> str:
        """End the segment and wait until it is archived; its name."""
        name = self.sql("select pg_walfile_name(pg_switch_wal())")
        for _ in range(600):
            if self.sql(f"select coalesce(last_archived_wal, '') >= '{name}' from pg_stat_archiver") == "t":
                return name
            time.sleep(0.1)
        raise AssertionError(f"{name} was not archived: {self.sql('select pg_stat_archiver from pg_stat_archiver')}")

    def base(self, label: str) -> None:
        """A plain base backup."""
        self.run(self.bin / "pg_basebackup", "-D", self.place / "base" / label, "-h", self.place, "-p",
                 str(self.port), "-U", "postgres", "-c", "fast", "-X", "none", "--no-sync")  # fmt: skip

    def restored(self, lines: tuple[str, ...], folder: Path) -> list[int]:
        """Carry out printed lines, start what they made on a port of its own, and read which commits it has."""
        folder.mkdir(mode=0o700)
        for line in lines:
            self.run("sh", "-c", line)
        port = free_port()
        with (folder / "postgresql.auto.conf").open("a") as conf:
            conf.write(f"port={port}\n")
        try:
            self.start(folder.name)
            for _ in range(600):
                if self.sql("select pg_get_wal_replay_pause_state()", port) == "paused":
                    break
                time.sleep(0.1)
            assert self.sql("select current_setting('archive_mode')", port) == "off", "a scratch copy must not archive"
            workers = self.sql("select current_setting('max_logical_replication_workers')", port)
            assert workers == "0", "a scratch copy must not read from the slots of production's subscriptions"
            return [int(each) for each in self.sql("select number from ledger order by 1", port).split()]
        finally:
            self.stop(folder.name)
            shutil.rmtree(folder)

    def asked(self) -> StoreAsked:
        return StoreAsked(OwnCommand("backups of orders", LocalPlace(self.place, (), {}), (0,), Concealed(())))

    def entry(self, kind: str) -> BackupsEntry:
        dump = str(self.bin / "pg_waldump")
        if kind == "archive":
            return BackupsEntry(kind="archive", wal=f"{self.place}/wal", base=f"{self.place}/base", waldump=dump)
        return BackupsEntry(
            kind="pgbackrest", stanza=STANZA, waldump=dump, command=("pgbackrest", f"--config={self.config}")
        )
