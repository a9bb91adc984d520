"""Stick tables of HAProxy at its runtime API: management guide, 9.3, `show table`.

Keys are addresses and cookies of people, so none leaves this module: what is kept of each is a digest that is of use in
this process only.
"""

from __future__ import annotations

import re
import secrets
from hashlib import blake2b

from state.errors import ReadFailure, Trouble
from state.world.balancer_parts import StickTable

LIST = "show table"
"""The command that lists all tables with their sizes."""
MOST = 5_000
"""Entries of a table that is read whole; a larger one is counted only."""
LONGEST = 4 << 20
"""Bytes of the answer about one table."""
_HEAD = re.compile(rb"# table: ([A-Za-z0-9_.:/-]{1,255}), type: [a-z0-9]{1,20},? .{0,80}\bused:([0-9]{1,9})")
_SIZE = re.compile(rb"\bsize:([0-9]{1,12})\b")
_SERVER = (b"server_key", b"server_name", b"server_id")
"""What says where an entry leads to, the best first."""
_NOBODY = (b"", b"-", b"0")
"""Of an entry that leads to no server: a counter made it, or nobody was chosen yet."""
_SALT = secrets.token_bytes(16)


def show(name: str) -> str:
    """The command that shows one table."""
    return f"show table {name}"


def used(answer: bytes) -> dict[str, int]:
    """How many entries each table has, by the answer to `show table`."""
    found = (_HEAD.match(line[:600]) for line in answer[:LONGEST].splitlines())
    return {each[1].decode(): int(each[2]) for each in found if each is not None}


def entries(name: str, answer: bytes) -> StickTable:
    """A table by the answer to `show table NAME`. Raises ReadFailure."""
    if len(answer) > LONGEST:
        raise ReadFailure(Trouble.ERROR, f"the table {name} is longer than {LONGEST >> 20} MiB")
    head, *lines = answer.strip().splitlines() or [b""]
    count = used(head).get(name)
    if count is None:
        said = head[:200].decode("utf-8", "replace")
        raise ReadFailure(Trouble.ERROR, f"HAProxy, asked for the table {name}: {said}")
    found = (_digest(line) for line in lines if line.startswith(b"0x"))
    size = _SIZE.search(head[:600].partition(b", type: ")[2])
    full = size is not None and count >= int(size[1])
    return StickTable(count, frozenset(each for each in found if each), full)


def _digest(line: bytes) -> str:
    """Of an entry's key and where it leads to; empty where that is nowhere."""
    rest = line.partition(b" key=")[2]
    key, _, values = rest.rpartition(b" use=")
    fields = dict(word.partition(b"=")[::2] for word in values.split())
    server = next((fields[name] for name in _SERVER if fields.get(name, b"") not in _NOBODY), b"")
    return blake2b(key + b"\0" + server, key=_SALT, digest_size=8).hexdigest() if server else ""
