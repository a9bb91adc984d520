"""A place to watch: estate files over real servers, the product's engine on them, and its console."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.pty_driver import Driven
from tests.bench.servers import haproxy, postgres, role, wait_until
from tests.bench.setting import PYTHON, ROOT
from tests.contract.components import PASSWORD, Pair
from tests.support.ports import free_port

RECOVERY = str(Path(PYTHON).parent / "recovery")
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Site:
    """One estate file with its own runtime and state directories."""

    folder: Path
    file: Path

    @property
    def env(self) -> dict[str, str]:
        """What keeps this site's engine apart from every other of this machine."""
        own = {"RUNTIME_DIRECTORY": str(self.folder / "run"), "STATE_DIRECTORY": str(self.folder / "state")}
        return {**os.environ, **own, "PYTHONPATH": str(ROOT)}

    @property
    def socket(self) -> Path:
        return self.folder / "run" / "engine.sock"

    @property
    def journal(self) -> Path:
        return self.folder / "state" / "journal.db"

    @property
    def command(self) -> list[str]:
        """The console as a person starts it."""
        return [RECOVERY, "console", "--estate", str(self.file)]

    @contextlib.contextmanager
    def engine(self) -> Iterator[Engine]:
        """The engine's process, serving; ended with SIGTERM."""
        metrics = free_port()
        argv: list[str | Path] = [
            PYTHON,
            "-P",
            "-m",
            "console.engine.process",
            "--estate",
            self.file,
            "--metrics",
            str(metrics),
        ]
        process = subprocess.Popen(argv, env=self.env, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            wait_until(lambda: self.socket.exists() or process.poll() is not None)
            if process.poll() is not None and process.stderr is not None:
                raise RuntimeError(f"the engine ended: {process.stderr.read().decode()[-800:]}")
            yield Engine(process.pid, metrics)
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stderr is not None:
                process.stderr.close()

    def console(self) -> Driven:
        return Driven(self.command, self.env)


@dataclass(frozen=True, slots=True)
class Engine:
    """A serving engine: its process and the port of its own metrics."""

    pid: int
    metrics: int


def database(nodes: Mapping[str, int], farm: int, scope: str) -> dict[str, Any]:
    """A cluster entry: PostgreSQL ports by node, and Patroni's answers from the farm."""
    return {
        "kind": "patroni",
        "scope": scope,
        "rpo": "1MB",
        "user": "recovery",
        "password": {"file": "secret"},
        "tls": "loopback",
        "nodes": {
            node: {
                "site": "here",
                "postgres": f"{LOOPBACK}:{port}",
                "api": f"http://{LOOPBACK}:{farm}/{scope}/{node}",
            }
            for node, port in nodes.items()
        },
    }


def pair_of(pair: Pair) -> dict[str, int]:
    return {"a": pair.primary, "b": pair.standby}


def write(
    folder: Path,
    name: str,
    databases: Mapping[str, Any],
    sockets: Sequence[Path],
    monitors: Mapping[str, Any],
    service: Mapping[str, Any],
) -> Site:
    """The estate file; JSON is YAML."""
    place = folder / name
    place.mkdir(mode=0o700)
    (place / "secret").touch(0o600)
    (place / "secret").write_text(PASSWORD)
    (place / "runbooks").mkdir()
    balancers = {
        f"edge-{i}": {"kind": "haproxy", "site": "here", "socket": str(each)} for i, each in enumerate(sockets)
    }
    tree = {
        "environment": "lab",
        "sites": {"here": {}},
        "people": {
            "you": {"accounts": [pwd.getpwuid(os.geteuid()).pw_name], "roles": ["commander", "responder"]},
        },
        "services": {"shop": {"tier": 1, "rto": "5m", "rpo": "1MB", "owners": ["you"], **service}},
        "databases": databases,
        "balancers": balancers,
        "monitors": monitors,
    }
    file = place / "estate.yaml"
    entries = "".join(f"{key}: {json.dumps(value)}\n" for key, value in tree.items())
    file.write_text(f"estate: {name}\n{entries}")
    return Site(place, file)


def engine_gone(site: Site) -> None:
    """End an engine that a console started behind itself."""
    subprocess.run([RECOVERY, "engine", "stop", "--estate", site.file], env=site.env, capture_output=True, check=False)
    end = time.monotonic() + 10
    while (site.folder / "run" / "engine.json").exists() and time.monotonic() < end:
        time.sleep(0.02)


@contextlib.contextmanager
def small_site(folder: Path, name: str = "small", *, still: bool = False) -> Iterator[tuple[Site, Pair]]:
    """Two PostgreSQL servers and one HAProxy with two servers, one service over them; all healthy.

    Its rate moves with every reading, unless `still`.
    """
    farm = free_port()
    place = folder / f"{name}-servers"
    place.mkdir(mode=0o755)
    with (
        role("farm", farm, 1),
        haproxy(place, 1, 2, to=(farm,)) as balancer,
        postgres() as pair,
    ):
        databases = {"orders": database(pair_of(pair), farm, "orders")}
        url = f"http://{LOOPBACK}:{farm}{'/still' if still else ''}"
        prometheus = {"prom": {"kind": "prometheus", "url": url}}
        yield write(folder, name, databases, [balancer.runtime], prometheus, shop_on("edge-0")), pair


def shop_on(balancer: str) -> dict[str, Any]:
    """The service of every site: its traffic, its database and its metrics."""
    return {
        "depends_on": ["orders"],
        "traffic": {
            "balancers": [balancer],
            "backend": "be000",
            "floor": 1,
            "colours": {"srv000": "v41", "srv001": "v42"},
        },
        "metrics": {"monitors": ["prom"], "service": "service-1"},
    }
