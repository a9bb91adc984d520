"""A PowerDNS Authoritative Server on SQLite with its API, and zones that take updates as well."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.contract.components import listens, wait_for
from tests.support.ports import free_port

API_KEY = "an-api-key-of-the-contract"
SCHEMA = Path("/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql")
CONFIGURATION = """
launch=gsqlite3
gsqlite3-database={root}/zones.db
gsqlite3-pragma-synchronous=0
local-address=127.0.0.1
local-port={port}
socket-dir={root}
daemon=no
guardian=no
api=yes
api-key={key}
webserver=yes
webserver-address=127.0.0.1
webserver-port={api}
webserver-allow-from=127.0.0.1
dnsupdate=yes
allow-dnsupdate-from=127.0.0.0/8
allow-axfr-ips=127.0.0.0/8
cache-ttl={cache}
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=0
{more}
"""


@dataclass(frozen=True)
class RunningPdns:
    """Where it answers DNS, and its API."""

    root: Path
    port: int
    api: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """Until it answers."""
        program = shutil.which("pdns_server", path="/usr/sbin:/usr/bin")
        assert program is not None, "the contract suite needs pdns-server and pdns-backend-sqlite3"
        with (self.root / "log").open("ab") as said:
            argv = [program, f"--config-dir={self.root}"]
            self.processes.append(subprocess.Popen(argv, stdout=said, stderr=said))
        wait_for(lambda: listens(self.port) and listens(self.api))
        time.sleep(0.05)

    def kill(self) -> None:
        """Its records are kept for the next start."""
        self.processes[-1].kill()
        self.processes[-1].wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.api}"

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One request to the API, past every adapter."""
        request = urllib.request.Request(f"{self.url}/api/v1/servers/localhost/zones{path}", method=method)
        request.add_header("X-API-Key", API_KEY)
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(request, data, timeout=5) as answer:
            said = answer.read()
        return json.loads(said) if said else None

    def sets(self, name: str) -> dict[str, Any]:
        """The sets of a name as the API has them, by type."""
        rows = self.ask("GET", "/lab.test.")["rrsets"]
        return {row["type"]: row for row in rows if row["name"] == f"{name}.lab.test."}

    def patch(self, *rrsets: Any) -> None:
        self.ask("PATCH", "/lab.test.", {"rrsets": list(rrsets)})

    def tool(self, *argv: str) -> None:
        subprocess.run(["pdnsutil", f"--config-dir={self.root}", *argv], check=True, capture_output=True, timeout=30)


def rrset(name: str, kind: str, ttl: int, *values: str, off: tuple[str, ...] = (), note: str = "") -> dict[str, Any]:
    """A set as a PATCH has it; `off` are values that are kept and not answered."""
    records = [{"content": v, "disabled": False} for v in values] + [{"content": v, "disabled": True} for v in off]
    row = {"name": f"{name}.lab.test.", "type": kind, "ttl": ttl, "changetype": "REPLACE", "records": records}
    return {**row, **({"comments": [{"content": note, "account": "ada", "modified_at": 1700000000}]} if note else {})}


@contextmanager
def running_pdns(kind: str = "Native", edits: str = "DEFAULT", cache: int = 0, more: str = "") -> Iterator[RunningPdns]:
    """A server with the zone lab.test and nothing in it but its name server."""
    root = Path(tempfile.mkdtemp(prefix="rc-pdns-", dir="/tmp"))
    running = RunningPdns(root, free_port(), free_port())
    text = CONFIGURATION.format(
        root=root, port=running.port, api=running.api, key=API_KEY, cache=cache, more=more.format(root=root)
    )
    (root / "pdns.conf").write_text(text)
    subprocess.run(["sqlite3", root / "zones.db"], input=SCHEMA.read_bytes(), check=True, timeout=30)
    try:
        running.start()
        zone = {"name": "lab.test.", "kind": kind, "nameservers": ["ns.lab.test."], "soa_edit_api": edits}
        running.ask("POST", "", zone)
        running.patch(rrset("ns", "A", 60, "127.0.0.1"))
        yield running
    finally:
        running.kill()
        shutil.rmtree(root, ignore_errors=True)
