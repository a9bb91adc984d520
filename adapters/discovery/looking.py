"""How an address is asked: the time each question may take, certificates to trust, and who is told of each step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.net.answers_read import read_json
from adapters.net.http_client import Reply
from adapters.net.http_read import HttpReader
from state.diagnosis.tls import tls_way_out
from state.discovery.found import Unreached
from state.errors import ReadFailure, Trouble

DEADLINE = 5.0
"""Seconds for one question; nobody waits for a long row of them, since they are asked at once."""
MOST_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Looking:
    """How to ask. `ca` is a file of certificates as the estate will name it, relative to its folder `base`."""

    deadline: float = DEADLINE
    ca: str = ""
    base: Path = Path()
    tell: Callable[[str], None] = lambda line: None

    @property
    def ca_file(self) -> Path | None:
        """The file itself."""
        return self.base / self.ca if self.ca else None

    def reader(self, url: str) -> HttpReader:
        """A reader without any credential. Raises ValueError for what is no address."""
        return HttpReader(url, ca=self.ca_file, headers={"Accept": "application/json", "Cache-Control": "no-cache"})


async def answer_of(reader: HttpReader, path: str, looking: Looking) -> Reply | None:
    """Any answer below 500 and 503, which Patroni gives of members that do not run; None for another one. Raises
    ReadFailure when none came."""
    reply = await reader.fetch(path, deadline=looking.deadline)
    return reply if reply.status < 500 or reply.status == 503 else None


def as_json(reply: Reply | None) -> Any:
    """The JSON of an answer, None where it is no JSON."""
    try:
        return None if reply is None else read_json(reply.body)
    except ValueError:
        return None


def unreached(address: str, error: ReadFailure) -> Unreached:
    """Why an address gave nothing, with the way out that fits the reason."""
    return Unreached(address, error.trouble, error.message, _way_out(error))


def _way_out(error: ReadFailure) -> str:
    message = error.message
    if way_out := tls_way_out(message, "--ca FILE"):
        return way_out
    if "Permission denied" in message:
        return "a right to the socket: its group, or `mode 660 group NAME` on the line stats socket"
    if "No such file" in message:
        return (
            "the path on the line `stats socket` of haproxy.cfg; where HAProxy runs in a chroot, as seen from outside"
        )
    ways = {
        Trouble.DENIED: "it asks for a credential, which recovery init never sends: write this entry by hand",
        Trouble.TIMEOUT: "see that this host may reach it, then --update",
        Trouble.UNREACHABLE: "see that it runs and that this host may reach it, then --update",
    }
    return ways.get(error.trouble, "")
