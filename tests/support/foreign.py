"""Another account of this machine that attacks the engine's sockets. As root a real one; otherwise this one."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534
PREFIX = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
IS_ROOT = os.getuid() == 0

HOLD = """
import socket, sys, time
path, number, first = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode().decode("unicode_escape").encode()
held, refused = [], 0
for _ in range(number):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(5)
    try:
        s.connect(path)
        s.sendall(first)
        held.append(s)
    except OSError:
        refused += 1
print("ready", len(held), refused, flush=True)
sys.stdin.read()
"""
"""Opens connections, says a part of a request on each, and keeps them."""

FLOOD = """
import socket, sys, time
path, seconds, request = sys.argv[1], float(sys.argv[2]), sys.argv[3].encode().decode("unicode_escape").encode()
end, made, answered = time.monotonic() + seconds, 0, 0
print("ready", flush=True)
while time.monotonic() < end:
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(2)
    try:
        s.connect(path)
        made += 1
        s.sendall(request)
        answered += b" 200 " in s.recv(256)
    except OSError:
        pass
    s.close()
print(made, answered, flush=True)
"""
"""Connects and asks as fast as it can."""


@contextmanager
def foreign(program: str, *args: object) -> Iterator[subprocess.Popen[str]]:
    """A program of the other account; it has said that it is ready when this is entered, and is gone afterwards."""
    python = "/usr/bin/python3" if IS_ROOT and Path("/usr/bin/python3").exists() else sys.executable
    argv = [*(PREFIX if IS_ROOT else []), python, "-I", "-c", program, *map(str, args)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


async def said(process: subprocess.Popen[str]) -> list[str]:
    """The next line of a foreign program, in words."""
    assert process.stdout is not None
    return (await asyncio.to_thread(process.stdout.readline)).split()
