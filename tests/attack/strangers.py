"""Another account for attacks: folders of its own, and processes that run as it. Only root can make them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STRANGER = 47_011
"""An account that has nothing here, and no name."""
ROOT = os.geteuid() == 0


def give_away(path: Path) -> Path:
    """Make a path the stranger's, with everything in it."""
    for each in (path, *path.rglob("*")):
        os.chown(each, STRANGER, STRANGER, follow_symlinks=False)
    return path


@contextmanager
def as_stranger(code: str, *argv: str) -> Iterator[subprocess.Popen[str]]:
    """A program that becomes the stranger with `become()` and then says `ready`; ended afterwards.

    It begins as root: the interpreter may lie where the stranger cannot go.
    """
    program = [sys.executable, "-I", "-c", BECOME + textwrap.dedent(code), *argv]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, cwd="/") as it:
        try:
            assert it.stdout is not None
            assert it.stdout.readline() == "ready\n"
            yield it
        finally:
            it.kill()


BECOME = f"""
import os
def become():
    os.setgroups([])
    os.setgid({STRANGER})
    os.setuid({STRANGER})
"""
FAKE_ENGINE = """
    import socket, sys
    from http.server import BaseHTTPRequestHandler, HTTPServer
    class Door(BaseHTTPRequestHandler):
        def answer(self):
            with open(sys.argv[2], "a") as told:
                told.write(self.path + "\\n")
            body = b'{"value": ["fake"]}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        do_GET = do_POST = answer
        def log_message(self, *_): pass
        def address_string(self): return ""
    class Server(HTTPServer):
        address_family = socket.AF_UNIX
        def server_bind(self):
            self.socket.bind(self.server_address)
            self.server_name = self.server_port = ""
    become()
    server = Server(sys.argv[1], Door)
    print("ready", flush=True)
    server.serve_forever()
"""
"""Serves on a socket (first argument) and writes down what is asked (second)."""
