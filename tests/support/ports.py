"""Loopback ports for servers of tests that must be told a number before they start."""

from __future__ import annotations

import os
import socket
from itertools import count

from adapters.lab.topology import PORTS as OF_LABORATORIES

PORTS = range(10_000, OF_LABORATORIES.start)
"""Below the kernel's range for outgoing connections, one of which could take a number meanwhile, and below the
laboratory's."""
SLICES = 5
"""Processes of a test run that never try the same numbers."""

_tries = count(os.getpid() * 7)


def free_port() -> int:
    """A port that nobody has, each in turn: one comes again after all others. Raises OSError when all are taken."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % SLICES
    own = PORTS[worker::SLICES]
    for _ in own:
        port = own[next(_tries) % len(own)]
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        return port
    raise OSError("no port is free for a server of a test")
