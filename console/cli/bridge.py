"""`recovery bridge`: one connection to the engine's socket over stdin and stdout.

ssh starts it on the remote host for `--host`. It first says that it has reached the engine (`READY`). The remote
engine sees the account that ssh logged in.
"""

from __future__ import annotations

import os
import select
import socket

import click

from console.cli.reach import estate_option, socket_of
from console.client.engine_errors import EngineUnreachable
from console.client.far import READY
from console.client.peer import connect_engine
from console.places import find, no_engine
from state.errors import ExitCode

CHUNK = 64 * 1024


@click.command(hidden=True)
@click.option("--observe", is_flag=True, help="Use the observers' socket.")
@estate_option
def bridge(estate: str | None, observe: bool) -> int:
    """Carry bytes between stdin and stdout and the engine's socket, until either side ends."""
    place = find(estate)
    path = socket_of(place, acting=False, observe=observe)
    try:
        engine = connect_engine(path)
    except OSError as error:
        gone = isinstance(error, FileNotFoundError | ConnectionRefusedError)
        raise EngineUnreachable(no_engine(place) if gone else f"{path}: {error.strerror}") from error
    with engine:
        os.write(1, READY)
        carry(engine, 0, 1)
    return ExitCode.DONE


def carry(engine: socket.socket, reading: int, writing: int) -> None:
    """Copy both ways until the engine closes or stdout is closed.

    The end of stdin is not passed on: an HTTP server treats a half-closed connection as lost.
    """
    waiting: list[int] = [engine.fileno(), reading]
    while engine.fileno() in waiting:
        ready, _, _ = select.select(waiting, [], [])
        if reading in ready:
            chunk = os.read(reading, CHUNK)
            if chunk:
                engine.sendall(chunk)
            else:
                waiting.remove(reading)
        if engine.fileno() in ready:
            chunk = engine.recv(CHUNK)
            if not chunk:
                return
            while chunk:
                chunk = chunk[os.write(writing, chunk) :]
