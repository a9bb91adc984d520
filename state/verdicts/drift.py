"""Drift: a balancer's settings differ from those that the engine's confirmed effects left.

HAProxy loses run-time changes when it restarts or reloads; other people and programs change them too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from state.ports.target import Setting
from state.units import utc
from state.verdicts.traffic import admin_state
from state.world.balancer_parts import BalancerReading, Server

SettingKey = tuple[tuple[str, ...], str]
"""Place and name of a setting."""


def key_of(setting: Setting) -> SettingKey:
    """The key under which the expected value of a setting is kept."""
    return setting.place, setting.name


def settings_of(balancer: str, server: Server) -> tuple[Setting, ...]:
    """What people and effects set on a server, as it reads now; health is not a setting."""
    place = (balancer, server.backend, server.name)
    return Setting(place, "weight", str(server.weight)), Setting(place, "state", admin_state(server))


@dataclass(frozen=True, slots=True)
class Difference:
    """A server whose setting differs from what an effect left, and the likely cause when it was first read."""

    backend: str
    message: str
    cause: str


def difference(now: BalancerReading, left: Setting, *, restarted: bool, known: Difference | None) -> Difference | None:
    """The difference to a setting that an effect left, None when there is none.

    `restarted`: the process is another one than when the setting was last as expected. `known` is the difference at
    the reading before: while it stays the same it keeps its cause.
    """
    message = _message(now, left)
    if not message:
        return None
    if known is not None and known.message == message:
        return known
    cause = f"runtime state lost: process restarted {utc(now.started_at)}" if restarted else "changed from outside"
    return Difference(left.place[1], message, cause)


def drifts(found: Iterable[Difference]) -> dict[str, str]:
    """Per backend, its differences by cause; backends without a difference are left out."""
    causes: dict[str, dict[str, dict[str, None]]] = {}
    for each in found:
        causes.setdefault(each.backend, {}).setdefault(each.cause, {})[each.message] = None
    return {
        backend: "; ".join(f"{cause}, {', '.join(messages)}" for cause, messages in by_cause.items())
        for backend, by_cause in causes.items()
    }


def _message(now: BalancerReading, left: Setting) -> str:
    _, backend, name = left.place
    if left.name == "route":
        found = [value for key, value in now.maps.get(backend, ()) if key == name]
        return "" if found == [left.value] else f"{name} → {left.value}, it is {', '.join(found) or 'gone'}"
    server = now.servers.get(f"{backend}/{name}")
    if server is None:
        return f"{name} is gone"
    current = next(s.value for s in settings_of(now.name, server) if s.name == left.name)
    if current == left.value:
        return ""
    if left.name != "weight":
        return f"{name} {left.value} → {current}"
    return f"{name} weight {left.value} → {'as its agent says' if server.agent else current}"
