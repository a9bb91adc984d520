"""The two listening sockets: open, serve, close."""

from __future__ import annotations

import asyncio
import contextlib
import grp
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aiohttp import web

from adapters.api_server.accepting import Accepting
from adapters.api_server.accounts import ACCOUNTS
from adapters.api_server.answers import errors_as_json
from adapters.api_server.callers import standing_of
from adapters.api_server.dropping import drop_overdue
from adapters.api_server.room import IDLE, Room, Standing
from adapters.api_server.routes import ROUTES, STREAM, Route, Side
from adapters.api_server.throttle import Throttle
from state.api.service import EngineService
from state.errors import ConfigError, Problem

BODY_LIMIT = 64 * 1024
PATH_LIMIT = 100  # bytes; the kernel takes 107, see unix(7), and a temporary name must fit too
ENDING = 0.5  # seconds open streams get when the engine ends
WHO = 0.7  # seconds a request waits for the name of its account, once; without it, it is a stranger's
BACKLOG = 1024  # connections the kernel keeps until they are accepted


@dataclass(frozen=True, slots=True)
class Sockets:
    """Where the sockets are. `group` opens `engine.sock` to one group of accounts beside the engine's own."""

    runtime: Path
    group: str = ""

    @property
    def engine(self) -> Path:
        return self.runtime / "engine.sock"

    @property
    def observe(self) -> Path:
        return self.runtime / "observe.sock"


class ApiServer:
    """Serves an `EngineService` on both sockets. Start once, stop once."""

    def __init__(self, service: EngineService, sockets: Sockets) -> None:
        self._service = service
        self.sockets = sockets
        self._doors: list[_Door] = []
        self._watching: asyncio.Task[None] | None = None
        self.streams = 0

    async def start(self) -> None:
        """Open both sockets. Raises ConfigError for an invalid path or group, OSError from the kernel."""
        gid = _group(self.sockets.group) if self.sockets.group else None
        ACCOUNTS.expect(self._service.accounts())
        await self._open(self.sockets.engine, 0o600 if gid is None else 0o660, gid, read_only=False)
        await self._open(self.sockets.observe, 0o666, None, read_only=True)
        self._watching = asyncio.create_task(drop_overdue([door.room for door in self._doors]), name="late")

    def lost(self) -> list[Path]:
        """The sockets that were removed or replaced: nobody reaches the engine through them any more."""
        return [door.path for door in self._doors if not door.in_place()]

    async def reopen(self) -> None:
        """Make the lost sockets anew; connections that are open stay. Raises OSError from the kernel."""
        for door in self._doors:
            if not door.in_place():
                door.listen()

    async def stop(self) -> None:
        """Close both, end the streams, remove the sockets."""
        if self._watching is not None:
            self._watching.cancel()
        for door in self._doors:
            door.close()
        for door in self._doors:
            await door.runner.cleanup()
        self._doors.clear()

    async def _open(self, path: Path, mode: int, gid: int | None, *, read_only: bool) -> None:
        app = web.Application(middlewares=[errors_as_json], client_max_size=BODY_LIMIT)
        room = Room()
        side = Side(self._service, read_only, room, Throttle(room, os.getuid()))
        for route in ROUTES:
            if not (read_only and route.acts):
                app.router.add_route(route.method, route.path, partial(self._serve, route, side))
        runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=ENDING,
            keepalive_timeout=IDLE,
            auto_decompress=False,  # what is small on the wire stays small
        )
        await runner.setup()
        assert runner.server is not None, "a runner that was set up has a server"
        standing = partial(standing_of, service=self._service)
        self._doors.append(door := _Door(path, mode, gid, runner, room, standing))
        door.listen()

    async def _serve(self, route: Route, side: Side, request: web.Request) -> web.StreamResponse:
        streams = route.path == STREAM
        self.streams += streams
        side.room.begin(request.protocol)
        try:
            if (seat := side.room.seat(request.protocol)) is not None:
                await ACCOUNTS.known(seat.uid, WHO)
            if not (route.stops and side.seat(request).acts):
                await side.admit(request)
            return await route.serve(side, request)
        finally:
            side.room.end(request.protocol)
            self.streams -= streams


@dataclass(slots=True)
class _Door:
    """One socket with what serves on it. It may be made anew under the same path."""

    path: Path
    mode: int
    gid: int | None
    runner: web.AppRunner
    room: Room
    standing: Callable[[int], Standing]
    accepting: Accepting | None = None
    inode: int = 0

    def listen(self) -> None:
        made = bind(self.path, self.mode, self.gid)
        if self.accepting is not None:
            self.accepting.close()
        self.inode = self.path.stat().st_ino
        made.setblocking(False)
        made.listen(BACKLOG)
        assert self.runner.server is not None, "a runner that was set up has a server"
        self.accepting = Accepting(made, self.room, self.runner.server, self.standing)
        self.accepting.start()

    def in_place(self) -> bool:
        try:
            return self.path.stat().st_ino == self.inode
        except OSError:
            return False

    def close(self) -> None:
        if self.accepting is not None:
            self.accepting.close()
        if self.in_place():  # what another program has put there is not ours to remove
            self.path.unlink(missing_ok=True)


def bind(path: Path, mode: int, gid: int | None = None) -> socket.socket:
    """A listening Unix socket that never has a wider mode than asked, not even for a moment.

    A socket left by an engine that died is replaced; the caller holds the estate's lock. Raises ConfigError
     when the path is too long for the kernel, OSError when it cannot be made.
    """
    if len(os.fsencode(path)) > PATH_LIMIT:
        raise ConfigError(
            (Problem(str(path), 0, 0, f"{len(os.fsencode(path))} bytes", f"a socket path of at most {PATH_LIMIT}"),)
        )
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o177)
    try:
        listening.bind(str(path))
        if gid is not None:
            os.chown(path, -1, gid)
        path.chmod(mode)
    except OSError:
        listening.close()
        raise
    finally:
        os.umask(umask)
    return listening


def _group(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise ConfigError((Problem("--group", 0, 0, name, "a group of this host"),)) from error
