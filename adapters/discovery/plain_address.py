"""Addresses that have a user, a password or a token in them: never asked, never written, never shown."""

from __future__ import annotations

import re

from state.config_files.literal_secrets import contains_a_secret

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]+")


def has_a_credential(address: str) -> bool:
    """Whether it names a user, or has what looks like a secret. In a path `@` parts a worker's number (`@1`), and
    before a host of ssh the account."""
    if contains_a_secret(address):
        return True
    if address.startswith(("ssh://", "/", ".", "~")):
        return False
    return "@" in address if _SCHEME.match(address) or ":" in address else False


def without_credential(address: str) -> str:
    """What may be shown of it: the scheme, and the host after the last `@`; nothing else of it."""
    scheme = _SCHEME.match(address)
    rest = address[scheme.end() :] if scheme else address
    if "@" in rest:
        rest = rest.rpartition("@")[2]
    host = _HOST.match(rest)
    return f"{scheme[0] if scheme else ''}…{host[0] if host else ''}"
