"""Which state files a haproxy.cfg has its next process read, by backend.

HAProxy configuration manual, `server-state-file`, `server-state-base`, `load-server-state-from-file` and
`server-state-file-name`. A file that is named and that no backend loads is read by nobody.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from state.discovery.found import FoundServer
from state.discovery.haproxy_cfg import MOST_OF_A_TEMPLATE, SECTIONS, parse_haproxy_cfg, socket_of, words_of

LOAD, NAME = "load-server-state-from-file", "server-state-file-name"
FILE, BASE = "server-state-file", "server-state-base"
EACH_ITS_OWN = "use-backend-name"
EACH = "{backend}"
"""Stands for the name of a backend in the path of a file of its own."""
_NAMED = {"server": 2, "server-template": 3, "default-server": 0}
"""Lines about servers, and where the words end that name them."""


@dataclass(frozen=True, slots=True)
class StateLoading:
    """`loads`: the absolute path that each backend's next process reads, empty where it reads none. `file` is the one
    file of all that is named, `sockets` are those of the runtime API. `unsure`: it has conditions or variables, which
    only the starting process knows. `servers`: those of each backend by name; a backend with more than can be listed is
    not there. `drops`: its process gives up the account that started it."""

    file: str
    loads: Mapping[str, str]
    sockets: frozenset[str]
    unsure: bool
    servers: Mapping[str, Mapping[str, FoundServer]] = field(default_factory=dict)
    drops: bool = False

    @property
    def common(self) -> str:
        """The one path that all backends with a file read, with `{backend}` for the name where each has its own; empty
        where there is none or more than one."""
        read = {name: path for name, path in self.loads.items() if path}
        if self.unsure or not read:
            return ""
        if len(set(read.values())) == 1 and self.file in read.values():
            return self.file
        own = {f"{path.removesuffix(f'/{name}')}/{EACH}" for name, path in read.items() if path.endswith(f"/{name}")}
        return own.pop() if len(own) == 1 and all(p.endswith(f"/{n}") for n, p in read.items()) else ""


@dataclass(slots=True)
class _Proxy:
    """A section as it is read: where it loads from, and the name of its own file."""

    load: str = ""
    name: str = ""


@dataclass(slots=True)
class _Seen:
    """All that was read of the files."""

    file: str = ""
    base: str = ""
    unsure: bool = False
    drops: bool = False
    sockets: set[str] = field(default_factory=set)
    defaults: dict[str, _Proxy] = field(default_factory=dict)
    backends: dict[str, _Proxy] = field(default_factory=dict)


def state_loading(text: str) -> StateLoading:
    """What a configuration says of state files. Nothing else of it is kept."""
    seen, kind, proxy = _Seen(), "", _Proxy()
    for line in text.replace("\r\n", "\n").replace("\\\n", " ").splitlines():
        words = words_of(line)
        if not words:
            continue
        if words[0].startswith("."):
            seen.unsure = True
        elif words[0] in SECTIONS:
            kind, proxy = words[0], _begin(seen, words)
        elif kind == "global":
            _take_global(seen, words)
        elif words[0] in (LOAD, NAME):
            _take(proxy, words)
        elif words[0] in _NAMED and _varies(words):
            seen.unsure = True
    loads = {name: _path_of(name, each, seen) for name, each in seen.backends.items()}
    whole = _joined(seen.base, seen.file)
    named = (seen.file, seen.base, *(each.name for each in seen.backends.values()))
    unsure = seen.unsure or any("$" in name for name in named)
    return StateLoading(whole, loads, frozenset(seen.sockets), unsure, _servers(text), seen.drops)


def _servers(text: str) -> dict[str, dict[str, FoundServer]]:
    found = parse_haproxy_cfg(text, "")
    every = {each.name: {s.name: s for s in each.servers} for each in (found.backends if found else ())}
    return {name: servers for name, servers in every.items() if len(servers) < MOST_OF_A_TEMPLATE}


def _varies(words: Sequence[str]) -> bool:
    """Whether a variable is in the name of a server or in its weight."""
    weights = [words[at + 1] for at, word in enumerate(words[:-1]) if word == "weight"]
    return any("$" in word for word in (*words[1 : _NAMED[words[0]]], *weights))


def _begin(seen: _Seen, words: Sequence[str]) -> _Proxy:
    kind, name = words[0], words[1] if len(words) > 1 else ""
    base = seen.defaults.get(words[words.index("from") + 1]) if "from" in words[:-1] else None
    if kind == "defaults":
        name = "" if name == "from" else name
        seen.defaults[""] = seen.defaults[name] = made = _Proxy(base.load, base.name) if base else _Proxy()
        return made
    base = base or seen.defaults.get("") or _Proxy()
    made = _Proxy(base.load, base.name)
    return seen.backends.setdefault(name, made) if kind in ("backend", "listen") and name else made


def _take_global(seen: _Seen, words: Sequence[str]) -> None:
    second = words[1] if len(words) > 1 else ""
    if words[0] == FILE:
        seen.file = seen.file or second  # HAProxy keeps the first one
    elif words[0] == BASE:
        seen.base = seen.base or second
    elif words[0] in ("user", "uid"):
        seen.drops = True
    elif tuple(words[:2]) == ("stats", "socket") and len(words) > 2:
        seen.sockets.add(socket_of(words[2]))


def _take(proxy: _Proxy, words: Sequence[str]) -> None:
    second = words[1] if len(words) > 1 else ""
    if words[0] == LOAD:
        proxy.load = second
    else:
        proxy.name = "" if second == EACH_ITS_OWN else second


def _path_of(backend: str, proxy: _Proxy, seen: _Seen) -> str:
    if proxy.load == "global":
        return _joined(seen.base, seen.file)
    return _joined(seen.base, proxy.name or backend) if proxy.load == "local" else ""


def _joined(base: str, file: str) -> str:
    """The absolute path; empty where it depends on the folder in which the process was started."""
    path = os.path.join(base, file) if file else ""
    return os.path.normpath(path) if path.startswith("/") else ""
