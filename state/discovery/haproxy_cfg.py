"""What a haproxy.cfg says: backends with their servers, and the sockets of the runtime API. Nothing else is kept: such
files have passwords (userlists, health checks), which must not leave this module.

Syntax: HAProxy configuration manual, sections 2.2 "Quoting and escaping", 2.4 "Conditional blocks", 4 and 5.2. Of
conditional blocks every branch is read, since only the starting process knows which one holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from state.discovery.found import FoundBackend, FoundBalancer, FoundServer

_SECTIONS_WORDS = """
global defaults frontend backend listen peers resolvers mailers userlist cache program http-errors ring log-
forward log-profile fcgi-app crt-store traces acme healthcheck
"""
SECTIONS = frozenset(_SECTIONS_WORDS.split())
PROXIES = frozenset({"frontend", "backend", "listen"})
MOST_OF_A_TEMPLATE = 1_000
_WITH_VALUE_WORDS = """
addr agent-addr agent-inter agent-port agent-send alpn ca-file ca-verify-file check-alpn check-proto check-sni
ciphers ciphersuites cookie crl-file crt curves error-limit fall fastinter downinter id init-addr init-state
inter log-bufsize log-proto max-reuse maxconn maxqueue minconn namespace npn observe on-error on-marked-down
on-marked-up pool-low-conn pool-max-conn pool-purge-delay port proto redir resolve-net resolve-opts resolve-
prefer resolvers rise sni socks4 source guid hash-key slowstart tcp-ut track verify verifyhost ws
"""
_WITH_VALUE = frozenset(_WITH_VALUE_WORDS.split())
"""Options of a server that are followed by a value, which may be a word that is an option elsewhere."""
_NUMBERS = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?")
_WORD = re.compile(r"""(?:\\.|"(?:\\.|[^"\\])*"|'[^']*'|[^\s#"'\\])+""")

ROLE_PAGES = frozenset(
    f"/{page}"
    for page in (
        "primary", "master", "leader", "read-write", "replica", "read-only", "standby-leader", "standby_leader",
        "synchronous", "sync", "read-only-sync", "asynchronous", "async", "quorum", "read-only-quorum",
    )
)  # fmt: skip
"""Pages of Patroni that tell whether a member has a role (its documentation, "Health check endpoints")."""


@dataclass(slots=True)
class _Section:
    """A section as it is read; `servers` by name, since branches may repeat one."""

    kind: str
    name: str = ""
    mode: str = ""
    checked: bool = False
    by_role: bool = False
    disabled: bool = False
    default_weight: int = 1
    servers: dict[str, FoundServer] = field(default_factory=dict)


@dataclass(slots=True)
class _Read:
    """All that was read; `sockets` with their level, in the file's order."""

    proxies: dict[str, _Section] = field(default_factory=dict)
    defaults: dict[str, _Section] = field(default_factory=dict)
    sockets: list[tuple[str, str]] = field(default_factory=list)
    binds: dict[str, None] = field(default_factory=dict)
    known: int = 0


def words_of(line: str) -> list[str]:
    """The words of a line without its comment, quotes and escapes undone. Variables stay as they are written."""
    words, place = [], 0
    while place < len(line):
        if line[place].isspace():
            place += 1
            continue
        found = _WORD.match(line, place)
        if found is None:  # a comment, or a quote that is not closed
            break
        words.append(_plain(found[0]))
        place = found.end()
    return words


def _plain(word: str) -> str:
    out, place = [], 0
    while place < len(word):
        char = word[place]
        if char == "\\" and place + 1 < len(word):
            out.append(word[place + 1])
            place += 2
            continue
        if char in "\"'":
            end = place + 1
            while end < len(word) and word[end] != char:
                end += 2 if char == '"' and word[end] == "\\" else 1
            inner = word[place + 1 : end]
            out.append(re.sub(r"\\(.)", r"\1", inner) if char == '"' else inner)
            place = end + 1
            continue
        out.append(char)
        place += 1
    return "".join(out)


def parse_haproxy_cfg(text: str, address: str) -> FoundBalancer | None:
    """What a configuration says; None when it has no section of HAProxy. `address` is the file."""
    read = _Read()
    section = _Section("")
    for line in text.replace("\r\n", "\n").replace("\\\n", " ").splitlines():
        words = words_of(line)
        if not words or words[0].startswith("."):
            continue
        if words[0] in SECTIONS:
            read.known += 1
            section = _begin(read, words)
        else:
            _take(read, section, words)
    if not read.known:
        return None
    backends = tuple(
        FoundBackend(name, tuple(_settled(proxy)), proxy.mode or "tcp", proxy.by_role)
        for name, proxy in read.proxies.items()
        if proxy.servers
    )
    socket, level = _best(read.sockets)
    return FoundBalancer(address, socket, backends, level=level, binds=tuple(read.binds), from_file=True)


def _begin(read: _Read, words: Sequence[str]) -> _Section:
    kind, name = words[0], words[1] if len(words) > 1 else ""
    base = read.defaults.get(words[words.index("from") + 1]) if "from" in words[:-1] else read.defaults.get("")
    if kind == "defaults":
        made = _Section(kind, name, mode=base.mode if base and "from" in words else "")
        read.defaults[""] = read.defaults[name] = made
        return made
    made = _Section(kind, name)
    if kind in PROXIES:
        if base is not None:
            made.mode, made.checked, made.default_weight = base.mode, base.checked, base.default_weight
        if kind != "frontend" and name:
            made = read.proxies.setdefault(name, made)
    return made


def _take(read: _Read, section: _Section, words: Sequence[str]) -> None:
    first, second = words[0], words[1] if len(words) > 1 else ""
    if section.kind == "global":
        if (first, second) == ("stats", "socket") and len(words) > 2:
            read.sockets.append((socket_of(words[2]), _after(words, "level") or "operator"))
    elif section.kind in (*PROXIES, "defaults") and second:
        if first == "mode":
            section.mode = second
        elif first == "default-server":
            options = _options(words[1:])
            section.checked = section.checked or options.checked
            section.default_weight = options.weight
        elif first in ("option", "http-check"):
            section.by_role = section.by_role or _asks_for_a_role(words)
        elif first == "bind":
            read.binds |= dict.fromkeys(_addresses(second))
        elif section.kind != "frontend":
            _take_server(section, words)
    elif section.kind in ("backend", "listen") and first in ("disabled", "enabled"):
        section.disabled = first == "disabled"


def _asks_for_a_role(words: Sequence[str]) -> bool:
    """Whether a line sets a health check that asks a database for its role, or whether it is one."""
    if tuple(words[:2]) == ("option", "pgsql-check"):
        return True
    sends = tuple(words[:2]) in (("option", "httpchk"), ("http-check", "send"))
    return sends and any(word.partition("?")[0] in ROLE_PAGES for word in words[2:])


def _take_server(section: _Section, words: Sequence[str]) -> None:
    if words[0] == "server" and len(words) > 2:
        section.servers[words[1]] = _server(section, words[1], words[2], words[3:])
    elif words[0] == "server-template" and len(words) > 3:
        for name in _names(words[1], words[2]):
            section.servers[name] = _server(section, name, words[3], words[4:])


def _server(section: _Section, name: str, address: str, options: Sequence[str]) -> FoundServer:
    read = _options(options, section.default_weight)
    checked = (read.checked or section.checked) and "no-check" not in options
    return replace(read, name=name, address=address, checked=checked)


def _options(options: Sequence[str], weight: int = 1) -> FoundServer:
    """What the options of a server say, in any order."""
    found = FoundServer("", weight=weight, checked=False)
    place = 0
    while place < len(options):
        word = options[place]
        after = options[place + 1] if place + 1 < len(options) else ""
        if word == "weight" and after.isdecimal():
            found = replace(found, weight=min(256, int(after)) if len(after) < 10 else 256)
        elif word == "backup":
            found = replace(found, backup=True)
        elif word == "disabled":
            found = replace(found, disabled=True)
        elif word in ("check", "track", "agent-check"):
            found = replace(found, checked=True)
        place += 2 if word in _WITH_VALUE or word == "weight" else 1
    return found


def _settled(proxy: _Section) -> Sequence[FoundServer]:
    return [replace(each, disabled=each.disabled or proxy.disabled) for each in proxy.servers.values()]


def _names(prefix: str, numbers: str) -> list[str]:
    found = _NUMBERS.fullmatch(numbers)
    if found is None:
        return []
    first, last = (1, int(found[1])) if found[2] is None else (int(found[1]), int(found[2]))
    return [f"{prefix}{number}" for number in range(first, min(last, first + MOST_OF_A_TEMPLATE - 1) + 1)]


def _after(words: Sequence[str], word: str) -> str:
    return next((words[at + 1] for at, each in enumerate(words[:-1]) if each == word), "")


def socket_of(word: str) -> str:
    """A socket as an estate names it: an absolute path or host:port; empty for what is neither."""
    if "$" in word:
        return ""
    path = word.removeprefix("unix@")
    if path.startswith("/"):
        return path
    if word.startswith(("fd@", "abns@", "abnsz@", "sockpair@", "unix@")):
        return ""
    host, colon, port = re.sub(r"^(?:ipv4|ipv6|tcp4?6?)@", "", word).rpartition(":")
    if not colon or not port.isdecimal():
        return ""
    host = host.strip("[]")
    if host in ("", "*", "0.0.0.0", "::"):  # noqa: S104 - it is read, nothing listens here
        host = "127.0.0.1"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_LEVELS: Mapping[str, int] = {"admin": 0, "operator": 1, "user": 2}


def _best(sockets: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """The socket that allows most, a path before an address."""
    usable = [each for each in sockets if each[0]]
    return min(usable, key=lambda s: (_LEVELS.get(s[1], 3), not s[0].startswith("/")), default=("", ""))


def _addresses(word: str) -> list[str]:
    """The addresses of a `bind` line that are of one host: none for all addresses, loopback and paths."""
    found = []
    for each in word.split(","):
        host = re.sub(r"^(?:ipv4|ipv6|tcp4?6?|quic4?6?)@", "", each).rpartition(":")[0].strip("[]")
        try:
            parsed = ip_address(host)
        except ValueError:
            continue
        if not (parsed.is_unspecified or parsed.is_loopback):
            found.append(str(parsed))
    return found
