"""Why TLS was refused."""

from __future__ import annotations

import re
import ssl

_IN_TEXT = re.compile(r"\[SSL: ([A-Z0-9_]+)\]")
_ALERT = re.compile(r"^(?:TLSV\d+|SSLV3)_ALERT_")
NO_TLS = "rejected SSL upgrade"
"""How asyncpg says that a server has no TLS."""
MOST_CAUSES = 5


def tls_refusal(error: BaseException) -> str:
    """`TLS refused: …` of an error of TLS, also where a library made another one of it; empty for all else.

    With TLS 1.3 a server refuses a client's certificate after the handshake: that alert comes while data is read.
    """
    seen: list[BaseException] = []
    each: BaseException | None = error
    while each is not None and len(seen) < MOST_CAUSES:
        seen.append(each)
        each = each.__cause__
    for each in seen:
        if isinstance(each, ssl.SSLError):  # aiohttp's own are too, without a reason
            why = getattr(each, "verify_message", "") or getattr(each, "reason", "")
            if why:
                return f"TLS refused: {_words(why)}"
    text = next((found[1] for each in seen if (found := _IN_TEXT.search(str(each)))), "")
    if text:
        return f"TLS refused: {_words(text)}"
    none = any(isinstance(each, ConnectionError) and NO_TLS in str(each) for each in seen)
    return "TLS refused: the server has none" if none else ""


def _words(reason: str) -> str:
    alert = _ALERT.sub("", reason)
    return reason if alert == reason else f"the server says {alert.lower().replace('_', ' ')}"
