"""Balancers: how many servers serve, against which floor, and with which colour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from state.health import Health
from state.ports.balancer import ServerState
from state.units import percent
from state.world.readings import Server


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


def after_effect(server: Server, effect: ServerEffect) -> Server:
    """The server's state after the effect; `ready` does not bring up a server that is down."""
    weight = server.weight if effect.weight is None else effect.weight
    if effect.state is None:
        return replace(server, weight=weight)
    return replace(server, weight=weight, drained=effect.state == "drain", maintenance=effect.state == "maint")


def floor_after(servers: Iterable[Server], effects: Mapping[str, ServerEffect]) -> int:
    """How many servers would serve after the effects (by server name): the number that is compared with the floor."""
    unchanged = ServerEffect()
    return sum(after_effect(s, effects.get(s.name, unchanged)).serving for s in servers)


def shares(servers: Sequence[Server]) -> dict[str, float]:
    """Each server's share of new traffic by weight, 0 to 1; 0 for one that does not serve."""
    total = sum(s.weight for s in servers if s.serving)
    return (
        {s.name: s.weight / total if s.serving else 0.0 for s in servers}
        if total
        else dict.fromkeys((s.name for s in servers), 0.0)
    )


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
    return Health.UNKNOWN if server.status.lower() == "no check" else Health.PASS


def active_message(servers: Sequence[Server], colours: Mapping[str, str]) -> str:
    """Who takes the traffic, largest first: `green v42 100%`."""
    taking = sorted(((share, name) for name, share in shares(servers).items() if share), key=lambda s: (-s[0], s[1]))
    if not colours and len(taking) > 2:
        return f"{len(taking)} servers"
    return " · ".join(f"{_named(name, colours)} {_whole(share)}" for share, name in taking)


def _named(server: str, colours: Mapping[str, str]) -> str:
    return f"{server} {colours[server]}" if server in colours else server


def _whole(share: float) -> str:
    return percent(share).replace(".0%", "%")


def backend_verdict(servers: Sequence[Server], floor: int, colours: Mapping[str, str]) -> BackendVerdict:
    """Judge one backend from one fresh reading: none serving fails, fewer than the floor or one down warns."""
    serving = sum(s.serving for s in servers)
    down = [s for s in servers if state_word(s) == "down"]
    if not servers:
        health, message = Health.UNKNOWN, "the balancer has no such backend"
    elif not serving:
        health, message = Health.FAIL, "no server serves"
    elif serving < floor:
        health, message = Health.WARN, f"{serving} of {len(servers)} serve, floor {floor}"
    elif down:
        named = ", ".join(f"{s.name} down" + (f" ({s.check})" if s.check else "") for s in down[:3])
        health, message = Health.WARN, named + (f" and {len(down) - 3} more" if len(down) > 3 else "")
    else:
        health, message = Health.PASS, f"{serving} of {len(servers)} serve"
    return BackendVerdict(
        health,
        message,
        serving,
        len(servers),
        floor,
        active_message(servers, colours),
        sum(s.sessions for s in servers),
    )


def frontend_verdict(servers: Sequence[Server], role: str, aside: Mapping[str, str]) -> BackendVerdict:
    """Judge a backend that leads to a database by role; `aside` has the servers down because of the other role.

    Writes go to exactly one server; reads want at least one.
    """
    serving = [s.name for s in servers if s.serving]
    lost = [s.name for s in servers if not s.serving and s.name not in aside]
    names = ", ".join(serving)
    if role == "primary" and len(serving) != 1:
        health, message = Health.FAIL, f"writes go to {names}" if serving else "no server takes writes"
    elif not serving:
        health, message = Health.WARN, "no standby takes reads"
    else:
        health, message = Health.PASS, f"{'writes' if role == 'primary' else 'reads'} go to {names}"
    if lost and health is Health.PASS:
        health, message = Health.WARN, f"{message}; {', '.join(lost)} down"
    sessions = sum(s.sessions for s in servers)
    return BackendVerdict(health, message, len(serving), len(servers), 1, active_message(servers, {}), sessions)


def admin_state(server: Server) -> str:
    """What an operator set; a health check that fails or steps aside is not drift."""
    word = state_word(server)
    return "ready" if word == "down" or (word == "drain" and server.aside) else word
