"""The engine's own process for tests: on an estate of its own folder, started, killed, asked through its socket."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from ruamel.yaml import YAML

from adapters.lab.client import LabClient
from adapters.lab.options import LabOptions
from console.client.engine_client import EngineClient
from console.engine.control import listens
from console.places import of_file
from state.api.card import Card
from state.api.requests import PlanChange, PlanRequest, Submission
from state.api.views.runbooks import RunbooksView, RunRow, StepRow
from state.journal.events import Recorded
from state.journal.format import Sealed, unseal, verify
from tests.lab_fixture import running_lab

START_LIMIT = 90.0
SETTLED = ("done", "not-done", "failed", "stopped", "skipped")
"""What a step ends as once everything is known about it."""

Tree = dict[str, Any]


def read_estate(file: Path) -> Tree:
    """An estate file as plain data."""
    return dict(YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8")))


SECRETS = {"password": "postgres", "act_password": "ops", "api_password": "patroni"}
"""Which file of the lab has what a database of its estate names."""


def lab_estate(lab: LabClient, *sections: str) -> Tree:
    """The lab's estate as data, confirmed quickly; with `sections`, only these of what it watches and acts on.

    Without all of them the lab's runbooks do not fit, so then there are none.
    """
    tree = read_estate(lab.estate)
    tree["policies"] = {"confirm": {"arm": "20ms", "plan_expires": "2m"}, "second_person": [], "delivery": "1s"}
    for database in tree["databases"].values():
        database["checkpoint"] = "1s"
        for key in SECRETS.keys() & database.keys():
            database[key] = {"file": str(lab.directory / "secrets" / SECRETS[key])}
    for zone in tree["zones"].values():
        zone["key"]["secret"] = {"file": str(lab.directory / "secrets" / "tsig")}
    if sections:
        tree["runbooks"] = []
        for section in {"services", "databases", "balancers", "zones", "monitors"} - set(sections):
            tree[section] = {}
    for section, key in (("databases", "releases"), ("monitors", "metrics")):
        for service in tree["services"].values() if not tree[section] else ():
            service.pop(key, None)
    for command in tree["commands"].values():
        command["services"] = [name for name in command.get("services", ()) if name in tree["services"]]
    for service in tree["services"].values():
        service["depends_on"] = [d for d in service["depends_on"] if d in tree["services"] or d in tree["databases"]]
    return tree


_SHARED: list[tuple[LabClient, ExitStack]] = []
_USERS: list[object] = []


def older_server() -> Path | None:
    """The programs of the oldest PostgreSQL that the distribution has here."""
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return min((each.parent for each in found), key=lambda each: int(each.parent.name), default=None)


@contextmanager
def shared_lab(postgres: Path | None = None) -> Iterator[LabClient]:
    """The process's one full lab: started by its first user, taken down after its last. Its PostgreSQL is the one of
    `postgres`, a folder of programs, of `$RECOVERY_TEST_POSTGRES` where that is set, or the newest there is."""
    user = object()
    if not _SHARED:
        stack = ExitStack()
        place = stack.enter_context(folder())
        long = "long-name-" * 12  # a Unix socket in there would be too long
        asked = os.environ.get("RECOVERY_TEST_POSTGRES")
        options = LabOptions(postgres=Path(asked) if asked else postgres)
        _SHARED.append((stack.enter_context(running_lab(place / long, options)), stack))
    _USERS.append(user)
    client, stack = _SHARED[0]
    try:
        yield client
    finally:
        _USERS.remove(user)
        if not _USERS:
            _SHARED.clear()
            stack.close()


@contextmanager
def folder() -> Iterator[Path]:
    """A short temporary folder: Unix sockets have at most 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="re-", dir="/tmp"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class EngineProcess(Protocol):
    """A running engine as tests hold it: `subprocess.Popen`, or one of a nursery."""

    pid: int

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def kill(self) -> None: ...
    def send_signal(self, sig: int, /) -> None: ...


Starter = Callable[[Sequence[str], Mapping[str, str], Path], EngineProcess]
"""Starts an engine with arguments and an environment; what it says goes to a file."""


def as_program(argv: Sequence[str], environment: Mapping[str, str], said: Path) -> EngineProcess:
    """As people start it."""
    with said.open("wb") as saying:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "console.engine.process", *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=saying,
            env=environment,
            cwd="/",
        )


class RealEngine:
    """One estate's engine process and the console's way to it. The journal stays when the process is killed."""

    def __init__(self, home: Path, tree: Tree, starter: Starter = as_program) -> None:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (home / "LAB.json").write_text("{}")
        file = home / "estate.yaml"
        with file.open("w", encoding="utf-8") as out:
            YAML(typ="safe", pure=True).dump(tree, out)
        self.place = of_file(file, "test")
        self.client = EngineClient(str(self.place.engine))
        self.process: EngineProcess | None = None
        self._starter = starter
        self._said = home / "engine.err"

    async def start(self, point: str = "", metrics: int = 0) -> None:
        """Start it and wait until it serves; with `point` it will kill itself where that point is reached. `metrics`
        is the port of /metrics."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("RECOVERY_")}
        if point:
            environment["RECOVERY_FAULT_POINT"] = point
        argv = ["--estate", str(self.place.file), "--detached", "--metrics", str(metrics)]
        self.process = self._starter(argv, environment, self._said)
        end = time.monotonic() + START_LIMIT
        while not (self.place.index.exists() and listens(self.place)):
            assert self.process.poll() is None, f"the engine ended: {self._said.read_text()}"
            assert time.monotonic() < end, f"the engine does not serve: {self._said.read_text()}"
            await asyncio.sleep(0.03)

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    async def died(self, seconds: float = 30.0) -> int:
        """Wait until the process has ended; its return code (minus the signal)."""
        assert self.process is not None
        end = time.monotonic() + seconds
        while (code := self.process.poll()) is None:
            assert time.monotonic() < end, "the engine is still alive: the fault did not bite"
            await asyncio.sleep(0.02)
        self.place.index.unlink(missing_ok=True)
        return code

    def kill(self) -> None:
        """SIGKILL, at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.place.index.unlink(missing_ok=True)

    def end(self) -> None:
        """SIGTERM and wait; the journal is closed in order."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)

    async def plan(self, request: PlanRequest) -> Card:
        """Preview; the card is armed when this returns."""
        card = await self.client.preview(request)
        await asyncio.sleep(card.confirmation.arm + 0.01)
        return card

    async def submit(self, card: Card) -> str:
        """Confirm a card with everything it asks to be typed; the run's id."""
        submission = Submission(card.plan, card.fingerprint, card.confirmation.typed)
        accepted = await self.client.submit(submission)
        return accepted.run

    async def act(self, kind: str, **args: Any) -> str:
        """Plan and submit one change; the run's id."""
        return await self.submit(await self.plan(PlanChange(kind, args)))

    async def row(self, run: str) -> RunRow:
        """A run as people see it."""
        view: RunbooksView = await self.client.view("runbooks")
        return view.runs[run]

    async def step(self, run: str) -> StepRow:
        """The newest step instance of a run of one step."""
        view: RunbooksView = await self.client.view("runbooks")
        mine = [s for s in view.steps.values() if s.run == run]
        return max(mine, key=lambda s: (s.index, s.instance))

    async def settled(self, run: str, seconds: float) -> RunRow:
        """Wait until a run has ended or waits for people, with nothing in doubt; its row."""
        row = await self.row(run)

        async def still() -> bool:
            nonlocal row
            row = await self.row(run)
            return row.state in ("done", "failed", "stopped", "paused", "waiting")

        await until(still, seconds, lambda: f"{run} is {row.state}: {row.message}")
        return row

    def entries(self, after: int = 0) -> list[Recorded]:
        """What is durable in the journal now, read past the engine; only what follows an entry, if named."""
        return [unseal(entry) for entry in self.sealed(after)]

    def sealed(self, after: int = 0) -> list[Sealed]:
        """The journal's entries as stored."""
        with closing(sqlite3.connect(f"file:{self.place.journal}?mode=ro", uri=True, timeout=5)) as db:
            query = "SELECT seq, header, hash, salt, payload FROM entries WHERE seq > ? ORDER BY seq"
            rows = db.execute(query, (after,)).fetchall()
        return [Sealed(*row) for row in rows]

    def kinds(self, run: str = "") -> list[str]:
        """The kinds of the durable entries, of one run if named."""
        return [e.kind for e in self.entries() if not run or e.event.run == run]

    def chain(self) -> str:
        """What is wrong with the stored chain, or nothing."""
        return verify(self.sealed()).problem


async def until(holds: Callable[[], Awaitable[bool]], seconds: float, message: Callable[[], str] | str = "") -> float:
    """Wait until something holds; the seconds it took."""
    began = time.monotonic()
    while not await holds():
        took = time.monotonic() - began
        assert took < seconds, message() if callable(message) else message or f"it does not hold after {seconds:.0f} s"
        await asyncio.sleep(0.05)
    return time.monotonic() - began


SHARED_ENGINES: list[RealEngine] = []
"""Engines that the tests of a module share."""


@contextmanager
def engine_home(tree: Tree, starter: Starter = as_program) -> Iterator[RealEngine]:
    """An engine, not yet started, in a folder of its own; killed and gone afterwards.

    No two engines act at one place: the one that tests of a module share ends before, and starts again for the next.
    """
    for shared in SHARED_ENGINES:
        shared.end()
    with folder() as path:
        engine = RealEngine(path, tree, starter)
        try:
            yield engine
        finally:
            engine.kill()
