"""Signatures of SSH keys, verified by `ssh-keygen -Y verify` on this host: no network, no agent, no file that stays."""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack
from pathlib import Path

from adapters.files.programs import program_of
from state.errors import ConfigError, ReadFailure, Trouble

LIMIT = 5.0
"""Seconds that one verification may take; it takes a few milliseconds."""
WHO = "approver"
"""The only one who may have signed, for each verification anew: whose the key is was looked up before."""


class OpenSshSignatures:
    """Each verification has a list of signers of its own, with one key and one namespace, in memory."""

    def __init__(self, program: str = "ssh-keygen") -> None:
        self._program = program

    async def verify(self, public: str, namespace: str, signed: bytes, signature: str) -> bool:
        """Whether this key made the signature over these bytes."""
        kind, code = public.split()[:2]
        allowed = f'{WHO} namespaces="{namespace}" {kind} {code}\n'
        with ExitStack() as stack:
            files = [_in_memory(stack, name, content) for name, content in (("signers", allowed), ("sig", signature))]
            words = ["-Y", "verify", "-f", _path(files[0]), "-I", WHO, "-n", namespace, "-s", _path(files[1])]
            try:
                process = await asyncio.create_subprocess_exec(
                    program_of(self._program, Path("/")), *words,
                    stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.DEVNULL, pass_fds=files, start_new_session=True,
                    env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
                )  # fmt: skip
            except OSError as error:
                raise ReadFailure(Trouble.ERROR, f"{self._program} cannot be run here: {error.strerror}") from error
            except ConfigError as error:  # what another account could have put there would say yes to everything
                raise ReadFailure(Trouble.ERROR, f"{self._program} cannot be run here: {error}") from error
            try:
                async with asyncio.timeout(LIMIT):
                    await process.communicate(signed)
            except TimeoutError as error:
                raise ReadFailure(Trouble.TIMEOUT, f"{self._program} did not answer in {LIMIT:.0f} s") from error
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        if process.returncode not in (0, 255):
            raise ReadFailure(Trouble.ERROR, f"{self._program} ended with the code {process.returncode}")
        return process.returncode == 0


def _in_memory(stack: ExitStack, name: str, content: str) -> int:
    descriptor = os.memfd_create(name, 0)
    stack.callback(os.close, descriptor)
    os.write(descriptor, content.encode())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _path(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"
