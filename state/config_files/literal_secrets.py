"""Finds secrets written in files where only references belong, and shows values without revealing a secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from state.config_files.paths import Path

HIDDEN = "a literal secret (not shown)"
_LONGEST = 60

_NAME = re.compile(
    r"(?:^|[_-]|(?<=[a-z])(?=[A-Z]))"
    r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|credential|authorization|bearer"
    r"|(?:access|account|api|app|auth|encryption|license|master|private|secret|shared|signing|ssh|ssl|tls|tsig)[_-]?key)s?$",
    re.IGNORECASE,
)
"""Names of secrets. `key` alone is the file of a client certificate, or a name that somebody chose."""
_LATER = re.compile(r"\$\{[^{}]*\}")
"""A value that is filled in when it is used is none yet."""
_LABELLED = re.compile(r"(?:pass(?:word|wd|phrase)|pwd|secret|token|api_?key)s?['\"]?\s*[=:]", re.IGNORECASE)
_TEXTS = (
    re.compile(r"\w://[^\s/@:]{0,200}:[^\s@]{0,200}@"),  # a password inside an address
    re.compile(r"(?:\b|_)(?:password|passwd|pwd|secret|token|api_?key)\s*=\s*[^\s&]", re.IGNORECASE),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    re.compile(r"^(?:Bearer|Basic)\s+\S{8,}", re.IGNORECASE),
)


def names_a_secret(key: str | int) -> bool:
    """Whether values under this key are secrets: `password`, `api_token`, `tls-key`, …"""
    return isinstance(key, str) and _NAME.search(key) is not None


def contains_a_secret(text: str) -> bool:
    """Whether the text itself contains a secret: `https://me:hunter2@host`, `password=…`, a private key."""
    return any(pattern.search(text) for pattern in _TEXTS)


def may_contain_a_secret(text: str) -> bool:
    """Whether the text must not be shown: it contains a secret, or something labelled as one."""
    return contains_a_secret(text) or _LABELLED.search(text) is not None


def literal_secrets(data: Any, path: Path = ()) -> Iterator[Path]:
    """The paths of all literal secrets. A mapping under a secret's name is a reference (`{file: …}`) and allowed."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from literal_secrets(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from literal_secrets(value, (*path, index))
    elif isinstance(data, str) and _LATER.fullmatch(data):
        return
    elif isinstance(data, str) and contains_a_secret(data):
        yield path
    elif isinstance(data, str | int | float) and not isinstance(data, bool):
        name = next((step for step in reversed(path) if isinstance(step, str)), "")
        if data != "" and (names_a_secret(name) or _is_tsig_key(path)) and not _is_a_code(data):
            yield path


def _is_tsig_key(path: Path) -> bool:
    """Whether it stands where a zone's key is: elsewhere `key` is a file or a name."""
    return len(path) == 3 and path[0] == "zones" and path[2] == "key"


def _is_a_code(data: str | int | float) -> bool:
    """Whether it is a number as an exit code is one, which `pass` and `fail` of a check name."""
    return isinstance(data, int) and 0 <= data <= 255


def shown(path: Path, value: Any) -> str:
    """A value as text for people: short, on one line, and never a secret."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if isinstance(value, int) and _is_a_code(value):
        return text
    if any(names_a_secret(step) for step in path) or _is_tsig_key(path) or may_contain_a_secret(text):
        return HIDDEN
    cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return repr(cut) if isinstance(value, str) else cut
