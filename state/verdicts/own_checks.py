"""Verdicts on an estate's own checks, and the causes of those that no service is judged by."""

from __future__ import annotations

from state.api.views.causes import Cause, SubjectKind
from state.estate.model import Estate
from state.health import Health
from state.verdicts.cause_parts import hand
from state.verdicts.evidence import no_data_reason
from state.world.readings import OwnCheckReading
from state.world.world import World


def check_key(name: str) -> str:
    """The key of a check's source."""
    return f"check:{name}"


def own_verdict(name: str, world: World, now_mono: float) -> tuple[Health, str]:
    """Its verdict by a fresh reading, and what was read; no fresh reading is unknown."""
    reading = world.fresh(check_key(name), OwnCheckReading, now_mono)
    if reading is None:
        return Health.UNKNOWN, f"{name}: {no_data_reason(world.observed.get(check_key(name)))}"
    return reading.health, f"{name}: {reading.message}"


def own_check_causes(estate: Estate, world: World, now_mono: float) -> list[Cause]:
    """One cause for each check that does not pass and belongs to no service."""
    used = {name for service in estate.services.values() for name in service.objectives.checks}
    found: list[Cause] = []
    for name, entry in estate.checks.items():
        health, message = own_verdict(name, world, now_mono)
        if name in used or health is Health.PASS:
            continue
        what = message.removeprefix(f"{name}: ")
        steps = f"By hand: it is a check of this estate ({entry.title or name}); look at what it asks."
        found.append(
            Cause(
                key=f"check/{name}",
                kind=SubjectKind.OTHER,
                name=name,
                health=health,
                since_mono=None,
                what=f"its check {'fails' if health is Health.FAIL else 'is unknown'}: {what}",
                detail=message,
                victims=(),
                forecast=None,
                next=hand("by hand", steps),
                sources=(check_key(name),),
                loud=health is Health.FAIL,
            )
        )
    return found
