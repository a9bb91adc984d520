"""Connection strings of libpq (`host=… port=…`), as far as a standby's upstream needs them.

Source: PostgreSQL manual, "Connection Strings". URIs are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_PAIR = re.compile(r"\s*(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)*)")
_MORE = re.compile(r"\S")
_SECRETS = frozenset({"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"})
DEFAULT_PORT = "5432"
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def of_conninfo(text: str) -> tuple[str, str]:
    """Host and port; empty where it names none or is not read."""
    try:
        pairs = dict(_pairs(text))
    except ValueError:
        return "", ""
    host = pairs.get("hostaddr") or pairs.get("host", "")
    return host, pairs.get("port", "") or DEFAULT_PORT


def with_place(text: str, host: str, port: str) -> str:
    """The same string with another place. Raises ValueError for one with a password, and for one that is not read."""
    pairs = dict(_pairs(text))
    if secrets := sorted(_SECRETS & pairs.keys()):
        told = "a password" if "password" in secrets else secrets[0]
        raise ValueError(f"its primary_conninfo has {told}, which is not sent anywhere; use passfile")
    for gone in ("hostaddr", "host", "port"):
        pairs.pop(gone, None)
    return " ".join(f"{name}={_quoted(value)}" for name, value in {"host": host, "port": port, **pairs}.items())


def same_place(one: tuple[str, int], other: tuple[str, str]) -> bool:
    """Whether two places are the same, as far as their names tell."""
    here = one[0] in _LOCAL or one[0].startswith("/")
    there = other[0] in _LOCAL or other[0].startswith("/")
    return str(one[1]) == other[1] and (one[0].lower() == other[0].lower() or (here and there))


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while _MORE.search(text, at):
        found = _PAIR.match(text, at)
        if found is None or found.end() == at:
            raise ValueError("its primary_conninfo cannot be read")
        value = found[2]
        value = value[1:-1] if value.startswith("'") else value
        yield found[1], re.sub(r"\\(.)", r"\1", value)
        at = found.end()


def _quoted(value: str) -> str:
    if value and not re.search(r"[\s'\\]", value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
