"""What to do where TLS was refused."""

from __future__ import annotations

WAYS = (
    ("the server has none", "let it have TLS (ssl = on), or waive it with a reason"),
    ("wrong version number", "it speaks no TLS: http:// in place of https://"),
    ("certificate required", "it asks for a client certificate: cert and key of the entry"),
    ("handshake failure", "it may ask for a client certificate: cert and key of the entry"),
    ("bad certificate", "another client certificate: cert and key of the entry"),
    ("unknown ca", "let it trust the authority of cert, or show another client certificate"),
    ("not yet valid", "look at its dates and at both clocks"),
    ("expired", "renew its certificate there: it has ended"),
    ("mismatch", "give its address by a name that its certificate has, or let its certificate have this one"),
)
"""The way out by what the reason contains, of the server's certificate where no other fits."""


def tls_way_out(message: str, ca: str = "`ca` of the entry") -> str:
    """The way out of `TLS refused: …`; empty for another message. `ca` is how an authority is named."""
    _, refused, why = message.partition("TLS refused: ")
    if not refused:
        return ""
    plain = why.lower().replace("_", " ")
    authority = f"{ca}: the file with the certificate of the authority that signed the server's"
    return next((way for part, way in WAYS if part in plain), authority)
