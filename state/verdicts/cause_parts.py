"""What causes of databases are made of: the cause itself, a step by hand, and what managers and standbys say."""

from __future__ import annotations

from collections.abc import Mapping

from state.api.views.causes import Cause, Forecast, NextKind, NextStep, SubjectKind
from state.health import Health
from state.verdicts.managed import managed
from state.verdicts.replication import ClusterVerdict
from state.verdicts.votes import STANDBY, manager_role
from state.world.readings import PatroniReading


def hand(title: str, message: str, key: str = "b") -> NextStep:
    """What a person does where this version has nothing for it."""
    return NextStep(NextKind.HAND, "", {}, key, title, message)


def database_cause(
    cluster: ClusterVerdict,
    code: str,
    health: Health,
    what: str,
    by_hand: str,
    *,
    forecast: Forecast | None = None,
    since: float | None = None,
    title: str = "by hand",
    key: str = "b",
    change: NextStep | None = None,
) -> Cause:
    """A cause whose remedy is `change`, else by hand; `code` makes its key within the cluster."""
    name = cluster.facts.name
    sources = tuple(key for node in cluster.facts.nodes.values() for key in node.keys)
    return Cause(
        key=f"database/{name}/{code}",
        kind=SubjectKind.DATABASE,
        name=name,
        health=health,
        since_mono=since,
        what=what,
        detail=f"{name}: {cluster.message}",
        victims=(),
        forecast=forecast,
        next=change or hand(title, by_hand, key),
        sources=sources,
        loud=health is Health.FAIL,
    )


def change(kind: str, arguments: Mapping[str, str], key: str, title: str, message: str) -> NextStep:
    """A change whose card this key opens, filled in."""
    return NextStep(NextKind.CHANGE, kind, arguments, key, title, message)


def able_standbys(cluster: ClusterVerdict) -> list[str]:
    """Standbys that may lead as far as is known, as the estate lists them: which of equal ones it will be is not."""
    able = {each.node for each in cluster.eligible.values() if each.may_lead is not False}
    return [node for node in cluster.nodes if node in able]


def heirs(cluster: ClusterVerdict) -> list[str]:
    """Whom Patroni could promote: standbys that may lead, and members that run and are not in the estate."""
    word = managed(cluster.facts)
    outside = [
        name
        for name in sorted(cluster.facts.strangers)
        if not word.forbids(name)
        and (word.in_sync is None or name in word.in_sync)
        and any(manager_role(row.role, row.state) == STANDBY for row in word.rows.get(name, ()))
    ]
    return [*able_standbys(cluster), *(f"{name} (not in the estate)" for name in outside)]


def manager_readings(cluster: ClusterVerdict) -> list[PatroniReading]:
    """What the managers say that answer."""
    return [m for m in cluster.facts.managers.values() if m is not None]
