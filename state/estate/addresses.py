"""Addresses in files, checked without any lookup."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?):([0-9]{1,5})")


def wrong_address(text: str) -> str:
    """Empty when the text is host:port, else what was expected."""
    found = _ADDRESS.fullmatch(text)
    if found is None:
        return "an address host:port, such as 10.1.0.11:5432 or [fd00::11]:5432"
    return "" if 0 < int(found[2]) < 65_536 else "a port from 1 to 65535"


def wrong_url(text: str) -> str:
    """Empty when the text is an HTTP address without credentials, else what was expected."""
    host, scheme = host_and_scheme(text)
    if scheme not in {"http", "https"} or not host or not text.isprintable() or " " in text:
        return "an address that begins with https:// (or http://)"
    return ""


def host_and_scheme(url: str) -> tuple[str, str]:
    """Host and scheme, both empty when the text is no URL."""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "", parts.scheme) if parts.port != 0 else ("", "")
    except ValueError:
        return "", ""


def is_loopback(host: str) -> bool:
    """Whether the host is this machine, by its address or as `localhost`; nothing is looked up."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_ip(text: str, version: int) -> bool:
    """Whether the text is an address of IP version 4 or 6."""
    try:
        return ip_address(text).version == version
    except ValueError:
        return False
