"""Drift: a balancer's settings differ from those that the engine's confirmed effects left.

HAProxy loses run-time changes when it restarts or reloads; other people and programs change them too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from state.ports.target import Setting
from state.units import utc
from state.verdicts.traffic import admin_state
from state.world.readings import BalancerReading, Server

SettingKey = tuple[tuple[str, ...], str]
"""Place and name of a setting."""


def key_of(setting: Setting) -> SettingKey:
    """The key under which the expected value of a setting is kept."""
    return setting.place, setting.name


def settings_of(balancer: str, server: Server) -> tuple[Setting, ...]:
    """What people and effects set on a server, as it reads now; health is not a setting."""
    place = (balancer, server.backend, server.name)
    return Setting(place, "weight", str(server.weight)), Setting(place, "state", admin_state(server))


def drifts(now: BalancerReading, expected: Iterable[Setting], known_process: str) -> Mapping[str, str]:
    """Per backend, what differs from the expected settings; backends without a difference are left out.

    `known_process` is the process that last had the expected settings, empty when none is known.
    """
    found: dict[str, list[str]] = {}
    for setting in expected:
        balancer, backend, name = setting.place
        difference = _difference(now, setting, backend, name) if balancer == now.name else ""
        if difference:
            found.setdefault(backend, []).append(difference)
    cause = "changed from outside"
    if known_process and known_process != now.process:
        cause = f"runtime state lost: process restarted {utc(now.started_at)}"
    return {backend: f"{cause}, {', '.join(changed)}" for backend, changed in found.items()}


def _difference(now: BalancerReading, setting: Setting, backend: str, name: str) -> str:
    server = now.servers.get(f"{backend}/{name}")
    if server is None:
        return f"{name} is gone"
    current = next(s.value for s in settings_of(now.name, server) if s.name == setting.name)
    if current == setting.value:
        return ""
    what = f"{name} weight" if setting.name == "weight" else name
    return f"{what} {setting.value} → {current}"
