"""What looks like a secret in a text from outside, hidden: for errors, whose text a target or a driver made.

The secrets that an estate names are hidden by their value (`adapters/concealed.py`); this is for all others.
"""

from __future__ import annotations

import re

HIDDEN = "***"
LONGEST = 8000
"""Characters of an error that are kept: nobody reads more."""
_USERINFO = re.compile(r"(://)[^\s/@:]{0,200}:[^\s@]{1,200}@")
_NAMED = re.compile(
    r"((?:pass(?:word|wd|phrase)|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|signature|session[_-]?id)"
    r"[\"']{0,2}(?:=|[\"']\s{0,3}:\s{0,3}|%3[dD])[\"']{0,2})[^\s&\"',;)}>]{1,500}",
    re.IGNORECASE,
)
_HEADER = re.compile(r"\b(Bearer|Basic|Digest|Negotiate) {1,3}[A-Za-z0-9+/=._~-]{8,2000}", re.IGNORECASE)
_TOKEN = re.compile(r"\beyJ[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{4,4000}(?:\.[A-Za-z0-9_-]{0,2000})?")
_KEY = "PRIVATE KEY-----"


def without_secrets(text: str) -> str:
    """The text with passwords in addresses, named values, authorization headers, tokens and private keys hidden."""
    text = text[:LONGEST]
    at = text.find(_KEY)
    if at >= 0:
        text = text[: at + len(_KEY)] + HIDDEN
    text = _USERINFO.sub(rf"\1{HIDDEN}@", text)
    text = _HEADER.sub(rf"\1 {HIDDEN}", text)
    text = _NAMED.sub(rf"\1{HIDDEN}", text)
    return _TOKEN.sub(HIDDEN, text)
