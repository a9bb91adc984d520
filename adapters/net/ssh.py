"""One kept connection per host, by OpenSSH's own client.

A master connection (`ssh -M -N`) is a child of this process and ends with it. What is done on the host goes through its
socket and never makes a connection of its own: commands by `argv`, streams by `forward`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from adapters.files.programs import program_of
from adapters.net.child_process import ends_with_this_process
from adapters.net.socket_folder import SocketFolder
from state.errors import ConfigError, ReadFailure, Trouble
from state.estate.hosts import SshHost
from state.host.trust import require_ours
from state.shell_words import for_a_forced_command, for_any_shell
from state.text import clean

LONGEST_SOCKET = 88
"""OpenSSH binds its control socket under a longer name first, and the kernel takes 107 bytes."""
LOOK = 0.02
GRACE = 2.0
FORWARD_LIMIT = 5.0
KEPT_ERROR = 4096
LONGEST_REASON = 400
ALWAYS = (
    "BatchMode=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "EscapeChar=none",
    "RequestTTY=no",
    "UpdateHostKeys=no",
    "LogLevel=ERROR",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
    "StreamLocalBindMask=0177",
    "StreamLocalBindUnlink=yes",
    "SendEnv=RECOVERY_EFFECT",
)
"""Said on the command line, so that no configuration file can say otherwise."""


class SshConnection:
    """A kept connection to one host. `sockets` are private to this process; relative files start at `base`."""

    def __init__(self, name: str, host: SshHost, sockets: SocketFolder, base: Path) -> None:
        self.name, self.host = name, host
        self._sockets, self._base = sockets, base
        self._key = hashlib.sha256(name.encode()).hexdigest()[:12]
        self._master: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()
        self._forwards: dict[str, str] = {}

    def argv(self, remote: Sequence[str], sign: str = "") -> list[str]:
        """The local command that runs a command on the host over the kept connection. A `sign` is the first line of its
        output, unless the host takes forced commands.

        Each argument reaches the remote argv as it is, whatever the shell of the account. Raises ValueError for NUL,
        which no argument can have, and with `environment: send` for signs that shells read differently.
        """
        if any("\0" in each for each in remote):
            raise ValueError("an argument contains NUL")
        text = for_a_forced_command(remote) if self.host.environment == "send" else for_any_shell(remote, sign)
        return [*self._through(), "--", self.host.address, text]

    async def connect(self, *, deadline: float) -> None:
        """Have a connection. Raises ReadFailure with what ssh said; nothing was run on the host then."""
        async with self._lock:
            if self._alive():
                return
            await self._end()
            try:
                self._sockets.stand()
            except (OSError, ConfigError) as error:
                raise ReadFailure(Trouble.ERROR, f"{self.name}: no folder for the sockets of ssh: {error}") from error
            try:
                async with asyncio.timeout(deadline):
                    await self._start()
            except TimeoutError as error:
                await self._end()
                message = f"{self.name}: ssh made no connection within {deadline:g} s"
                raise ReadFailure(Trouble.TIMEOUT, message) from error

    async def forward(self, remote: str, *, deadline: float = FORWARD_LIMIT) -> str:
        """A local Unix socket that leads to a Unix socket or `host:port` as seen from the host. Raises ReadFailure.

        What listens there is first known when the socket is used: a refused one closes at once.
        """
        await self.connect(deadline=deadline)
        async with self._lock:
            if remote in self._forwards:
                return self._forwards[remote]
            local = str(self._sockets.path / f"f{hashlib.sha256(f'{self.name} {remote}'.encode()).hexdigest()[:12]}")
            code, said = await self._control_command("forward", ["-L", f"{local}:{remote}"], deadline)
            if code != 0:
                raise ReadFailure(Trouble.ERROR, f"{self.name}: ssh does not forward {remote}: {said or code}")
            self._forwards[remote] = local
            return local

    async def close(self) -> None:
        """End the connection and what it forwards; never raises, never waits long."""
        async with self._lock:
            await self._end()

    @property
    def _control(self) -> Path:
        return self._sockets.path / self._key

    def _alive(self) -> bool:
        return self._master is not None and self._master.returncode is None and self._control.exists()

    async def _start(self) -> None:
        if len(os.fsencode(self._control)) > LONGEST_SOCKET:
            message = f"{self.name}: the path of the control socket is too long: {self._control}"
            raise ReadFailure(Trouble.ERROR, message)
        program = self._program()
        with tempfile.TemporaryFile() as said:
            try:
                self._master = await asyncio.create_subprocess_exec(
                    program,
                    *self._opening(),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=said,
                    start_new_session=True,
                    preexec_fn=ends_with_this_process(),
                )
            except OSError as error:
                raise ReadFailure(Trouble.ERROR, f"{self.name}: ssh cannot be started: {error.strerror}") from error
            while not self._control.exists():
                if self._master.returncode is not None:
                    said.seek(0)
                    raise _no_connection(self.name, said.read(KEPT_ERROR))
                await asyncio.sleep(LOOK)

    async def _end(self) -> None:
        master, self._master = self._master, None
        forwards, self._forwards = self._forwards, {}
        if master is not None and master.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                master.terminate()
            try:
                async with asyncio.timeout(GRACE):
                    await master.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    master.kill()
                await master.wait()
        for local in (str(self._control), *forwards.values()):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(local)

    async def _control_command(self, what: str, options: Sequence[str], deadline: float) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            self._program(),
            *self._through()[1:],
            "-O",
            what,
            *options,
            "--",
            self.host.address,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            preexec_fn=ends_with_this_process(),
        )
        try:
            async with asyncio.timeout(deadline):
                said, _ = await process.communicate()
        except TimeoutError as error:
            raise ReadFailure(Trouble.TIMEOUT, f"{self.name}: ssh -O {what} took over {deadline:g} s") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode or 0, _said(said)

    def _program(self) -> str:
        """The client, not one that another account could have put into a folder of PATH. Raises ReadFailure."""
        try:
            return program_of("ssh", self._base)
        except ConfigError as error:
            raise ReadFailure(Trouble.ERROR, f"{self.name}: ssh cannot be started: {error}") from error

    def _through(self) -> list[str]:
        """The client on the kept connection; without it, it fails instead of making one of its own."""
        return ["ssh", "-F", "none", "-S", str(self._control), *_options((*ALWAYS, "ProxyCommand=false"))]

    def _opening(self) -> list[str]:
        host = self.host
        # The first value that ssh reads counts, so these stand before those of a configuration file.
        known = str(self._base / host.known_hosts) if host.known_hosts is not None else None
        proven = host.waive.host_key is None
        said = [
            f"ConnectTimeout={max(1, round(host.connect_timeout))}",
            f"StrictHostKeyChecking={'yes' if proven else 'no'}",
            "ClearAllForwardings=yes",
            "ControlPersist=no",
        ]
        if not proven or known is not None:
            known = known if proven and known is not None else os.devnull
            said += [f"UserKnownHostsFile={quoted(known)}", f"GlobalKnownHostsFile={os.devnull}"]
        if host.identity is not None:
            said += [f"IdentityFile={quoted(str(self._base / host.identity))}", "IdentitiesOnly=yes"]
        if host.certificate is not None:
            said.append(f"CertificateFile={quoted(str(self._base / host.certificate))}")
        if host.user is not None:
            said.append(f"User={host.user}")
        if host.port is not None:
            said.append(f"Port={host.port}")
        config = "none" if host.config is None else str(self._base / host.config)
        options = _options((*ALWAYS, *said))
        return ["-F", config, "-M", "-N", "-S", str(self._control), *options, "--", host.address]


def require_files(hosts: Mapping[str, SshHost], base: Path) -> None:
    """Raise ConfigError unless the files that decide who is reached, and as whom, are ours."""
    for host in hosts.values():
        for name in (host.identity, host.certificate, host.known_hosts, host.config):
            if name is not None:
                require_ours(base / name)


class SshConnections:
    """The kept connections of one engine, by host; their sockets are in one private folder."""

    def __init__(self, hosts: dict[str, SshHost], base: Path) -> None:
        self._hosts, self._base = hosts, base
        self._sockets = SocketFolder()
        self._open: dict[str, SshConnection] = {}

    def to(self, name: str) -> SshConnection:
        """The connection to a host of the estate, not yet made. Raises KeyError for an unknown one."""
        if name not in self._open:
            self._open[name] = SshConnection(name, self._hosts[name], self._sockets, self._base)
        return self._open[name]

    async def close(self) -> None:
        """End all connections and remove their folder."""
        for connection in self._open.values():
            await connection.close()
        self._open.clear()
        await asyncio.to_thread(self._sockets.remove)


def _options(said: Sequence[str]) -> list[str]:
    return [word for each in said for word in ("-o", each)]


def quoted(path: str) -> str:
    """A path as a value of an option: ssh splits at spaces and expands `%`."""
    return '"' + path.replace("%", "%%").replace('"', '\\"') + '"'


def _said(output: bytes) -> str:
    """What ssh said, in one line."""
    lines = output[:KEPT_ERROR].decode(errors="replace").splitlines()
    return clean("; ".join(line.strip() for line in lines if line.strip()), LONGEST_REASON)


def _no_connection(name: str, said: bytes) -> ReadFailure:
    text = _said(said)
    lower = text.lower()
    if "permission denied" in lower or "host key verification failed" in lower or "identification has" in lower:
        trouble = Trouble.DENIED
    elif "timed out" in lower:
        trouble = Trouble.TIMEOUT
    else:
        trouble = Trouble.UNREACHABLE
    return ReadFailure(trouble, f"{name}: ssh: {text or 'ended without a word'}")
