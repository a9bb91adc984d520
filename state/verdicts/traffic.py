"""Balancers: how many servers serve, against which floor, and with which colour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from state.estate.colours import Colours, colour_of
from state.estate.model import Backups
from state.health import Health
from state.ports.balancer import ServerState
from state.units import percent
from state.world.balancer_parts import BalancerReading, Server


@dataclass(frozen=True, slots=True)
class ServerEffect:
    """What a change would set on one server; None leaves it as it is."""

    weight: int | None = None
    state: ServerState | None = None


@dataclass(frozen=True, slots=True)
class BackendVerdict:
    """One backend on one balancer: verdict, servers that serve against the floor, colours by weight."""

    health: Health
    message: str
    serving: int
    total: int
    floor: int
    active: str
    sessions: int


TAKES = ("OPEN", "FULL")
"""States of a frontend that takes connections; one that is full takes the next as soon as one ends."""


@dataclass(frozen=True, slots=True)
class WayIn:
    """Whether requests can come to a backend: pass, or what is wrong in words."""

    health: Health = Health.PASS
    fact: str = ""


def way_in(reading: BalancerReading, backend: str) -> WayIn:
    """A backend gets nothing while no frontend takes connections. Which of them leads to it is known of a section that
    is both; of the others one that is closed is told."""
    if backend in reading.listens:
        status = reading.frontends[backend]
        return WayIn() if status in TAKES else WayIn(Health.FAIL, f"its frontend takes no connections ({status})")
    leading = {name: status for name, status in reading.frontends.items() if name not in reading.listens}
    closed = [name for name, status in leading.items() if status not in TAKES]
    if not closed:
        return WayIn()
    told = ", ".join(f"{name} ({leading[name]})" for name in closed[:3])
    told += f" and {len(closed) - 3} more" if len(closed) > 3 else ""
    if len(closed) == len(leading):
        return WayIn(Health.FAIL, f"no frontend takes connections: {told}")
    return WayIn(Health.WARN, f"a frontend takes no connections: {told}")


OPEN = WayIn()


def after_effect(server: Server, effect: ServerEffect) -> Server:
    """The server's state after the effect; `ready` does not bring up a server that is down."""
    weight = server.weight if effect.weight is None else effect.weight
    if effect.state is None:
        return replace(server, weight=weight)
    return replace(server, weight=weight, drained=effect.state == "drain", maintenance=effect.state == "maint")


def taking(servers: Iterable[Server], backups: Backups = "reserve") -> list[Server]:
    """The servers that take new traffic: those in rotation, and backups only when none of the others is.

    Of several backups the first one takes all, with `option allbackups` (`backups` is `all`) each its share: HAProxy
    configuration manual, `backup` and `option allbackups`.
    """
    rotation = [s for s in servers if s.serving]
    main = [s for s in rotation if not s.backup]
    return main or (rotation if backups == "all" else rotation[:1])


def counted(servers: Iterable[Server], backups: Backups = "reserve") -> list[Server]:
    """The servers that count for a floor: they take traffic, and a check has answered for them.

    A backup counts only where the estate says so. Where the balancer checks no server at all, being in rotation counts:
    there is nothing else to go by, and `proven` says so.
    """
    everyone = list(servers)
    found = [s for s in taking(everyone, backups) if not s.backup or backups != "reserve"]
    return [s for s in found if s.checked] if proven(everyone) else found


def proven(servers: Iterable[Server]) -> bool:
    """Whether the balancer checks any of these servers."""
    return any(s.checked for s in servers)


def sure(servers: Iterable[Server], backups: Backups = "reserve") -> list[Server]:
    """Of those that count the ones whose last check passed: nothing is led to others as if they served, and nothing is
    taken away in trust on them. What a balancer still sends them is another question."""
    return [s for s in counted(servers, backups) if not s.failing]


def failing_words(servers: Iterable[Server]) -> str:
    """The servers that are up though their last check failed, as the end of a sentence; empty where there is none."""
    named = ", ".join(f"{s.name} ({s.status})" for s in servers if s.serving and s.failing)
    return f"; the last check failed: {named[:200]}" if named else ""


def floor_after(servers: Iterable[Server], effects: Mapping[str, ServerEffect], backups: Backups = "reserve") -> int:
    """How many servers would serve after the effects (by server name): the number that is compared with the floor."""
    unchanged = ServerEffect()
    return len(sure((after_effect(s, effects.get(s.name, unchanged)) for s in servers), backups))


def shares(servers: Sequence[Server], backups: Backups = "reserve") -> dict[str, float]:
    """Each server's share of new traffic by weight, 0 to 1; 0 for one that takes none."""
    found = taking(servers, backups)
    total = sum(s.weight * s.throttle for s in found)
    split = dict.fromkeys((s.name for s in servers), 0.0)
    return {**split, **{s.name: s.weight * s.throttle / total for s in found}} if total else split


def set_down(server: Server) -> bool:
    """Whether somebody set it down while no check runs that could bring it back. One whose first check is under way has
    begun so (`init-state down`)."""
    return not (server.up or server.checked or server.maintenance or server.agent or server.check or server.follows)


def reason_word(server: Server) -> str:
    """Why a server is as it is: the words of the agent that holds it out, whom it follows, else what its health check
    says. Down without a check is what somebody set."""
    if server.agent_says:
        return f"agent: {server.agent_says}"
    if server.unresolved:
        return "its name has no address"
    if server.follows:
        return f"follows {server.follows}"
    if set_down(server):
        return "set down by hand, its checks are off"
    if not server.up and not server.checked and server.check:
        return "its first check has not answered yet"
    if server.check_off:
        return "its checks are off"
    return server.check


def state_word(server: Server) -> str:
    """The server's state for people: maint, drain, down or ready."""
    if server.maintenance:
        return "maint"
    if server.drained:
        return "drain"
    return "ready" if server.up else "down"


def server_health(server: Server) -> Health:
    """Down fails; out of rotation warns; without a health check it is unknown."""
    if server.maintenance or server.drained:
        return Health.WARN
    if not server.up:
        return Health.FAIL
    return Health.PASS if server.checked else Health.UNKNOWN


def active_message(servers: Sequence[Server], colours: Colours, backups: Backups = "reserve") -> str:
    """Who takes the traffic, by colour, largest first: `green v42 100%`."""
    split: dict[str, float] = {}
    for name, share in shares(servers, backups).items():
        who = colour_of(colours, name) or name
        split[who] = split.get(who, 0.0) + share
    found = sorted(((share, name) for name, share in split.items() if share), key=lambda s: (-s[0], s[1]))
    if not colours and len(found) > 2:
        return f"{len(found)} servers"
    return " · ".join(f"{_named(name, colours)} {_whole(share)}" for share, name in found)


def _named(name: str, colours: Colours) -> str:
    return f"{name} {colours[name].release}".rstrip() if name in colours else name


def _whole(share: float) -> str:
    return percent(share).replace(".0%", "%")


def backend_verdict(
    servers: Sequence[Server],
    floor: int,
    colours: Colours,
    backups: Backups = "reserve",
    *,
    empty: bool = False,
    entry: WayIn = OPEN,
) -> BackendVerdict:
    """Judge one backend from one fresh reading: none serving fails, fewer than the floor or one down warns, and what no
    check has answered for is unknown. `empty`: the backend is there and has no server. `entry`: whether requests can
    come to it."""
    found = counted(servers, backups)
    health, message = _backend_finding(servers, found, floor, backups, empty)
    worse = {Health.FAIL: health is not Health.FAIL, Health.WARN: health is Health.PASS}
    if servers and worse.get(entry.health, False):
        health, message = entry.health, entry.fact
    return BackendVerdict(
        health,
        message,
        len(found),
        len(servers),
        floor,
        active_message(servers, colours, backups),
        sum(s.sessions for s in servers),
    )


def _backend_finding(
    servers: Sequence[Server], found: Sequence[Server], floor: int, backups: Backups, empty: bool
) -> tuple[Health, str]:
    carrying = taking(servers, backups)
    down = [s for s in servers if state_word(s) == "down"]
    blind = [s for s in carrying if not s.checked]
    if not servers:
        return (Health.FAIL, "it has no server") if empty else (Health.UNKNOWN, "the balancer has no such backend")
    if not carrying:
        return Health.FAIL, "no server serves"
    if len(blind) == len(carrying):
        return Health.UNKNOWN, f"{len(carrying)} of {len(servers)} in rotation, none checked"
    if carrying[0].backup:
        return Health.WARN, f"only {'backups serve' if len(carrying) > 1 else f'the backup {carrying[0].name} serves'}"
    if len(found) < floor and len(carrying) >= floor:
        named = ", ".join(s.name for s in blind[:3])
        return Health.UNKNOWN, f"{len(found)} of {len(servers)} serve, floor {floor}; not checked: {named}"
    if len(found) < floor:
        return Health.WARN, f"{len(found)} of {len(servers)} serve, floor {floor}"
    if down:
        named = ", ".join(f"{s.name} down" + (f" ({reason_word(s)})" if reason_word(s) else "") for s in down[:3])
        return Health.WARN, named + (f" and {len(down) - 3} more" if len(down) > 3 else "")
    reserve = sum(s.backup for s in servers)
    waiting = f", {reserve} in reserve" if reserve else ""
    return Health.PASS, f"{len(found)} of {len(servers) - reserve} serve{waiting}"


def frontend_verdict(servers: Sequence[Server], role: str, aside: Mapping[str, str]) -> BackendVerdict:
    """Judge a backend that leads to a database by role; `aside` has the servers down because of the other role.

    Writes go to exactly one server; reads want at least one.
    """
    carrying = taking(servers)
    serving = [s.name for s in carrying]
    lost = [s.name for s in servers if not s.serving and s.name not in aside]
    names = ", ".join(serving)
    if role == "primary" and len(serving) != 1:
        health, message = Health.FAIL, f"writes go to {names}" if serving else "no server takes writes"
    elif not serving:
        health, message = Health.WARN, "no standby takes reads"
    else:
        health, message = Health.PASS, f"{'writes' if role == 'primary' else 'reads'} go to {names}"
    blind = [s.name for s in carrying if not s.checked]
    if blind and health is Health.PASS:
        health, message = Health.UNKNOWN, f"{message}; not checked: {', '.join(blind)}"
    if lost and health is Health.PASS:
        health, message = Health.WARN, f"{message}; {', '.join(lost)} down"
    sessions = sum(s.sessions for s in servers)
    return BackendVerdict(health, message, len(serving), len(servers), 1, active_message(servers, {}), sessions)


def admin_state(server: Server) -> str:
    """What an operator set; a health check that fails or steps aside is not drift."""
    word = state_word(server)
    return "ready" if word == "down" or (word == "drain" and server.aside) else word
