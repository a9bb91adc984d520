"""Certificates of SSH keys, signed by ssh-keygen with a key of the estate, or by a command of the estate.

What comes back is held against what was asked for, whoever signed: nothing else is given to anybody.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import math
import os
import secrets
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from adapters.files.programs import program_of
from adapters.secrets import require_private
from state.errors import ConfigError, EffectRefused
from state.estate.access import AuthorityEntry
from state.granting.certificates import SKEW, NoKey, WantedCertificate, amiss, parse_certificate, public_key
from state.host.regular import bounded
from state.host.trust import require_ours
from state.text import clean

LIMIT = 10.0
"""Seconds that one signature may take."""
MOST = 16_384


class Authority:
    """One authority; `base` is the folder of the estate. Raises ConfigError where its files are not ours alone."""

    def __init__(self, entry: AuthorityEntry, base: Path) -> None:
        self._entry, self._base = entry, base
        require_ours(base / entry.public)
        if entry.key is not None:
            require_private(base / entry.key)

    def public(self) -> str:
        """Its public key, as a line. Raises EffectRefused where it cannot be read."""
        try:
            return public_key(bounded(self._base / self._entry.public, MOST).decode())
        except (OSError, UnicodeDecodeError, NoKey) as error:
            raise EffectRefused(f"{self._entry.public}: {error}", "authority") from error

    async def sign(self, wanted: WantedCertificate) -> str:
        """A certificate, as a line without comment. Raises EffectRefused for none, and for another one than wanted."""
        if not wanted.principal or wanted.serial <= 0:
            raise EffectRefused("a certificate without principal or serial is never signed", "principals")
        with tempfile.TemporaryDirectory(prefix="recovery-sign-") as folder:
            public = Path(folder) / "key.pub"
            public.write_text(f"{wanted.key}\n")
            told = await (self._by_command(wanted, public) if self._entry.command else self._by_key(wanted, public))
        try:
            found = parse_certificate(told)
        except NoKey as error:
            raise EffectRefused(f"what the authority gave is no certificate: {error}", "certificate") from error
        wrong = amiss(found, wanted)
        if not wrong and found.authority != self.public():
            wrong = f"it is signed by another key than {self._entry.public}"
        if wrong:
            raise EffectRefused(f"the certificate is not as asked for: {wrong}", "certificate")
        return " ".join(told.split()[:2])

    async def _by_key(self, wanted: WantedCertificate, public: Path) -> str:
        assert self._entry.key is not None, "the entry has a key or a command"
        options = [f"force-command={wanted.command}", *wanted.extensions]
        await _said(
            [
                self._program("ssh-keygen"), "-q", "-s", str(self._base / self._entry.key), "-I", wanted.key_id, "-z",
                str(wanted.serial), "-n", wanted.principal, "-V", f"{_stamp(_after(wanted))}:{_stamp(wanted.before)}",
                "-O", "clear", *(word for each in options for word in ("-O", each)), str(public),
            ],
            self._base,
        )  # fmt: skip
        try:
            return bounded(public.with_name("key-cert.pub"), MOST).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise EffectRefused(f"ssh-keygen made no certificate: {error}", "certificate") from error

    async def _by_command(self, wanted: WantedCertificate, public: Path) -> str:
        told = {
            "{public}": str(public), "{serial}": str(wanted.serial), "{key_id}": wanted.key_id,
            "{principal}": wanted.principal, "{after}": f"{_stamp(_after(wanted))}Z",
            "{before}": f"{_stamp(wanted.before)}Z", "{command}": wanted.command,
        }  # fmt: skip
        words = []
        for word in self._entry.command or ():
            for name, value in told.items():
                word = word.replace(name, value)  # noqa: PLW2901 each placeholder in turn
            words.append(word)
        return await _said([self._program(words[0]), *words[1:]], self._base)

    def _program(self, name: str) -> str:
        try:
            return program_of(name, self._base)
        except ConfigError as error:
            raise EffectRefused(f"the authority's command: {error}", "authority") from error


def wanted_certificate(
    key: str, grant: str, now: float, before: float, command: str, extensions: Sequence[str]
) -> WantedCertificate:
    """What an authority is asked for: named by the grant, good for its principal alone, never longer than it."""
    serial = secrets.randbits(62) + 1
    return WantedCertificate(key, serial, grant, grant, now, float(math.floor(before)), command, tuple(extensions))


def nobodys_key() -> str:
    """A public key whose private half nobody has."""
    parts = (b"ssh-ed25519", secrets.token_bytes(32))
    return "ssh-ed25519 " + base64.b64encode(b"".join(len(e).to_bytes(4, "big") + e for e in parts)).decode()


def _after(wanted: WantedCertificate) -> float:
    return math.floor(wanted.now) - SKEW


def _stamp(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y%m%d%H%M%S")


async def _said(words: Sequence[str], folder: Path) -> str:
    """What a program of this machine prints. Raises EffectRefused with what it said: nothing has come of it."""
    passed = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            cwd=folder, start_new_session=True,
            env={**passed, "LC_ALL": "C.UTF-8", "TZ": "UTC", "SSH_ASKPASS_REQUIRE": "never"},
        )  # fmt: skip
    except OSError as error:
        raise EffectRefused(f"{words[0]} cannot be run: {error.strerror}", "authority") from error
    try:
        async with asyncio.timeout(LIMIT):
            out, errors = await process.communicate()
    except TimeoutError as error:
        raise EffectRefused(f"{words[0]} did not end within {LIMIT:.0f} s", "authority") from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0 or len(out) > MOST:
        told = clean(errors.decode("utf-8", "replace").strip().replace("\n", "; "), 300)
        raise EffectRefused(f"{words[0]} signed nothing: {told or f'exit code {process.returncode}'}", "authority")
    return out.decode("ascii", "replace")
