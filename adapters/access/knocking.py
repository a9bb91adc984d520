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

from adapters.net.child_process import ends_with_this_process
from state.estate.hosts import SshHost
from state.granting.model import Door
from state.text import clean

MOST = 64 * 1024
OFFERED, TAKEN = "Offering public key: ", "Server accepts key: "
NO_LINE = re.compile(r"debug1: ")


class Knocking:
    """Tries logins at one host, by OpenSSH's client; `base` is the folder of the estate."""

    def __init__(self, host: SshHost, base: Path) -> None:
        self._host, self._base = host, base

    async def doors(self, account: str, certificates: Mapping[str, str], *, deadline: float) -> Sequence[Door]:
        """What sshd says to each certificate, by name."""
        with tempfile.TemporaryDirectory(prefix="recovery-knock-") as folder:
            tried = []
            for number, (name, line) in enumerate(certificates.items()):
                path = Path(folder) / f"{number}-cert.pub"
                path.write_text(f"{line}\n")
                tried.append(self._one(account, name, path, deadline))
            return await asyncio.gather(*tried)

    async def _one(self, account: str, name: str, path: Path, deadline: float) -> Door:
        process = await asyncio.create_subprocess_exec(
            *self._words(account, path), stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE, start_new_session=True, preexec_fn=ends_with_this_process(),
            env={**{n: os.environ[n] for n in ("PATH", "HOME") if n in os.environ}, "LC_ALL": "C"},
        )  # fmt: skip
        said = b""
        try:
            async with asyncio.timeout(deadline):
                _, said = await process.communicate()
        except TimeoutError:
            return Door(name, None, f"ssh did not end within {deadline:g} s")
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        return judged(name, str(path), said[:MOST].decode("utf-8", "replace"))

    def _words(self, account: str, path: Path) -> list[str]:
        host = self._host
        known = [] if host.known_hosts is None else [
            f"UserKnownHostsFile={self._base / host.known_hosts}", f"GlobalKnownHostsFile={os.devnull}"
        ]  # fmt: skip
        said = [
            "BatchMode=yes", "PreferredAuthentications=publickey", "IdentitiesOnly=yes", "IdentityAgent=none",
            "IdentityFile=none", f"CertificateFile={path}", "ControlPath=none", "ControlMaster=no",
            "UpdateHostKeys=no", f"ConnectTimeout={max(1, round(host.connect_timeout))}",
            f"StrictHostKeyChecking={'yes' if host.waive.host_key is None else 'no'}", *known,
            *([] if host.port is None else [f"Port={host.port}"]),
        ]  # fmt: skip
        config = "none" if host.config is None else str(self._base / host.config)
        options = [word for each in said for word in ("-o", each)]
        return ["ssh", "-v", "-F", config, *options, "-l", account, "--", host.address, "exit"]


def judged(name: str, path: str, said: str) -> Door:
    """What the client's log says about this very certificate."""
    lines = [line for line in said.splitlines() if line.strip()]
    about = [line for line in lines if path in line]
    if any(TAKEN in line for line in about):
        return Door(name, True)
    if any(OFFERED in line for line in about) and any("Permission denied" in line for line in lines[-3:]):
        return Door(name, False)
    told = [line for line in lines if not NO_LINE.match(line)]
    return Door(name, None, clean(told[-1] if told else "ssh said nothing", 200))
