"""Sources that gave nothing fresh: which, since when, and who is not judged because of them."""

from __future__ import annotations

from state.api.views.causes import Cause, Forecast, ForecastKind, SubjectKind, Victim
from state.estate.model import Estate
from state.health import Health
from state.verdicts.cause_parts import hand
from state.verdicts.evidence import no_data_reason
from state.verdicts.reach import names_of
from state.world.freshness import Freshness
from state.world.world import World

ROLES = {"metrics": "figures", "alerts": "alerts", "balancer": "servers", "dns": "answers", "patroni": "Patroni"}
"""What each role of source tells. Servers of databases and probes are judged with what they belong to."""


def source_causes(
    estate: Estate, world: World, now_mono: float, unknown: frozenset[str], told: frozenset[str] = frozenset()
) -> list[Cause]:
    """One cause for each silent source but those in `told`, of which another cause tells. It makes unknown what nothing
    else speaks for (`unknown`: services that are); otherwise it warns."""
    found: list[Cause] = []
    for key, seen in world.observed.items():
        role, _, name = key.partition(":")
        if (
            role not in ROLES
            or key in told
            or seen.freshness(now_mono) is Freshness.FRESH
            or _with_its_node(key, world, now_mono)
        ):
            continue
        victims = _victims(estate, role, name, unknown)
        blind = role == "alerts" or any(v.name in unknown for v in victims)
        manager = role == "patroni"
        shown = f"Patroni {name.partition('/')[2]}" if manager else name
        silent = "has not answered yet" if seen.mono is None else "does not answer"
        what = f"{silent} here" if manager else f"its {ROLES[role]} are unknown, it {silent}"
        steps = (
            f"By hand: does {shown} run, and does this engine's host reach it? The engine asks again by itself."
            f" Last: {no_data_reason(seen)}."
        )
        found.append(
            Cause(
                key=f"source/{key}",
                kind=SubjectKind.SOURCE,
                name=shown,
                health=Health.UNKNOWN if blind else Health.WARN,
                since_mono=seen.mono,
                what=what,
                detail=f"{key}: {no_data_reason(seen)}",
                victims=victims,
                forecast=Forecast(ForecastKind.RETRY, "The engine asks again by itself", None),
                next=hand("by hand", steps),
                sources=(key,),
                loud=False,
            )
        )
    return found


def _with_its_node(key: str, world: World, now_mono: float) -> bool:
    """Whether a manager is silent together with its server: then the node is the cause."""
    if not key.startswith("patroni:"):
        return False
    server = world.observed.get(f"postgres:{key.partition(':')[2]}")
    return server is None or server.error is not None or server.freshness(now_mono) is not Freshness.FRESH


def _victims(estate: Estate, role: str, name: str, unknown: frozenset[str]) -> tuple[Victim, ...]:
    """The services that are judged by the source, and whether anything else still speaks for them."""
    found: list[Victim] = []
    for service, entry in estate.services.items():
        uses = {
            "metrics": entry.metrics is not None and name in entry.metrics.monitors,
            "balancer": entry.traffic is not None and name in entry.traffic.balancers,
            "dns": any(zone == name.partition("@")[0] for zone, _ in names_of(estate, service)),
        }.get(role, False)
        if uses:
            why = "not judged without it" if service in unknown else "judged by its other sources"
            found.append(Victim(SubjectKind.SERVICE, service, why))
    return tuple(found)
