"""Sources that gave nothing fresh: which, since when, and who is not judged because of them."""

from __future__ import annotations

from state.api.views.causes import Cause, Forecast, ForecastKind, SubjectKind, Victim
from state.errors import Trouble
from state.estate.model import Estate
from state.health import Health
from state.text import cut_middle
from state.verdicts.cause_parts import hand
from state.verdicts.evidence import SHOWN, WAITING, no_data_reason
from state.verdicts.reach import names_of
from state.world.freshness import Freshness
from state.world.observed import Observed
from state.world.readings import Reading
from state.world.world import World

ROLES = {
    "metrics": "figures",
    "alerts": "alerts",
    "balancer": "servers",
    "dns": "answers",
    "resolver": "answers",
    "patroni": "Patroni",
    "store": "lock",
    "backup": "backups",
}
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
        manager = role in ("patroni", "store")
        shown = _shown(role, name)
        silent, advice = _silence(seen, shown)
        what = f"{silent} here" if manager or role == "backup" else f"its {ROLES[role]} are unknown, it {silent}"
        last = f"The engine asks again by itself. Last: {no_data_reason(seen)}."
        steps = f"By hand: {advice} {last}"
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


def _shown(role: str, name: str) -> str:
    if role == "backup":
        return f"backups of {name}"
    if role == "resolver":
        return f"resolver {name.partition('@')[2]}"
    if role not in ("patroni", "store"):
        return name
    return f"Patroni {name.partition('/')[2]}" if "/" in name else f"store of {name}"


def _silence(seen: Observed[Reading], shown: str) -> tuple[str, str]:
    """What a source does instead of answering well, and what to look at, by the kind of its trouble."""
    said = f": {cut_middle(seen.error.message, SHOWN)}" if seen.error is not None and seen.error.message else ""
    trouble = seen.error.trouble if seen.error is not None else None
    if trouble is Trouble.DENIED:
        return f"refuses this engine{said}", f"are the credential and the rights of this engine at {shown} right?"
    if trouble is Trouble.EMPTY and seen.error is not None and seen.error.message != WAITING:
        return f"answers without content{said}", f"is this the right address of {shown}, and does it have data?"
    if trouble is Trouble.TIMEOUT:
        return "does not answer in time", f"does {shown} run, and is its answer too slow or too large for `deadline`?"
    if trouble is Trouble.ERROR:
        return f"gives no usable answer{said}", f"{shown} was reached, so look at what it answers."
    silent = "has not answered yet" if seen.mono is None else "does not answer"
    return silent, f"does {shown} run, and does this engine's host reach it?"


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
