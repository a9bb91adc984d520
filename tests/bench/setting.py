"""What every benchmark is given: sizes, a scratch folder, cores to pin to, and the peers found."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

N = TypeVar("N", int, float)
ROOT = Path(__file__).parents[2]
PYTHON = sys.executable


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of what is measured and the core of the servers it talks to; the same one when there is no second."""

    measured: int
    servers: int

    @classmethod
    def found(cls) -> Cores:
        allowed = sorted(os.sched_getaffinity(0))
        return cls(allowed[-1], allowed[0])

    @property
    def shared(self) -> bool:
        return self.measured == self.servers

    @contextlib.contextmanager
    def on_measured(self) -> Iterator[None]:
        """This process on its own core for a while."""
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {self.measured})
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)


@dataclass(frozen=True, slots=True)
class Peers:
    """Programs measured beside the product. Each is looked for, never assumed; `why` says what is missing."""

    folder: Path

    @classmethod
    def default_folder(cls) -> Path:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(cache) / "recovery-bench"

    def program(self, name: str) -> str | None:
        """A program on PATH, or in the peers' own environment."""
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", str(self.folder / "venv" / "bin")])
        return shutil.which(name, path=path)

    def why(self, name: str) -> str:
        return f"{name} is not installed here: `python -m tests.bench --install-peers`, or the distribution's package"

    def install(self) -> None:
        """pg_activity and dolphie into an environment of their own, and from the distribution what dolphie watches.

        Raises subprocess.CalledProcessError when PyPI does not give them.
        """
        venv = self.folder / "venv"
        subprocess.run([PYTHON, "-m", "venv", venv], check=True)
        pip: list[str | Path] = [venv / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "pg_activity[psycopg]", "dolphie"], check=True)
        if self.program("mariadbd") is None and os.geteuid() == 0 and shutil.which("apt-get"):
            # The core packages hold the programs without a service, which would start by itself.
            quiet, env = ["apt-get", "-qq"], {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            wanted = ["--yes", "--no-install-recommends", "mariadb-server-core", "mariadb-client-core"]
            subprocess.run([*quiet, "update"], env=env, check=False)
            subprocess.run([*quiet, "install", *wanted], env=env, stdout=subprocess.DEVNULL, check=False)


@dataclass(frozen=True, slots=True)
class Setting:
    """One run of the benchmarks."""

    full: bool
    scratch: Path
    peers: Peers
    cores: Cores

    def pick(self, full: N, reduced: N) -> N:
        """A size."""
        return full if self.full else reduced

    def folder(self, name: str) -> Path:
        """A new folder; the path stays short, because Unix sockets have at most 107 bytes."""
        path = self.scratch / name
        path.mkdir(mode=0o755)
        return path
