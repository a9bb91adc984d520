"""Signing as a person: by OpenSSH's own program, with a key that this process never reads. Agents and keys in hardware
work, and the engine is not asked."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from state.api.approvals import NAMESPACE
from state.errors import Refused
from state.host.regular import bounded
from state.text import clean

LIMIT = 60.0
"""Seconds in which a key in hardware can be touched, and a passphrase be typed."""
MOST = 64 * 1024
ADD = "ssh-add the key first, or name its file: --key FILE"


def sign(
    statement: str, keys: Sequence[str], *, key_file: str = "", ask: bool = False, namespace: str = NAMESPACE
) -> str:
    """A signature over a statement by one of these public keys, or by the key in a file. `ask`: a passphrase may be
    asked for at this terminal; it blocks meanwhile. Raises Refused where nothing could be signed."""
    tried: list[str] = []
    with _candidates(keys, key_file) as found:
        for path, descriptors in found:
            said, signature = _signed(path, descriptors, statement, ask=ask, namespace=namespace)
            if signature:
                return signature
            tried.append(said)
    if not tried:
        known = (
            "none of your keys in the estate is in the agent or in ~/.ssh" if keys else "the estate has no key of you"
        )
        raise Refused("signature", known, ADD if keys else "Add people.NAME.keys, then recovery engine reload")
    raise Refused("signature", f"nothing was signed: {tried[-1]}", ADD)


Candidate = tuple[str, tuple[int, ...]]
"""The file of a key, and the descriptors that the program needs for it."""


@contextmanager
def _candidates(keys: Sequence[str], key_file: str) -> Iterator[list[Candidate]]:
    """Where the private halves may be: the file that was named; else the files in ~/.ssh and the agent."""
    if key_file:
        yield [(key_file, ())]
        return
    wanted = {tuple(key.split()[:2]) for key in keys}
    found: list[Candidate] = [(str(path), ()) for path in _files() if _words(path) in wanted]
    descriptors: list[int] = []
    try:
        for line in _agent():
            if tuple(line.split()[:2]) in wanted:
                descriptor = os.memfd_create("key", 0)
                os.write(descriptor, f"{line}\n".encode())
                descriptors.append(descriptor)
                found.insert(0, (f"/proc/self/fd/{descriptor}", (descriptor,)))
        yield found
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _files() -> list[Path]:
    try:
        return sorted(Path.home().joinpath(".ssh").glob("*.pub"))
    except (OSError, RuntimeError):
        return []


def _words(path: Path) -> tuple[str, ...]:
    try:
        return tuple(bounded(path, MOST).decode("utf-8", "replace").split()[:2])
    except OSError:
        return ()


def _agent() -> list[str]:
    """The public keys of the agent; none without one."""
    if not os.environ.get("SSH_AUTH_SOCK"):
        return []
    try:
        listed = subprocess.run(
            ["ssh-add", "-L"], capture_output=True, timeout=5.0, stdin=subprocess.DEVNULL, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return listed.stdout.decode("utf-8", "replace").splitlines() if listed.returncode == 0 else []


def _signed(path: str, descriptors: tuple[int, ...], statement: str, *, ask: bool, namespace: str) -> tuple[str, str]:
    """What the program said, and the signature; empty where it made none."""
    words = ["ssh-keygen", "-Y", "sign", "-n", namespace, "-f", path]
    quiet = {} if ask else {"SSH_ASKPASS_REQUIRE": "never", "DISPLAY": ""}
    try:
        done = subprocess.run(
            words, input=statement.encode(), capture_output=True, timeout=LIMIT, check=False,
            pass_fds=descriptors, start_new_session=not ask, env={**os.environ, **quiet},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"ssh-keygen had no answer within {LIMIT:.0f} s: was the key touched?", ""
    except OSError as error:
        return f"ssh-keygen cannot be run here: {error.strerror}", ""
    said = clean(done.stderr.decode("utf-8", "replace").strip().splitlines()[-1] if done.stderr.strip() else "")
    return said or f"ssh-keygen ended with {done.returncode}", done.stdout.decode() if done.returncode == 0 else ""
