"""Signatures as `ssh-keygen -Y sign` makes them (OpenSSH PROTOCOL.sshsig), taken apart. It proves nothing: that is done
by who verifies them."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

BEGIN, END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
MAGIC = b"SSHSIG"
MOST = 16_384
"""Characters of a signature; a key of 16,384 bits has less."""
HASHES = (b"sha256", b"sha512")
PRESENT = 0x01
"""The flag by which hardware says that it was touched (PROTOCOL.u2f)."""


class NoSignature(ValueError):
    """A text that is no signature; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class SignatureParts:
    """The public key, what the signature is for, whether hardware says that it was touched, and the signature as
    ssh-keygen writes it."""

    blob: bytes
    namespace: str
    touched: bool
    armored: str


def parse_signature(armored: str) -> SignatureParts:
    """Take one signature apart. Raises NoSignature."""
    if len(armored) > MOST:
        raise NoSignature(f"it has more than {MOST} characters")
    lines = [line.strip() for line in armored.removeprefix("\ufeff").strip().splitlines()]
    if len(lines) < 3 or lines[0] != BEGIN or lines[-1] != END:
        raise NoSignature(f"it does not begin with {BEGIN} and end with {END}")
    try:
        code = "".join(lines[1:-1])
        raw = base64.b64decode(code, validate=True)
    except (binascii.Error, ValueError):
        raise NoSignature("between its first and last line is no base64, or a second signature") from None
    if raw[:6] != MAGIC or raw[6:10] != b"\0\0\0\1":
        raise NoSignature("it is not of the format SSHSIG, version 1")
    rest = raw[10:]
    blob, rest = _string(rest)
    namespace, rest = _string(rest)
    _, rest = _string(rest)
    how, rest = _string(rest)
    signature, rest = _string(rest)
    if rest:
        raise NoSignature("something follows the signature")
    if how not in HASHES or _string(signature)[0] == b"ssh-rsa":
        raise NoSignature("it was made with SHA-1, or with another hash that OpenSSH does not take any more")
    try:
        return SignatureParts(blob, namespace.decode("ascii"), _touched(signature), _armored(code))
    except UnicodeDecodeError:
        raise NoSignature("its namespace has other letters than ASCII") from None


def _armored(code: str) -> str:
    """As ssh-keygen reads it: other programs leave it with other line ends, or blanks before its lines."""
    return "\n".join([BEGIN, *(code[start : start + 70] for start in range(0, len(code), 70)), END, ""])


def _touched(signature: bytes) -> bool:
    """The flag of a signature by hardware; others have none."""
    kind, rest = _string(signature)
    if not kind.startswith(b"sk-"):
        return False
    _, flags = _string(rest)
    return len(flags) == 5 and bool(flags[0] & PRESENT)


def _string(raw: bytes) -> tuple[bytes, bytes]:
    """One string with its length before it, and what follows."""
    size = int.from_bytes(raw[:4], "big")
    if len(raw) < 4 + size or len(raw) < 4:
        raise NoSignature("it is cut off")
    return raw[4 : 4 + size], raw[4 + size :]
