"""What names tell: sites, colours, roles, services. Only words that are used for these things everywhere count."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence

from state.config_files.explain import NAME_PATTERN

VALID = re.compile(NAME_PATTERN)
LONGEST = 63
_PARTS = re.compile(r"[^A-Za-z0-9]+")
_DIRECTIONS = frozenset({"east", "west", "north", "south", "central"})
_SITE_WORDS = re.compile(
    r"(?:dc|az|site|zone|region|rz|pop|rack)[-_]?(?:\d{1,3}|[a-h])"
    r"|(?:us|eu|ap|sa|ca|me|af|uk|il|cn)[-_](?:gov[-_])?(?:north|south|east|west|central)+[-_]?\d?[a-f]?"
    r"|(?:fra|ams|lon|lhr|par|cdg|dub|nyc|sfo|sjc|iad|dfw|ord|sea|atl|mia|lax|sin|hkg|nrt|tyo|syd|blr|bom|gru|waw|vie"
    r"|zrh|mad|mil|sto|osl|cph|hel|ber|muc|ham|nbg|fsn|hil)\d{0,3}"
)
_SITE_TAGS = ("site", "datacenter", "data_center", "dc", "zone", "region", "location")
COLOUR_WORDS: Sequence[tuple[str, str]] = (("blue", "green"), ("live", "standby"), ("stable", "canary"), ("old", "new"))
COLOUR_PAIRS: Sequence[tuple[str, str]] = (("a", "b"), ("v1", "v2"))
"""Pairs that are also used for two equal servers: colours only while one of the two is idle."""
_PRIMARY = re.compile(
    r"(?:^|[^a-z]|pg|postgres|postgresql)(?:rw|primary|master|leader|write|writer|writes|readwrite)(?:[^a-z]|$)"
)
_STANDBY = re.compile(
    r"(?:^|[^a-z]|pg|postgres|postgresql)(?:ro|replica|replicas|standby|standbys|slave|read|reader|reads|readonly)(?:[^a-z]|$)"
)
_AFFIX = re.compile(
    r"^(?:bk|be|bck|backend|back|srv|app|svc|service)[-_.]+|(?<![-_.])[-_.]+(?:bk|be|bck|backend|back|pool|servers?)$"
)
_TOO_PLAIN = frozenset(
    {"admin", "haproxy", "stats", "socket", "sock", "stat", "info", "api", "runtime", "ctl", "control"}
)


def valid(name: str) -> bool:
    """Whether an estate can hold this name."""
    return VALID.fullmatch(name) is not None


def made_valid(name: str, taken: Collection[str] = (), fallback: str = "x") -> str:
    """The nearest name that an estate can hold and that is not taken; the same for the same input."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._")[:LONGEST].rstrip("-._")
    first = kept or fallback
    chosen, count = first, 1
    while chosen in taken:
        count += 1
        end = f"-{count}"
        chosen = f"{first[: LONGEST - len(end)]}{end}"
    return chosen


def site_in(name: str) -> str:
    """The site that a name tells, in lower case, or nothing. Only words for places count: `east`, `dc2`, `eu-west-1`,
    `fra1`."""
    lower = name.lower()
    if found := re.search(rf"(?<![a-z0-9])(?:{_SITE_WORDS.pattern})(?![a-z0-9])", lower):
        return found[0].replace("_", "-")
    return next((part for part in _PARTS.split(lower) if part in _DIRECTIONS), "")


def site_of(names: Iterable[str], tags: Mapping[str, str] | None = None) -> tuple[str, bool]:
    """The site of something by its tags, else by its names, and whether a tag told it."""
    for tag in _SITE_TAGS:
        value = (tags or {}).get(tag, "")
        if value:
            return made_valid(value.lower()), True
    return next((site for name in names if (site := site_in(name))), ""), False


def colours_in(names: Sequence[str], idle: Collection[str]) -> tuple[str, str] | None:
    """The two servers of a backend that are its colours, the first one by name; None where nothing tells two.

    `blue` and `green` do; `a` and `b` only while one of them is idle, since two equal servers are called so too.
    """
    if len(names) != 2:
        return None
    one, other = sorted(names)
    ends = [frozenset(part for part in _PARTS.split(each.lower()) if part) for each in (one, other)]
    for pairs, needs_idle in ((COLOUR_WORDS, False), (COLOUR_PAIRS, True)):
        for first, second in pairs:
            told = (first in ends[0] and second in ends[1]) or (second in ends[0] and first in ends[1])
            if told and (not needs_idle or len(set(idle) & {one, other}) == 1):
                return one, other
    return None


def role_in(name: str) -> str:
    """`primary` or `standby` where a backend's name says which role its servers have, else nothing."""
    lower = name.lower()
    primary, standby = _PRIMARY.search(lower), _STANDBY.search(lower)
    if bool(primary) == bool(standby):
        return ""
    return "primary" if primary else "standby"


def service_in(backend: str) -> str:
    """The name of a service from that of its backend: `bk_checkout` and `checkout-backend` are `checkout`."""
    short = _AFFIX.sub("", backend)
    return short if valid(short) else backend


def same_service(one: str, other: str) -> bool:
    """Whether two names mean the same service but for case and separators."""
    return _PARTS.sub("", service_in(one).lower()) == _PARTS.sub("", service_in(other).lower()) != ""


def balancer_name(socket: str, node: str) -> str:
    """A name for a balancer: that of its socket's file where it tells something, else its host's."""
    stem = re.sub(r"\.(?:sock(?:et)?|cfg|conf)$", "", socket.rpartition("/")[2]) if socket.startswith("/") else ""
    told = [part for part in _PARTS.split(stem.lower()) if part and part not in _TOO_PLAIN and not part.isdigit()]
    if told:
        return stem
    return node.partition(".")[0] or "haproxy"
