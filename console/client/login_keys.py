"""Keys for a login at a host, made or named in the process of their person. The private half never leaves its file."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from state.errors import Refused
from state.granting.certificates import NoKey, public_key
from state.host.regular import bounded
from state.text import clean

LIMIT = 20.0
MOST = 16_384


@dataclass(frozen=True, slots=True)
class LoginKey:
    """A public key, the file that ssh is told of, and where the certificate for it goes."""

    public: str
    file: Path
    certificate: Path


def login_key(told: str, grant: str) -> LoginKey:
    """The key in a `.pub` file, or a new pair in a new file (0600). Raises Refused where there is none, or one already
    where a new one shall be."""
    path = Path(told).expanduser()
    return _known(path, grant) if path.suffix == ".pub" else _made(path, grant)


def keep_certificate(key: LoginKey, certificate: str) -> None:
    """Put it beside the key, where ssh finds it. Raises Refused."""
    try:
        made = os.open(key.certificate, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise Refused("secret-place", f"{key.certificate}: {error.strerror}", "recovery access certificate") from error
    with os.fdopen(made, "w") as out:
        out.write(f"{certificate}\n")


def command_of(key: LoginKey, role: str, address: str) -> str:
    """How its person logs in."""
    found = key.certificate.name == f"{key.file.name}-cert.pub"  # by ssh itself
    given = "" if found else f"-o CertificateFile={key.certificate} "
    return f"ssh {given}-i {key.file} {role}@{address}"


def _known(path: Path, grant: str) -> LoginKey:
    try:
        public = public_key(bounded(path, MOST).decode("utf-8", "replace"))
    except OSError as error:
        raise Refused("public-key", f"{path}: {error.strerror}", "Name the file of your public key") from error
    except NoKey as error:
        raise Refused("public-key", f"{path}: {error}", "Name the file that ends in .pub") from error
    private = path.with_suffix("")
    return LoginKey(public, private, _free(path.with_name(f"{private.name}-{grant}-cert.pub")))


def _made(path: Path, grant: str) -> LoginKey:
    for each in (path, path.with_name(f"{path.name}.pub")):
        _free(each)
    beside = _free(path.with_name(f"{path.name}-cert.pub"))
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", grant, "-f", str(path)]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired as error:
        raise Refused("secret-place", f"ssh-keygen did not end within {LIMIT:.0f} s", "Name another file") from error
    except OSError as error:
        raise Refused("secret-place", f"ssh-keygen cannot be run: {error.strerror}", "Install OpenSSH") from error
    if done.returncode != 0:
        said = clean(done.stderr.decode("utf-8", "replace").strip(), 200)
        raise Refused("secret-place", f"ssh-keygen: {said or done.returncode}", "Name a file in a folder of yours")
    return LoginKey(public_key(bounded(path.with_name(f"{path.name}.pub"), MOST).decode()), path, beside)


def _free(path: Path) -> Path:
    if os.path.lexists(path):
        raise Refused("secret-place", f"{path} is there already", "Name a new file")
    return path
