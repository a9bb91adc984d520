"""Grants at a real host, and how their holders log in."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from adapters.access.host_access import HostAccess, host_access
from adapters.commands.command import command_at
from adapters.net.ssh import SshConnections
from state.granting.model import AccessSeen, Armed, EndProof, NotEnded, account_name_of
from state.grants.ending import GrantEnd
from tests.support.host_site import HostSite

HOST = "web1"


@dataclass
class HostGranted:
    """A grant whose login is open, with the private key and the certificate of its holder."""

    site: HostSite
    target: HostAccess
    armed: Armed
    role: str
    key: Path

    def words(self, *more: str, certificate: bool = True, account: str = "") -> list[str]:
        """ssh as its holder."""
        given = [f"CertificateFile={self.key}-cert.pub"] if certificate else []
        known = f"UserKnownHostsFile={self.site.folder / 'known_hosts'}"
        options = [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            f"IdentityFile={self.key}",
            known,
            *given,
        ]
        said = [word for each in options for word in ("-o", each)]
        return ["ssh", "-F", "none", *said, "-p", str(self.site.port), *more, f"{account or self.role}@127.0.0.1"]

    def login(self, command: str = "true", **more: bool) -> subprocess.CompletedProcess[str]:
        """Run one command there."""
        words = [*self.words(**more), command]
        return subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)

    def open(self, *more: str, command: str = "sleep 300") -> subprocess.Popen[bytes]:
        """A session that stays."""
        return subprocess.Popen(
            [*self.words(*more), command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    async def seen(self) -> AccessSeen:
        return await self.target.seen([self.armed.oid], deadline=8)

    async def end(self, tries: int = 8) -> EndProof | NotEnded:
        """End it as the engine does: again and again."""
        ending = GrantEnd(self.target, self.armed.oid, self.role, 8.0)
        for _ in range(tries):
            found = await ending.attempt()
            if isinstance(found, EndProof):
                return found
            await asyncio.sleep(0.2)
        return found


@asynccontextmanager
async def host_target(site: HostSite) -> AsyncIterator[HostAccess]:
    """What the engine has of the host."""
    connections = SshConnections({HOST: site.host}, site.folder)
    command = partial(command_at, site.folder, connections, HOST, HOST)
    try:
        yield host_access(HOST, site.entry, site.host, site.folder, command)
    finally:
        await connections.close()


def new_key(path: Path) -> str:
    """A key pair; its public half."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
    return path.with_name(f"{path.name}.pub").read_text().strip()


async def armed_at(target: HostAccess, grant: str, bundle: str = "shell", seconds: int = 600) -> tuple[Armed, str]:
    role = account_name_of(grant, "ada")
    armed = await target.arm(grant, role, bundle, "ada", "INC-42", effect=f"R-1/{grant}", seconds=seconds, deadline=8)
    return armed, role


async def host_granted(
    site: HostSite,
    target: HostAccess,
    grant: str,
    folder: Path,
    bundle: str = "shell",
    seconds: int = 600,
    waits: bool = True,
) -> HostGranted:
    """A grant whose login is open; `waits`: the host waits for its end."""
    armed, role = await armed_at(target, grant, bundle, seconds)
    key = folder / grant
    public = new_key(key)
    if waits:
        await target.watch(armed.oid, deadline=8)
    await target.open_login(armed.oid, public, window=60, deadline=8)
    found = (await target.seen([armed.oid], deadline=8)).role(armed.oid)
    assert found is not None
    Path(f"{key}-cert.pub").write_text(f"{found.certificate}\n")
    return HostGranted(site, target, armed, role, key)


async def told_until(granted: HostGranted, words: Sequence[str], tries: int = 60) -> AccessSeen:
    """What is read once one of its processes has each of these words."""
    for _ in range(tries):
        seen = await granted.seen()
        told = " ".join(f"{each.program} {each.state}" for each in seen.sessions.get(granted.armed.oid, ()))
        if all(word in told for word in words):
            return seen
        await asyncio.sleep(0.1)
    raise AssertionError(told)
