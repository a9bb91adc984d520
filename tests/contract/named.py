"""A BIND with a configuration and one zone file."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.contract.components import listens, wait_for
from tests.support.ports import free_port


@contextmanager
def running_named(configuration: str, zone: str, inside: str = "", **values: str) -> Iterator[int]:
    """The port where it answers. `configuration` has places for `root`, `port` and the values; `inside` is the zone
    of a second view."""
    program = shutil.which("named", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    assert program is not None, "the contract suite needs named (BIND 9)"
    root, port = Path(tempfile.mkdtemp(prefix="rc-dns-", dir="/tmp")), free_port()
    (root / "named.conf").write_text(configuration.format(root=root, port=port, **values))
    (root / "zone.db").write_text(zone)
    (root / "inside.db").write_text(inside)
    log = root / "log"
    with log.open("wb") as said:
        process = subprocess.Popen([program, "-g", "-c", root / "named.conf"], stdout=said, stderr=said)
    try:
        wait_for(lambda: b"all zones loaded" in log.read_bytes() and listens(port))
        yield port
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(root, ignore_errors=True)
