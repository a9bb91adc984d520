"""Balancers and the services behind them: which backends are services, floors, colours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from state.discovery.found import FoundBackend, FoundBalancer, FoundServer
from state.discovery.names import COLOUR_WORDS, balancer_name, colours_in, made_valid, service_in, valid
from state.discovery.placing import Placing
from state.discovery.proposal import Basis, Proposal, Tree, listed
from state.estate.addresses import is_loopback, wrong_address

LONGEST_SOCKET = 107


@dataclass(frozen=True, slots=True)
class Serving:
    """One backend on the balancers that have it, by the name of the balancer."""

    backend: str
    on: Mapping[str, FoundBackend]

    @property
    def measured(self) -> bool:
        """Whether a running process told it."""
        return any(each.measured for each in self.on.values())


def merged(balancers: Iterable[FoundBalancer]) -> list[FoundBalancer]:
    """One entry for each socket: what a process answers goes before what its file says, which adds where it listens."""
    found: dict[str, FoundBalancer] = {}
    for each in balancers:
        key = each.socket or each.address
        known = found.get(key)
        if known is None:
            found[key] = each
            continue
        asked, read = (known, each) if not known.from_file else (each, known)
        binds = tuple(dict.fromkeys((*asked.binds, *read.binds)))
        found[key] = replace(asked, binds=binds, state_file=asked.state_file or read.state_file)
    return list(found.values())


def named(balancers: Sequence[FoundBalancer]) -> dict[str, FoundBalancer]:
    """Each balancer with the name it gets."""
    names: dict[str, FoundBalancer] = {}
    for each in balancers:
        plain = balancer_name(each.socket or each.address, each.node)
        names[made_valid(plain, names, "haproxy")] = each
    return names


def is_plain(balancer: FoundBalancer) -> bool:
    """Whether its runtime API is a TCP socket of another machine."""
    socket = balancer.socket
    beyond = not is_loopback(socket.rpartition(":")[0].strip("[]"))
    return bool(socket) and not socket.startswith("/") and not wrong_address(socket) and beyond


def unusable(balancer: FoundBalancer) -> tuple[str, str]:
    """Why an estate cannot have this socket, and the way out; empty when it can."""
    socket = balancer.socket
    if not socket:
        why = "the configuration names no socket of the runtime API that can be reached"
        return why, "stats socket /run/haproxy/recovery.sock mode 660 level admin (in the section global)"
    if socket.startswith("/"):
        if len(socket.encode()) > LONGEST_SOCKET:
            return f"the path of its socket has more than {LONGEST_SOCKET} bytes", "a shorter path"
        return "", ""
    if wrong_address(socket):
        return f"{socket} is no address host:port", "a socket on a path"
    return "", ""


def propose_balancers(
    proposal: Proposal, balancers: Mapping[str, FoundBalancer], placing: Placing, waive: str
) -> list[str]:
    """Write the balancers; returns the names of those that are in the estate."""
    usable = []
    for name, each in balancers.items():
        path = ("balancers", name)
        site = placing.site(path, [name, each.node, each.socket, each.address])
        entry: Tree = {"kind": "haproxy", "site": site, "socket": each.socket or "/run/haproxy/recovery.sock"}
        why, way_out = unusable(each)
        if why:
            proposal.withhold(path, entry, why, way_out)
            proposal.say(f"balancers.{name}", f"{each.address}: {why}", way_out)
            continue
        plain = f"{each.socket} is a runtime API of another machine: no encryption, no password"
        if is_plain(each) and not proposal.goes_plain(path, entry, plain, waive):
            continue
        usable.append(name)
        if each.from_file:
            proposal.put(path, entry, Basis.GUESSED, f"{each.address} names this socket; it was not asked")
            text = "read from its file only: what serves now is not known"
            proposal.say(f"balancers.{name}", text, f"recovery init {each.socket}, with a right to that socket")
        else:
            proposal.put(path, entry, Basis.MEASURED, f"HAProxy {each.version} on {each.node or 'a host of no name'}")
        if each.state_file:
            text = f"a reload keeps what is set where {each.state_file} has it; the engine does not write it"
            proposal.say(f"balancers.{name}", text, f"state_file: {each.state_file}, where this account may write it")
        if each.level in ("user", "operator"):  # HAProxy's own default is operator
            text = f"its socket is at level {each.level}: servers can be read, and drained by nobody"
            proposal.say(f"balancers.{name}", text, "level admin at the end of the line stats socket")
    return usable


def servings(balancers: Mapping[str, FoundBalancer]) -> list[Serving]:
    """The backends of all balancers, one entry for each name, in their order."""
    found: dict[str, dict[str, FoundBackend]] = {}
    for name, balancer in balancers.items():
        for backend in balancer.backends:
            found.setdefault(backend.name, {})[name] = backend
    return [Serving(backend, on) for backend, on in found.items()]


def service_names(backends: Sequence[Serving]) -> dict[str, Serving]:
    """A service's name for each backend: without the usual affixes, unless two would be called the same."""
    short = [service_in(each.backend) for each in backends]
    names: dict[str, Serving] = {}
    for wanted, each in zip(short, backends, strict=True):
        name = wanted if short.count(wanted) == 1 and valid(wanted) else each.backend
        names[made_valid(name, names, "service")] = each
    return names


def propose_traffic(proposal: Proposal, service: str, serving: Serving) -> None:
    """The backend of a service, its floor and its colours."""
    path = ("services", service, "traffic")
    floor, basis, text = _floor(serving)
    proposal.put(path, {"balancers": list(serving.on), "backend": serving.backend})
    proposal.put((*path, "floor"), floor, basis, text)
    _colours(proposal, service, serving)
    where = f"services.{service}"
    everyone = [server for backend in serving.on.values() for server in backend.servers]
    unchecked = list(dict.fromkeys(server.name for server in everyone if not server.checked))
    if unchecked:
        text = f"{listed(unchecked)} of backend {serving.backend} has no health check: it shows as unknown, up or not"
        proposal.say(where, text, "the option check on its server line")
    if any(server.backup for server in everyone):
        names = list(dict.fromkeys(server.name for server in everyone if server.backup))
        proposal.say(where, f"{listed(names)} is a backup server: it is not counted for the floor", "")
    if serving.measured and not any(server.serving for server in everyone):
        proposal.say(
            where, f"no server of backend {serving.backend} serves now", "see why before you rely on this estate"
        )


def _floor(serving: Serving) -> tuple[int, Basis, str]:
    """Half of what serves on the balancer where fewest serve, rounded up from three on."""
    counts = [_counted(backend) for backend in serving.on.values()]
    least = min(counts)
    floor = 1 if least < 3 else (least + 1) // 2
    if not serving.measured:
        return floor, Basis.GUESSED, f"{least} in rotation by the file; what serves now is not known"
    return floor, Basis.PROPOSED, _serves_now(serving, least, len(counts))


def _serves_now(serving: Serving, least: int, balancers: int) -> str:
    """What serves, as far as it is known: without a health check nobody knows."""
    everyone = [server for backend in serving.on.values() for server in backend.servers]
    spare = list(dict.fromkeys(server.name for server in everyone if server.backup and server.serving))
    if least == 0:
        return f"no main server serves now, {listed(spare)} does as backup" if spare else "nothing serves now"
    where = " on each balancer" if balancers > 1 else ""
    main = [server for server in everyone if not server.backup and _takes(server)]
    blind = list(dict.fromkeys(server.name for server in main if not server.checked))
    if len(blind) == len({server.name for server in main}):
        return f"{least} in rotation{where}, none of them is checked"
    but = f"; {listed(blind)} without a check" if blind else ""
    return f"{least} {'serves' if least == 1 else 'serve'} now{where}{but}"


def _counted(backend: FoundBackend) -> int:
    main = [server for server in backend.servers if not server.backup]
    return sum(_takes(server) for server in main)


def _takes(server: FoundServer) -> bool:
    return server.serving if server.serving is not None else not server.idle


def _colours(proposal: Proposal, service: str, serving: Serving) -> None:
    path = ("services", service, "traffic", "colours")
    main = {name: [s for s in backend.servers if not s.backup] for name, backend in serving.on.items()}
    names = {tuple(sorted(server.name for server in servers)) for servers in main.values()}
    if len(names) != 1:
        return
    members = list(next(iter(names)))
    idle = {s.name for servers in main.values() for s in servers if s.waiting}
    pair = colours_in(members, idle)
    if pair is not None and all(valid(each) for each in pair):
        how = f"{listed(sorted(idle))} is idle" if len(idle) == 1 else "their names"
        proposal.put(
            path, {each: each for each in pair}, Basis.GUESSED, f"{how}; which release runs there is not known"
        )
        proposal.say(
            f"services.{service}.traffic.colours", "the release that each colour runs is not known", "server: release"
        )
    elif grouped := _groups(members):
        text = f"{' and '.join(grouped)} look like two groups of servers; colours are two servers, so none are written"
        proposal.say(f"services.{service}.traffic.colours", text, "drain one group and ready the other by a runbook")


def _groups(names: Sequence[str]) -> tuple[str, str] | None:
    """Two words for colours that part more than two servers."""
    if len(names) < 3:
        return None
    for first, second in COLOUR_WORDS:
        parted = [word for name in names for word in (first, second) if word in name.lower()]
        if len(parted) == len(names) and len(set(parted)) == 2:
            return first, second
    return None
