"""The keys that seal a journal: Ed25519 keys of OpenSSH in a folder beside it, made and used by `ssh-keygen`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from adapters.files.programs import program_of
from adapters.journals.small_file import content_of
from adapters.net.child_process import ends_with_this_process
from state.errors import ConfigError
from state.ports.keys import KeysFailed
from state.proof.sshsig import bare
from state.text import clean

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds that ssh-keygen may take; it takes some thousandths."""
LARGEST = 16 << 10
NAMED = re.compile(r"period-([0-9]{1,15})(\.pub)?")


class KeyFiles:
    """Fulfils SealKeys. `period-N` is the private key of period N, `period-N.pub` its public half."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def make(self, period: int) -> str:
        """Make the key of a period anew, durably."""
        path = self._path(period)
        await self._disk(lambda: self._room(path))
        await self._keygen(["-q", "-t", "ed25519", "-N", "", "-C", f"period-{period}", "-f", str(path)])
        await self._disk(lambda: self._kept(path))
        return await self.public(period)

    async def public(self, period: int) -> str:
        """The public half of a key whose private half is there."""
        path = self._path(period)
        return await self._disk(lambda: _public_of(path) if path.is_file() else "")

    async def sign(self, period: int, message: bytes, namespace: str) -> str:
        """A signature of `ssh-keygen -Y sign`."""
        told = self._folder / "statement"
        signed = told.with_name("statement.sig")
        await self._disk(lambda: _written(told, signed, message))
        await self._keygen(["-Y", "sign", "-f", str(self._path(period)), "-n", namespace, str(told)])
        try:
            return bare((await self._disk(lambda: content_of(signed, LARGEST))).decode("ascii", "replace"))
        except ValueError as error:
            raise KeysFailed(f"ssh-keygen gave no signature: {error}") from error

    async def destroy(self, upto: int) -> None:
        """Overwrite and remove the private keys of periods. A file system that keeps former blocks keeps them."""
        await self._disk(lambda: self._destroyed(upto))

    def _path(self, period: int) -> Path:
        return self._folder / f"period-{period}"

    def _room(self, path: Path) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        for each in (path, path.with_name(f"{path.name}.pub")):
            each.unlink(missing_ok=True)

    def _kept(self, path: Path) -> None:
        for each in (path, path.with_name(f"{path.name}.pub"), self._folder):
            _synced(each)

    def _destroyed(self, upto: int) -> None:
        for path in self._folder.iterdir():
            named = NAMED.fullmatch(path.name)
            if named is None or int(named[1]) > upto:
                continue
            if not named[2]:
                _overwritten(path)
            path.unlink(missing_ok=True)
        _synced(self._folder)

    async def _disk(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            raise KeysFailed(f"{error.filename or self._folder}: {error.strerror}") from error

    async def _keygen(self, arguments: Sequence[str]) -> None:
        try:
            program = program_of("ssh-keygen", self._folder)
        except ConfigError as error:
            raise KeysFailed("there is no ssh-keygen") from error
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                cwd=self._folder,
                env={"PATH": "/usr/bin:/bin", "LANG": "C"},
                preexec_fn=ends_with_this_process(),
            )
        except OSError as error:
            raise KeysFailed(f"ssh-keygen was not started: {error.strerror}") from error
        try:
            async with asyncio.timeout(PATIENCE):
                _, said = await process.communicate()
        except TimeoutError as error:
            raise KeysFailed(f"ssh-keygen did not end within {PATIENCE:g} s") from error
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if process.returncode:
            raise KeysFailed(f"ssh-keygen: {clean(said.decode('ascii', 'replace'), 200)}")


def _public_of(path: Path) -> str:
    """The key without its comment."""
    text = content_of(path.with_name(f"{path.name}.pub"), LARGEST).decode("ascii", "replace")
    return " ".join(text.split()[:2])


def _written(told: Path, signed: Path, message: bytes) -> None:
    for each in (told, signed):
        each.unlink(missing_ok=True)
    with os.fdopen(os.open(told, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(message)


def _overwritten(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.write(descriptor, bytes(os.fstat(descriptor).st_size))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _synced(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
