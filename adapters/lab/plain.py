"""PostgreSQL without a manager: a primary, and a standby that streams from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from adapters.lab.cluster import SQL_ERRORS
from adapters.lab.errors import LabError
from adapters.lab.files import write_private
from adapters.lab.render import HBA, OWN, SHARED
from adapters.lab.targets import Bench


async def set_up(bench: Bench, report: Callable[[str, str], None]) -> None:
    """Make and start the first node as the primary, then each other one as a copy of it. Raises LabError."""
    first, *others = bench.topology.nodes
    report(first, "starting")
    await _initialise(bench, first)
    await bench.start_server(first)
    try:
        [[secret]] = await bench.cluster.query(first, "select quote_literal($1::text)", bench.credentials.replication)
        await bench.cluster.query(first, f"create role replication login replication password {secret}")
    except SQL_ERRORS as error:
        raise LabError(f"{first}: the role for replication was not made: {type(error).__name__}: {error}") from error
    for name in others:
        report(name, "starting")
        await bench.copy_node(name)
        await bench.start_server(name)


async def _initialise(bench: Bench, name: str) -> None:
    data = bench.data_of(name)
    secret = write_private(bench.topology.root / "superuser-password", bench.credentials.superuser + "\n")
    options = (
        "-U",
        "superuser",
        "--pwfile",
        str(secret),
        "-A",
        "scram-sha-256",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
    )
    await bench.tool("initdb", "-D", str(data), *options, "--no-sync")
    _configure(data)


def _configure(data: Path) -> None:
    file = data / "postgresql.conf"
    settings = "".join(f"{name} = '{value}'\n" for name, value in {**SHARED, **OWN}.items())
    write_private(file, file.read_text(encoding="utf-8") + settings)
    write_private(data / "pg_hba.conf", "\n".join(HBA) + "\n")
