"""Logins that are tried without the private key: sshd says whether it would take a public one before it asks for proof.

So it is known of a certificate that it opens the door, and later that it does not, without what only its person has.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from adapters.files.programs import program_of
from adapters.net.child_process import ends_with_this_process
from adapters.net.ssh import quoted
from state.errors import ConfigError
from state.estate.hosts import SshHost
from state.granting.model import Door
from state.text import clean

MOST = 64 * 1024
OFFERED, TAKEN = "Offering public key: ", "Server accepts key: "
REFUSED, ENOUGH = "Permission denied", "Too many authentication failures"
NO_LINE = re.compile(r"debug1: ")


class Knocking:
    """Tries logins at one host, by OpenSSH's client; `base` is the folder of the estate."""

    def __init__(self, host: SshHost, base: Path) -> None:
        self._host, self._base = host, base

    async def doors(self, account: str, certificates: Mapping[str, str], *, deadline: float) -> Sequence[Door]:
        """What sshd says to each certificate, by name: over as few connections as it takes, since each that is refused
        counts as an attack there (MaxStartups, PerSourcePenalties, fail2ban)."""
        try:
            program = program_of("ssh", self._base)
        except ConfigError as error:
            return [Door(name, None, clean(str(error), 200)) for name in certificates]
        found: dict[str, Door] = {}
        with tempfile.TemporaryDirectory(prefix="recovery-knock-") as folder:
            paths = _written(Path(folder), certificates)
            try:
                async with asyncio.timeout(deadline):
                    while left := {name: path for name, path in paths.items() if name not in found}:
                        found |= judged(left, await self._said(program, account, [*left.values()]))
            except TimeoutError:
                late = f"ssh did not end within {deadline:g} s"
                found = {name: found.get(name, Door(name, None, late)) for name in certificates}
        return [found[name] for name in certificates]

    async def _said(self, program: str, account: str, paths: Sequence[str]) -> str:
        """What the client tells of one connection that offers them one after the other."""
        process = await asyncio.create_subprocess_exec(
            program, *self._words(account, paths), stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE, start_new_session=True, preexec_fn=ends_with_this_process(),
            env={**{n: os.environ[n] for n in ("PATH", "HOME") if n in os.environ}, "LC_ALL": "C"},
        )  # fmt: skip
        try:
            assert process.stderr is not None, "it is a pipe"
            said = await _heard(process.stderr)
            await process.wait()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        return said.decode("utf-8", "replace")

    def _words(self, account: str, paths: Sequence[str]) -> list[str]:
        host = self._host
        known = [] if host.known_hosts is None else [
            f"UserKnownHostsFile={quoted(str(self._base / host.known_hosts))}", f"GlobalKnownHostsFile={os.devnull}"
        ]  # fmt: skip
        said = [
            "BatchMode=yes", "PreferredAuthentications=publickey", "IdentitiesOnly=yes", "IdentityAgent=none",
            "IdentityFile=none", *(f"CertificateFile={path}" for path in paths), "ControlPath=none", "ControlMaster=no",
            "UpdateHostKeys=no", f"ConnectTimeout={max(1, round(host.connect_timeout))}",
            f"StrictHostKeyChecking={'yes' if host.waive.host_key is None else 'no'}", *known,
            *([] if host.port is None else [f"Port={host.port}"]),
        ]  # fmt: skip
        config = "none" if host.config is None else str(self._base / host.config)
        options = [word for each in said for word in ("-o", each)]
        return ["-v", "-F", config, *options, "-l", account, "--", host.address, "exit"]


def _written(folder: Path, certificates: Mapping[str, str]) -> Mapping[str, str]:
    """A file for each, by name."""
    paths = {name: folder / f"{number}-cert.pub" for number, name in enumerate(certificates)}
    for name, path in paths.items():
        path.write_text(f"{certificates[name]}\n")
    return {name: str(path) for name, path in paths.items()}


async def _heard(log: asyncio.StreamReader) -> bytes:
    """The first and the last of what a client says: a host can send banners without end."""
    said = b""
    while piece := await log.read(MOST):
        said += piece
        if len(said) > 2 * MOST:
            said = said[:MOST] + b"\n" + said[-MOST:]
    return said


def judged(paths: Mapping[str, str], said: str) -> Mapping[str, Door]:
    """What the client's log says about these very certificates. One that was not offered before the server had enough
    is missing, to be offered over another connection."""
    lines = [line for line in said.splitlines() if line.strip()]
    ended = " ".join(lines[-3:])
    offered = {name: any(OFFERED in line and path in line for line in lines) for name, path in paths.items()}
    enough = ENOUGH in ended and any(offered.values())
    told = [line for line in lines if not NO_LINE.match(line)]
    unknown = clean(told[-1] if told else "ssh said nothing", 200)
    found = {}
    for name, path in paths.items():
        if any(TAKEN in line and path in line for line in lines):
            found[name] = Door(name, True)
        elif offered[name] and (enough or REFUSED in ended):
            found[name] = Door(name, False)
        elif not enough:
            found[name] = Door(name, None, unknown)
    return found
