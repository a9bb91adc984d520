"""A password and its SCRAM-SHA-256 verifier (RFC 5802, RFC 7677), made by the process of the one who will use it.

Only the verifier is sent: with it a server proves a password, and nobody can log in with it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets

ITERATIONS = 4096
SALT = 16
VERIFIER = re.compile(r"SCRAM-SHA-256\$[0-9]{4,7}:[A-Za-z0-9+/=]{20,60}\$[A-Za-z0-9+/=]{44}:[A-Za-z0-9+/=]{44}")
"""How PostgreSQL keeps it."""


def new_secret() -> str:
    """192 random bits, of letters, digits, `-` and `_`: SASLprep leaves them as they are."""
    return secrets.token_urlsafe(24)


def verifier(secret: str, salt: bytes | None = None) -> str:
    """What the server keeps of a secret. Raises ValueError for one that is not ASCII: it would have to be prepared."""
    if not secret.isascii() or not secret.isprintable():
        raise ValueError("a secret of printable ASCII characters")
    salt = secrets.token_bytes(SALT) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", secret.encode(), salt, ITERATIONS)
    client, server = (hmac.new(salted, part, hashlib.sha256).digest() for part in (b"Client Key", b"Server Key"))
    stored = hashlib.sha256(client).digest()
    salt64, stored64, server64 = (base64.b64encode(each).decode() for each in (salt, stored, server))
    return f"SCRAM-SHA-256${ITERATIONS}:{salt64}${stored64}:{server64}"


def fingerprint(text: str) -> str:
    """The hash by which a verifier is known again, as the target has it."""
    return hashlib.sha256(text.encode()).hexdigest()
