"""State files that nobody's program wrote: what is said of a reload is never more than what HAProxy takes of them."""

from __future__ import annotations

import random
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL

import pytest

from adapters.balancers import haproxy_state
from state.errors import ReadFailure
from tests.contract.components import answers, haproxies, wait_for
from tests.contract.haproxy_sections import HEAD
from tests.contract.state_files import asked

SERVERS = """
global
  server-state-file {state}
defaults
  load-server-state-from-file global
backend shop
  server blue 127.0.0.1:1001 weight 100
  server green 127.0.0.1:1002 weight 50
  server off 127.0.0.1:1003 weight 0
  server out 127.0.0.1:1004 disabled
backend other
  server blue 127.0.0.1:1001 check inter 60s weight 7
"""
FILES = 120
"""Files for each HAProxy. 2,000 of them were tried."""
NUMBERS = (
    *("0", "1", "2", "3", "4", "5", "8", "9", "16", "32", "64", "96", "255", "256", "257", "99999999999999999999"),
    *("-1", "+1", "007", "0x1", "1e1", "x", "30x", "-", "30", "++", "é"),
)
ENDS = ("\r", " ", "  ", "\0", "\x1b[31m", "; set server shop/blue weight 1", " " + "y" * 3000, " - -")


def told(program: Path, folder: Path, content: bytes) -> bytes:
    """`show servers state` of a process that begins with a file."""
    state, way = folder / "state", folder / "s"
    state.write_bytes(content)
    (folder / "h.cfg").write_text((HEAD + SERVERS).format(socket=way, state=state))
    with subprocess.Popen([program, "-db", "-f", folder / "h.cfg"], stdout=DEVNULL, stderr=DEVNULL) as process:
        try:
            wait_for(lambda: answers(way))
            return asked(way, "show servers state").lstrip(b"\n")
        finally:
            process.kill()
            way.unlink(missing_ok=True)


def changed(row: bytes, chance: random.Random, *, wild: bool) -> bytes:
    """A row with other settings; a wild one often with something that no HAProxy would write."""
    fields = row.decode().split(" ")
    fields[7], fields[6] = chance.choice(["30", "10", "100", fields[7]]), chance.choice(["0", "1", "4", "5", "8"])
    if not wild:
        return " ".join(fields).encode()
    for _ in range(chance.choice([0, 0, 0, 1, 2])):
        place = chance.choice([0, 2, *range(4, len(fields))])
        fields[place] = chance.choice(NUMBERS)
    line, what = " ".join(fields), chance.random()
    if what < 0.06:
        return " ".join(fields[: chance.randint(1, len(fields) - 1)]).encode()
    if what < 0.12:
        return (chance.choice([" ", "#"]) + line).encode()
    if what < 0.18:
        return line.replace(" ", chance.choice(["  ", "\t"]), chance.choice([1, 30])).encode()
    return (line + (chance.choice(ENDS) if what < 0.24 else "")).encode()


def file_of(head: list[bytes], rows: list[bytes], chance: random.Random) -> bytes:
    made = [*rows, *(chance.choice(rows) for _ in range(chance.choice([0, 0, 1, 2])))]
    wild = chance.random() < 0.6
    lines = [*head, *(changed(row, chance, wild=wild and chance.random() < 0.5) for row in made)]
    what = chance.random()
    if what < 0.05:
        lines[0] = chance.choice([b"2", b"", b" 1", b"01", b"x"])
    between = b"\r\n" if 0.05 < what < 0.1 else b"\n"
    return between.join(lines) + (b"" if 0.1 < what < 0.2 else between)


@contextmanager
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rs-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.mark.parametrize("name", haproxies())
def test_nothing_is_called_kept_that_haproxy_does_not_take(name: str) -> None:
    """What is predicted of each server is what the process has, or what is configured."""
    program, chance, right, refused = haproxies()[name], random.Random(75), 0, 0
    with place() as folder:
        plain = told(program, folder, b"")
        empty = haproxy_state.present_in(plain).rows
        assert haproxy_state.rows_in(plain) == {}, "HAProxy's own rows are understood"
        head, rows = plain.split(b"\n")[:2], plain.rstrip(b"\n").split(b"\n")[2:]
        for number in range(FILES):
            content = file_of(head, rows, chance)
            now = haproxy_state.present_in(told(program, folder, content)).rows
            try:
                kept = haproxy_state.rows_in(content)
            except ReadFailure:
                refused += 1
                continue
            for key, row in empty.items():
                assert row.after_reload(kept.get(key), row.begun) == now[key].now, (number, key, content)
                right += key in kept
    assert right > FILES, "and much is understood"
    assert refused > FILES / 4
