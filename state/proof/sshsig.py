"""Signatures as OpenSSH makes them (`ssh-keygen -Y sign`), of Ed25519 keys; `ssh-keygen -Y verify` gives the same."""

from __future__ import annotations

from base64 import b64encode
from binascii import Error, a2b_base64
from hashlib import sha256, sha512

from state.proof.ed25519 import verified

ED25519 = b"ssh-ed25519"
MAGIC = b"SSHSIG"
VERSION = (1).to_bytes(4, "big")
HASHES = (b"sha512",)
BEGIN, END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"


def bare(armoured: str) -> str:
    """What stands between the lines that begin and end a signature, in one line. Raises ValueError."""
    lines = armoured.split()
    text = " ".join(lines)
    if not (text.startswith(BEGIN) and text.endswith(END)):
        raise ValueError("not a signature of ssh-keygen")
    return text[len(BEGIN) : -len(END)].replace(" ", "")


def armoured(signature: str) -> str:
    """The same as ssh-keygen writes and reads it."""
    lines = [signature[start : start + 70] for start in range(0, len(signature), 70)]
    return "\n".join([BEGIN, *lines, END, ""])


def fingerprint(public: str) -> str:
    """A public key (`ssh-ed25519 AAAA…`) as people compare it: `SHA256:…`, empty for what is none."""
    try:
        return "SHA256:" + b64encode(sha256(_blob(public)).digest()).decode().rstrip("=")
    except ValueError:
        return ""


def wrong(public: str, message: bytes, signature: str, namespace: str) -> str:
    """Why a signature (in one line) of a message is not that of the public key; empty when it is."""
    try:
        key, blob = _blob(public), a2b_base64(signature, strict_mode=True)
        if not blob.startswith(MAGIC + VERSION):
            return "it is no signature"
        named, space, reserved, how, signed = _fields(blob[len(MAGIC) + 4 :], 5)
        kind, raw = _fields(signed, 2)
        if named != key:
            return "it was made with another key"
        if space != namespace.encode():
            return "it was made for something else"
        if reserved or how not in HASHES or kind != ED25519:
            return "it is of another form"
        told = MAGIC + b"".join(map(_string, (space, reserved, how, sha512(message).digest())))
        return "" if verified(_fields(key, 2)[1], told, raw) else "it does not fit what it stands under"
    except (ValueError, Error):
        return "it cannot be read"


def _blob(public: str) -> bytes:
    """The bytes of a public key. Raises ValueError unless it is an Ed25519 key in its one form."""
    kind, _, rest = public.partition(" ")
    blob = a2b_base64(rest.split(" ")[0], strict_mode=True)
    named, raw = _fields(blob, 2)
    if kind.encode() != ED25519 or named != ED25519 or len(raw) != 32:
        raise ValueError("not an Ed25519 key")
    return blob


def _fields(data: bytes, count: int) -> list[bytes]:
    """So many strings, each behind its length, and nothing more. Raises ValueError."""
    found: list[bytes] = []
    for _ in range(count):
        length = int.from_bytes(data[:4], "big")
        if len(data) < 4 + length or len(data) < 4:
            raise ValueError("too short")
        found.append(data[4 : 4 + length])
        data = data[4 + length :]
    if data:
        raise ValueError("too long")
    return found


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data
