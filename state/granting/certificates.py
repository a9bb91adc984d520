"""Certificates of SSH keys (OpenSSH PROTOCOL.certkeys) taken apart, and held against what was asked for.

Nothing here proves who signed: that does the sshd that accepts one or does not.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from state.units import utc

FIELDS: Mapping[str, int] = {
    "ssh-ed25519": 1,
    "ssh-rsa": 2,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    "sk-ssh-ed25519@openssh.com": 2,
    "sk-ecdsa-sha2-nistp256@openssh.com": 3,
}
"""Strings of which a public key of a kind consists."""
SUFFIX = "-cert-v01@openssh.com"
MOST = 12_000
"""Characters of a line; a key of 16,384 bits has less."""
OLD = "ssh-rsa"
"""The kind of a signature with SHA-1; an RSA key makes others too."""
SKEW = 60.0
"""Seconds before the target's own time from which a certificate is good: a clock a little behind lets it in."""


class NoKey(ValueError):
    """A text that is no public key or no certificate; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says. `key` is the public key that it is for, as a line without comment; `after` and `before`
    in epoch seconds; `options` are the critical ones; `authority` is the key that signed, as a line, and
    `signed_by` the kind of its signature."""

    key: str
    serial: int
    key_id: str
    principals: Sequence[str]
    after: float
    before: float
    options: Mapping[str, str]
    extensions: Sequence[str]
    authority: str
    of_user: bool
    signed_by: str = ""


@dataclass(frozen=True, slots=True)
class WantedCertificate:
    """What an authority is asked to sign. `command` is forced. `now` is the target's clock, epoch seconds."""

    key: str
    serial: int
    key_id: str
    principal: str
    now: float
    before: float
    command: str
    extensions: Sequence[str]


def public_key(line: str) -> str:
    """A public key as a line without options and comment. Raises NoKey, also for a certificate and a private key."""
    if "PRIVATE KEY" in line:
        raise NoKey("it is a private key: only its public half may leave its place")
    kind, code = _words(line)
    if kind not in FIELDS:
        raise NoKey(f"it is of the kind {kind[:40]!r}; known are {', '.join(FIELDS)}")
    raw = _decoded(code)
    name, rest = _string(raw)
    if name != kind.encode():
        raise NoKey("its bytes are of another kind than its name")
    for _ in range(FIELDS[kind]):
        _, rest = _string(rest)
    if rest:
        raise NoKey("something follows the key")
    return f"{kind} {code}"


def parse_certificate(line: str) -> Certificate:
    """Take one certificate apart. Raises NoKey."""
    kind, code = _words(line)
    plain = kind.removesuffix(SUFFIX)
    plain = f"{plain}@openssh.com" if plain.startswith("sk-") else plain
    if not kind.endswith(SUFFIX) or plain not in FIELDS:
        raise NoKey(f"it is of the kind {kind[:60]!r}, no certificate of a key that is known here")
    raw = _decoded(code)
    name, rest = _string(raw)
    if name != kind.encode():
        raise NoKey("its bytes are of another kind than its name")
    _, rest = _string(rest)
    parts = [_packed(plain.encode())]
    for _ in range(FIELDS[plain]):
        each, rest = _string(rest)
        parts.append(_packed(each))
    serial, rest = _number(rest, 8)
    of, rest = _number(rest, 4)
    key_id, rest = _string(rest)
    principals, rest = _string(rest)
    after, rest = _number(rest, 8)
    before, rest = _number(rest, 8)
    options, rest = _string(rest)
    extensions, rest = _string(rest)
    _, rest = _string(rest)
    authority, rest = _string(rest)
    signature, rest = _string(rest)
    if rest:
        raise NoKey("something follows its signature")
    signer, _ = _string(authority)
    kind_of_signature, _ = _string(signature)
    try:
        return Certificate(
            key=f"{plain} {base64.b64encode(b''.join(parts)).decode()}",
            serial=serial,
            key_id=key_id.decode(),
            principals=[each.decode() for each in _strings(principals)],
            after=float(after),
            before=float(before),
            options=dict(_pairs(options)),
            extensions=[name for name, _ in _pairs(extensions)],
            authority=f"{signer.decode('ascii')} {base64.b64encode(authority).decode()}",
            of_user=of == 1,
            signed_by=kind_of_signature.decode("ascii"),
        )
    except UnicodeDecodeError:
        raise NoKey("its texts are no UTF-8") from None


def amiss(found: Certificate, wanted: WantedCertificate) -> str:
    """What is not as it was asked for, empty when all is: such a certificate is given to nobody."""
    if not found.principals:
        return "it names no principal: it would be good for every account"
    if found.before > wanted.before:
        return f"it is good until {utc(found.before)}, asked for was {utc(wanted.before)}"
    if found.after > wanted.now:
        told = f"it is good from {utc(found.after)} by the clock of who signed; the host's clock says {utc(wanted.now)}"
        return f"not yet valid: {told}"
    if found.before <= wanted.now:
        return f"it is over since {utc(found.before)}; the host's clock says {utc(wanted.now)}"
    if found.signed_by == OLD:
        return f"it is signed with {OLD} (SHA-1), which sshd has not taken since 8.2: let it sign with rsa-sha2-256"
    same = (
        ("principals", list(found.principals), [wanted.principal]),
        ("key", found.key, wanted.key),
        ("serial", found.serial, wanted.serial),
        ("key id", found.key_id, wanted.key_id),
        ("forced command", dict(found.options), {"force-command": wanted.command}),
        ("permissions", sorted(found.extensions), sorted(wanted.extensions)),
        ("kind", found.of_user, True),
    )
    return "; ".join(f"its {name} is {was!r}, asked for was {asked!r}" for name, was, asked in same if was != asked)


def _words(line: str) -> tuple[str, str]:
    if len(line) > MOST:
        raise NoKey(f"it has more than {MOST} characters")
    words = line.split()
    if len(words) < 2 or not line.isascii() or "\n" in line.strip():
        raise NoKey("it is not one line of a kind and a key")
    return words[0], words[1]


def _decoded(code: str) -> bytes:
    try:
        return base64.b64decode(code, validate=True)
    except (binascii.Error, ValueError):
        raise NoKey("what follows its kind is no base64") from None


def _packed(part: bytes) -> bytes:
    return len(part).to_bytes(4, "big") + part


def _string(raw: bytes) -> tuple[bytes, bytes]:
    """One string with its length before it, and what follows."""
    size = int.from_bytes(raw[:4], "big")
    if len(raw) < 4 or len(raw) < 4 + size:
        raise NoKey("it is cut off")
    return raw[4 : 4 + size], raw[4 + size :]


def _number(raw: bytes, size: int) -> tuple[int, bytes]:
    if len(raw) < size:
        raise NoKey("it is cut off")
    return int.from_bytes(raw[:size], "big"), raw[size:]


def _strings(raw: bytes) -> list[bytes]:
    found = []
    while raw:
        each, raw = _string(raw)
        found.append(each)
    return found


def _pairs(raw: bytes) -> list[tuple[str, str]]:
    """Options: a name, and a value that is a string within a string, empty for a flag."""
    found = []
    while raw:
        name, raw = _string(raw)
        value, raw = _string(raw)
        found.append((name.decode(), _string(value)[0].decode() if value else ""))
    return found
