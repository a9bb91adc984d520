"""Real places for anchors: rsyslog over TLS, TCP and a socket, PostgreSQL, a file behind sshd, HTTP."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from adapters.commands.command import command_at
from adapters.context import AdapterContext
from adapters.net.ssh import SshConnections
from adapters.registry import shipped
from state.estate.model import Polling
from state.ports.anchors import AnchorPlace
from tests.contract.components import PASSWORD, Pair, as_user_argv, free_port, listens, serving, wait_for
from tests.contract.web import canned
from tests.support.certificates import Authority
from tests.support.sshd import running_sshd

TABLE = """
create role audit_owner nologin;
create role recovery_anchors login password '{password}';
create table public.recovery_anchors (journal text, seq bigint, line text, primary key (journal, seq, line));
alter table public.recovery_anchors owner to audit_owner;
grant insert, select on public.recovery_anchors to recovery_anchors;
"""
RSYSLOG = """
global(workDirectory="{folder}" defaultNetstreamDriverCAFile="{ca}"
       defaultNetstreamDriverCertFile="{cert}" defaultNetstreamDriverKeyFile="{key}")
module(load="imtcp" {tls})
module(load="imuxsock" SysSock.Use="off")
input(type="imtcp" address="127.0.0.1" port="{port}")
input(type="imuxsock" Socket="{folder}/log" CreatePath="on" useSpecialParser="off" parseHostname="on")
template(name="raw" type="string" string="%rawmsg%\\n")
action(type="omfile" file="{folder}/messages" template="raw" flushInterval="1" asyncWriting="off" ioBufferSize="4k")
"""
TLS = 'StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon"'


@dataclass
class Place:
    """A place with its server: what that has, and how it is ended and held up."""

    place: AnchorPlace
    lines: Callable[[], list[bytes]]
    gone: Callable[[], None]
    hung: AnchorPlace


@contextmanager
def rsyslog(folder: Path, *, tls: bool) -> Iterator[tuple[int, Path, subprocess.Popen[bytes]]]:
    """A receiver: its port, the authority of its certificate, and its process."""
    authority, port = Authority(folder), free_port()
    issued = authority.issue("log.example")
    told = RSYSLOG.format(
        folder=folder, ca=authority.ca, cert=issued.cert, key=issued.key, port=port, tls=TLS if tls else ""
    )
    (folder / "rsyslog.conf").write_text(told)
    program = shutil.which("rsyslogd") or "/usr/sbin/rsyslogd"
    command = [program, "-n", "-f", folder / "rsyslog.conf", "-i", folder / "pid"]
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: listens(port) and (folder / "log").exists(), 60)
        yield port, authority.ca, process
    finally:
        process.kill()
        process.wait()


def built(kind: str, context: AdapterContext, **options: Any) -> AnchorPlace:
    module = shipped()["anchors", kind]
    entry = module.OPTIONS.model_validate({"kind": kind, **options})
    made: AnchorPlace = module.build("elsewhere", entry, context)
    return made


async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


@asynccontextmanager
async def syslog(folder: Path, how: str) -> AsyncIterator[Place]:
    context = AdapterContext(folder, Polling())
    with rsyslog(folder, tls=how == "tls") as (port, ca, process):
        about: dict[str, Any] = {"tls": "verify-full", "ca": str(ca)} if how == "tls" else {"tls": "plain"}
        address = str(folder / "log") if how == "socket" else f"127.0.0.1:{port}"

        def gone() -> None:
            process.kill()
            process.wait()
            (folder / "log").unlink(missing_ok=True)

        def lines() -> list[bytes]:
            messages = folder / "messages"
            return messages.read_bytes().splitlines() if messages.exists() else []

        full = folder / "full"
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nobody,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filling,
        ):
            nobody.bind(str(full))
            filling.setblocking(False)
            try:
                while True:
                    filling.sendto(b"x", str(full))
            except BlockingIOError:
                pass
            async with serving(says_nothing) as silent:
                hung = str(full) if how == "socket" else f"127.0.0.1:{silent}"
                yield Place(
                    built("syslog", context, address=address, **about),
                    lines,
                    gone,
                    built("syslog", context, address=hung, **about),
                )


@asynccontextmanager
async def table(folder: Path, pair: Pair) -> AsyncIterator[Place]:
    """A database server of its own; `gone` takes it away."""
    pair.psql(pair.primary, TABLE.format(password=PASSWORD))
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o600)
    context = AdapterContext(folder, Polling())
    about: dict[str, Any] = {"user": "recovery_anchors", "password": {"file": "password"}, "tls": "plain"}

    def gone() -> None:
        pair.psql(pair.primary, "alter table public.recovery_anchors rename to elsewhere")

    async with serving(says_nothing) as silent:
        place = built("postgres", context, address=f"127.0.0.1:{pair.primary}", **about)
        hung = built("postgres", context, address=f"127.0.0.1:{silent}", **about)
        yield Place(place, lambda: rows(pair), gone, hung)
    pair.psql(pair.primary, "drop owned by audit_owner cascade; drop owned by recovery_anchors cascade")
    pair.psql(pair.primary, "drop role audit_owner; drop role recovery_anchors")


def rows(pair: Pair) -> list[bytes]:
    command = [pair.bin / "psql", "-h", pair.place, "-p", str(pair.primary), "-U", "postgres", "-AtXc"]

    told = subprocess.run(
        as_user_argv(*command, "select line from public.recovery_anchors"), capture_output=True, check=True, timeout=60
    )
    return told.stdout.splitlines()


@asynccontextmanager
async def behind_ssh(folder: Path) -> AsyncIterator[Place]:
    (folder / "sshd").mkdir()
    with running_sshd(folder / "sshd") as server:
        async with serving(says_nothing) as silent:
            hosts = SshConnections({"other": server.host}, folder)
            others = SshConnections({"other": server.host.model_copy(update={"port": silent})}, folder)
            kept = folder / "anchors"
            about = {"host": "other", "path": str(kept)}
            made = built("file", with_hosts(folder, hosts), **about)
            hung = built("file", with_hosts(folder, others), **about)
            try:
                yield Place(made, lambda: lines_in(kept), partial(replaced, kept), hung)
            finally:
                await hosts.close()
                await others.close()


def with_hosts(folder: Path, hosts: SshConnections) -> AdapterContext:
    return AdapterContext(folder, Polling(), hosts=hosts, commands=partial(command_at, folder, hosts))


def lines_in(kept: Path) -> list[bytes]:
    return kept.read_bytes().splitlines() if kept.exists() else []


def replaced(kept: Path) -> None:
    """What takes lines there is gone."""
    kept.unlink()
    kept.mkdir()


@asynccontextmanager
async def endpoint(folder: Path) -> AsyncIterator[Place]:
    (folder / "token").write_text("t0ken-of-the-notary")
    (folder / "token").chmod(0o600)
    context = AdapterContext(folder, Polling())
    told: dict[str, tuple[int, Any] | bytes | None] = {"POST /anchors": (201, {"ok": True}), "POST /hangs": None}
    told["HEAD /anchors"] = (200, "")
    async with canned(told) as server:

        def lines() -> list[bytes]:
            asked = [(headers, body) for what, headers, body in server.asked if what == "POST /anchors"]
            assert all(headers["authorization"] == "Bearer t0ken-of-the-notary" for headers, _ in asked)
            return [json.dumps(json.loads(body), sort_keys=True, separators=(",", ":")).encode() for _, body in asked]

        def gone() -> None:
            server.answers["POST /anchors"] = (503, "not now: t0ken-of-the-notary")

        token = {"token": {"file": "token"}}
        made = built("http", context, url=f"{server.url}/anchors", **token)
        yield Place(made, lines, gone, built("http", context, url=f"{server.url}/hangs", **token))


KINDS = ("syslog tls", "syslog tcp", "syslog socket", "postgres", "file", "http")


@asynccontextmanager
async def place_of(kind: str, folder: Path, pair: Pair) -> AsyncIterator[Place]:
    """One of each kind."""
    made = {
        "postgres": lambda: table(folder, pair),
        "file": lambda: behind_ssh(folder),
        "http": lambda: endpoint(folder),
    }.get(kind, lambda: syslog(folder, kind.rsplit(maxsplit=1)[-1]))
    async with made() as place:
        yield place
