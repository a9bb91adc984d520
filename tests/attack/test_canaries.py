"""More than twenty secrets in every kind of place where an estate can have one: none is seen anywhere else.

The engine is a process of its own, and everything that it reaches says again what it was sent. Looked at are the bytes
of a terminal with a console on it, every verb's output, the log, the journal and all that lies beside it, exports,
bundles, metrics, and what the kernel shows of the processes; then the engine is ended by signals that leave traces.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import resource
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from console.engine.log import JsonLines
from state.errors import RecoveryError
from tests.support.canaries import Aviary, files_below, processes_below
from tests.support.parrot import Parrot, parrot
from tests.support.ports import free_port
from tests.support.real_engine import RealEngine, engine_home, folder
from tests.support.verb_server import ROOT
from tests.terminal.ptys import Terminal

SHELL = "/bin/sh"
VERBS = (
    "status", "status --json", "check", "check --json", "check --connect", "check --connect --json", "db show",
    "traffic show", "run list", "run show R-1", "runbook list", "runbook show loud", "journal tail", "journal verify",
    "engine status", "approvals list", "access list", "release list",
)  # fmt: skip


def estate(place: Path, at: int, birds: Aviary) -> dict[str, Any]:
    """An estate that names a secret wherever one can be named; every address is the parrot's."""
    url, env = f"http://127.0.0.1:{at}", birds.new
    spy = [SHELL, "-c", 'echo "$WORD"; echo "it was $WORD" >&2; exit 1']
    cleared = {"file": str(place / "secret-cmd")}
    (place / "secret-cmd").write_text(birds.new("command"))
    (place / "secret-cmd").chmod(0o600)
    file = birds.file
    call: dict[str, Any] = {"url": f"{url}/hook", "body": {"x": 1}, "timeout": "3s"}
    env("env"), env("act-env")
    return {
        "estate": "aviary",
        "environment": "lab",
        "sites": {"east": {}},
        "people": {"u1": {"accounts": [str(os.getuid())], "roles": ["commander"]}},
        "services": {"shop": {"tier": 1, "rto": "5m", "rpo": "1MB"}},
        "databases": {
            "orders": {
                "kind": "patroni", "scope": "orders", "tls": "loopback", "rpo": "1MB",
                "user": "r", "password": file("postgres", place),
                "act_user": "a", "act_password": {"env": "CANARY_ACT"}, "access": {},
                "api_user": "p", "api_password": {"command": ["/bin/cat", cleared["file"]]},
                "store": {"etcd": [url], "user": "e", "password": file("etcd", place)},
                "nodes": {"n1": {"site": "east", "postgres": f"127.0.0.1:{at}", "api": url}},
            }
        },
        "zones": {
            "one.example": {
                "kind": "powerdns", "url": url, "api_key": file("powerdns", place), "servers": [f"127.0.0.1:{at}"],
            },
            "two.example": {
                "kind": "rfc2136", "servers": [f"127.0.0.1:{at}"],
                "key": {"name": "k", "secret": file("tsig", place, encoded=True)},
            },
        },
        "monitors": {
            "prom": {"kind": "prometheus", "url": url, "token": file("bearer", place)},
            "prom2": {"kind": "prometheus", "url": url, "user": "u", "password": file("basic", place)},
            "am2": {"kind": "alertmanager", "url": url, "token": file("bearer-alerts", place)},
            "am": {"kind": "alertmanager", "url": url, "user": "u", "password": {"env": "CANARY_ENV"}},
        },
        "anchors": {
            "notary": {"kind": "http", "url": f"{url}/anchor", "token": file("anchor-http", place)},
            "vault": {
                "kind": "postgres", "address": f"127.0.0.1:{at}", "user": "anchors", "tls": "plain",
                "password": file("anchor-postgres", place),
            },
        },
        "commands": {
            "spy": {"argv": spy, "secrets": {"WORD": file("command-env", place)}, "timeout": "5s"},
            "late": {"argv": [SHELL, "-c", 'sleep 3; echo "$WORD"'], "secrets": {"WORD": file("command-late", place)}},
        },
        "http_calls": {
            "hook": {**call, "secret_headers": {"Authorization": file("call-header", place)}},
            "basic": {**call, "secret_headers": {"X-Api-Key": file("call-key", place)}},
        },
        "sql_calls": {
            "mark": {
                "database": "orders", "user": "s", "password": file("statement", place),
                "statement": "update t set n = 1", "record": "effects",
            }
        },
        "checks": {
            "page": {"http": {"url": f"{url}/page", "secret_headers": {"X-Token": file("check-header", place)},
                              "pass": {"status": [200]}}},
            "session": {
                "every": "30s",
                "stale_after": "2m",
                "session": {
                    "login": f"{url}/login",
                    "secret_fields": {"password": file("session", place)},
                    "accept": {"here": f"{url}/me"},
                    "pass": {"status": [200]},
                },
            },
        },
        "runbooks": [],
        "policies": {"confirm": {"arm": "20ms"}, "anchors": {"every": "5s"}},
    }  # fmt: skip


@dataclass
class Cage:
    """An engine with its canaries, and what was seen so far."""

    engine: RealEngine
    birds: Aviary
    parrot: Parrot
    metrics: int
    seen: dict[str, bytes]

    async def start(self) -> None:
        """Start the engine, which alone has the variables."""
        named = {"CANARY_ENV": self.birds.named["env"], "CANARY_ACT": self.birds.named["act-env"]}
        os.environ.update(named)
        try:
            await self.engine.start(metrics=self.metrics)
        finally:
            for name in named:
                del os.environ[name]

    def verb(self, *words: str) -> None:
        """Run a verb and keep what it says."""
        argv = [sys.executable, "-m", "console.cli", *words, "--estate", str(self.engine.place.file)]
        done = subprocess.run(argv, capture_output=True, cwd=ROOT, check=False, timeout=120)
        self.seen[" ".join(words)] = done.stdout + b"\n" + done.stderr
        assert b"Traceback" not in done.stderr, done.stderr.decode()

    def watch(self, run: str) -> None:
        """What the kernel shows of the processes now; a command's own variable is where its secret is sent."""
        assert self.engine.process is not None
        for name, raw in processes_below(self.engine.process.pid).items():
            own = [each for each in raw.split(b"\0") if not each.startswith(b"WORD=")]
            self.seen[f"{name} in {run}"] = b"\0".join(own)

    def keys(self) -> None:
        """The private keys of seals are canaries too: each is in its own file alone."""
        for path in self.engine.place.journal.with_suffix(".keys").glob("period-*"):
            if path.suffix != ".pub":
                self.birds.named[path.name] = seed_of(path.read_text())
                self.seen = {name: raw for name, raw in self.seen.items() if name != str(path)}

    def judge(self) -> None:
        """None of them is in anything that was seen."""
        self.look()
        self.keys()
        found = self.birds.hits(self.seen)
        assert not found, "\n".join(found)

    def look(self) -> None:
        """Keep what the files and the kernel show."""
        place = self.engine.place
        self.seen |= files_below(place.state, place.runtime, place.file.parent)
        if self.engine.process is not None:
            self.seen |= processes_below(self.engine.process.pid)


def seed_of(private: str) -> str:
    """The base64 of what is private in an OpenSSH key: everything else in it is the same in signatures."""
    text = "".join(private.split("\n")[1:-2])
    raw = base64.b64decode(text)
    public = raw[raw.index(b"ssh-ed25519") + 15 :][:32]
    at = raw.rindex(public) - 32
    return text[-(-at // 3) * 4 :][:36]


@contextmanager
def caged() -> Iterator[Cage]:
    with folder() as place, parrot() as bird:
        birds = Aviary()
        with engine_home(estate(place, bird.port, birds)) as engine:
            yield Cage(engine, birds, bird, free_port(), {})


OWN = (
    ("command.run", {"command": "spy"}), ("command.run", {"command": "late"}),
    ("http.call", {"call": "hook"}), ("http.call", {"call": "basic"}), ("sql.call", {"statement": "mark"}),
)  # fmt: skip
"""Everything of one's own, once each."""


async def acted(cage: Cage) -> int:
    """Send everything of one's own; how many runs there were."""
    runs = 0
    for kind, args in OWN:
        try:
            run = await cage.engine.act(kind, **args)
        except RecoveryError as refused:
            cage.seen[f"{kind} {args}"] = f"{refused} {refused!r}".encode()
            continue
        runs += 1
        async with asyncio.timeout(60):
            while (await cage.engine.row(run)).state.value not in ("done", "failed", "paused", "stopped", "unknown"):
                cage.watch(run)
                await asyncio.sleep(0.2)
    return runs


def on_terminal(cage: Cage) -> bytes:
    """What a console writes to its terminal: every screen, the list of causes, the help."""
    argv = [sys.executable, "-m", "console.cli", "console", "--estate", str(cage.engine.place.file)]
    with Terminal(argv, size=(120, 40), env={"HOME": str(cage.engine.place.runtime)}) as terminal:
        terminal.wait("live", 30)
        cage.seen |= {f"console {name}": raw for name, raw in processes_below(terminal.process.pid).items()}
        for key in (*"123456789", "!", "\x1b", "A", "\x1b", "?", "\x1b", "1", "\r", "\x1b"):
            terminal.press(key)
            terminal.read(0.6)
        return terminal.received


async def test_no_secret_is_seen_anywhere_but_where_it_is_sent() -> None:
    with caged() as cage:
        await cage.start()
        await asyncio.sleep(4)
        assert await acted(cage) >= 3
        cage.seen["terminal"] = on_terminal(cage)
        for words in VERBS:
            await asyncio.to_thread(cage.verb, *words.split())
        export, bundle = cage.engine.place.file.parent / "out.ndjson", cage.engine.place.file.parent / "out.tar"
        await asyncio.to_thread(cage.verb, "journal", "export", "-o", str(export))
        await asyncio.to_thread(cage.verb, "journal", "export", "--bundle", "--since", "1h", "-o", str(bundle))
        page = await asyncio.to_thread(urllib.request.urlopen, f"http://127.0.0.1:{cage.metrics}/metrics")
        cage.seen["metrics"] = page.read()
        assert export.stat().st_size > 1000
        cage.judge()
        assert len(cage.birds.named) >= 20
        sent = {name for name, word in cage.birds.named.items() if word.encode() in cage.parrot.heard}
        assert len(sent) >= 11, "what was never sent could not come back"


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV])
async def test_an_engine_that_crashes_leaves_no_secret(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONFAULTHANDLER", "1")
    with caged() as cage:
        await cage.start()
        await asyncio.sleep(2)
        assert cage.engine.process is not None
        limits = Path("/proc", str(cage.engine.process.pid), "limits").read_text()
        assert "Max core file size        0                    0" in limits
        cage.engine.process.send_signal(number)
        assert await cage.engine.died() == -number
        said = (cage.engine.place.file.parent / "engine.err").read_bytes()
        assert b"Fatal Python error" in said, "it crashed with a trace"
        cage.judge()


async def test_an_engine_without_memory_leaves_no_secret() -> None:
    with caged() as cage:
        await cage.start()
        await asyncio.sleep(3)
        assert cage.engine.process is not None
        pid = cage.engine.process.pid
        size = int(Path("/proc", str(pid), "statm").read_text().split()[0]) * resource.getpagesize()
        resource.prlimit(pid, resource.RLIMIT_AS, (size, size))
        for _ in range(4):
            if not cage.engine.alive:
                break
            try:
                await asyncio.wait_for(cage.engine.act("command.run", command="spy"), 2)
            except (RecoveryError, TimeoutError, OSError):
                await asyncio.sleep(0.1)
        said = cage.engine.place.log.read_bytes() + (cage.engine.place.file.parent / "engine.err").read_bytes()
        assert b"MemoryError" in said or b"memory" in said or not cage.engine.alive, "the limit was met"
        cage.judge()


async def test_a_defect_whose_locals_are_secrets_is_told_without_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The trace in the log has lines of the program and no values."""
    log = logging.getLogger("recovery.canary")
    birds = Aviary()

    def fails(_secret: str) -> None:
        raise ZeroDivisionError("a defect")

    try:
        fails(birds.new("local"))
    except ZeroDivisionError:
        log.exception("it failed")
    line = JsonLines().format(caplog.records[-1])
    assert "ZeroDivisionError" in line
    assert birds.hits({"log": line.encode()}) == []
