"""One row of Alertmanager's list as an alert: its name, what suppresses it, and which labels make no other alert of it.

A pair of Prometheus servers gives every alert twice, told apart by a label of each server: one alert in two copies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from state.api.views.overview import Suppression
from state.estate.severities import Severities
from state.text import cut
from state.verdicts.evidence import rank
from state.world.readings import Alert

NAMING = ("service", "job", "instance")
"""The labels that stand for an alert without a name, best first."""
REPLICA_LABELS = (
    "replica",
    "prometheus_replica",
    "__replica__",
    "rule_replica",
    "ruler_replica",
    "thanos_ruler_replica",
)
"""The labels that usually tell the servers of one pair apart: by the guides of Thanos, Prometheus Operator, Mimir and
Cortex, and Thanos' ruler in three spellings."""
FNV_START, FNV_PRIME, FNV_BITS = 14695981039346656037, 1099511628211, 64
SEPARATOR = b"\xff"

LONGEST = 1000
"""Letters that are kept of each text of an alert."""
LONGEST_FINGERPRINT = 24
"""It has 16 digits. A longer one is replaced by that of the labels."""

Rows = Sequence[Mapping[str, Any]]


def alerts_of(
    rows: Rows, silences: Mapping[str, Any], severities: Severities, replica_labels: Sequence[str]
) -> list[Alert]:
    """Every row as an alert. Raises one of MALFORMED for a row of another form."""
    names = {fingerprint: row for row in rows if isinstance(fingerprint := row.get("fingerprint"), str)}
    return [_alert_of(row, names, silences, severities, replica_labels) for row in rows]


def worst_of(alerts: Sequence[Alert], most: int) -> tuple[Sequence[Alert], int]:
    """So many alerts, the worst and newest of them, and how many are left out."""
    if len(alerts) <= most:
        return alerts, 0
    ordered = sorted(alerts, key=lambda each: (each.suppressed is not None, -rank(each.health), -each.started_at))
    return ordered[:most], len(alerts) - most


def _alert_of(
    row: Mapping[str, Any],
    others: Mapping[str, Mapping[str, Any]],
    silences: Mapping[str, Any],
    severities: Severities,
    replica_labels: Sequence[str],
) -> Alert:
    """A row as an alert; `others` has by fingerprint those that may inhibit it."""
    labels = {str(name): str(value) for name, value in row["labels"].items()}
    copy = {name: labels.pop(name) for name in sorted(replica_labels) if name in labels}
    notes = row.get("annotations") or {}
    severity = labels.get("severity", "")
    health, mapped = severities.verdict(severity)
    updated = row.get("updatedAt")
    state, fingerprint = row["status"]["state"], row.get("fingerprint") or ""
    if not isinstance(state, str) or not isinstance(fingerprint, str):
        raise TypeError("state and fingerprint are texts")
    own = fingerprint if len(fingerprint) <= LONGEST_FINGERPRINT else ""
    suppressed = _suppression(row["status"], others, silences)
    if suppressed is None and state == "suppressed":
        suppressed = Suppression("suppressed", "", None, "")
    return Alert(
        name=cut(name_of(labels), LONGEST),
        state=state,
        severity=cut(severity, LONGEST),
        started_at=instant(row["startsAt"]),
        summary=cut(str(notes.get("summary") or notes.get("description") or ""), LONGEST),
        fingerprint=own if own and not copy else fingerprint_of(tuple(sorted(labels.items()))),
        labels={name: cut(value, LONGEST) for name, value in labels.items()},
        health=health,
        mapped=mapped,
        suppressed=suppressed,
        updated_at=None if updated is None else instant(updated),
        copies=(", ".join(f"{name}={value}" for name, value in copy.items()),) if copy else (),
    )


@lru_cache(maxsize=10_000)
def fingerprint_of(labels: tuple[tuple[str, str], ...]) -> str:
    """The fingerprint that Prometheus' products give to labels (sorted): FNV-1a of names and values."""
    found = FNV_START
    for part in (each.encode() for pair in labels for each in pair):
        for byte in part + SEPARATOR:
            found = (found ^ byte) * FNV_PRIME % (1 << FNV_BITS)
    return f"{found:016x}"


def name_of(labels: Mapping[str, str]) -> str:
    """The label `alertname`, which is only a convention; without it what names the alert best."""
    if labels.get("alertname", "").strip():
        return labels["alertname"]
    others = [name for name in sorted(labels) if name not in ("severity", "alertname")]
    best = next((name for name in [*NAMING, *others] if labels.get(name, "").strip()), None)
    return "(no name)" if best is None else f"(no name, {best}={labels[best]})"


def _suppression(
    status: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]], silences: Mapping[str, Any]
) -> Suppression | None:
    """What suppresses an alert: the silence that ends last, else the alerts that inhibit it, else its mute times."""
    if silenced := status.get("silencedBy"):
        known = [silences[each] for each in silenced if each in silences and _ends(silences[each])]
        if not known:
            return Suppression("silenced", "", None, "")
        last = max(known, key=lambda silence: instant(silence["endsAt"]))
        comment, author = str(last.get("comment", "")), str(last.get("createdBy", ""))
        return Suppression("silenced", cut(author, LONGEST), instant(last["endsAt"]), cut(comment, LONGEST))
    if inhibited := status.get("inhibitedBy"):
        names = [name_of(others[each]["labels"]) for each in inhibited if each in others]
        return Suppression("inhibited", cut(", ".join(dict.fromkeys(names)), LONGEST), None, "")
    if muted := status.get("mutedBy"):
        return Suppression("muted", cut(", ".join(map(str, muted)), LONGEST), None, "")
    return None


def instant(text: str) -> float:
    """A time in RFC 3339 in seconds since the epoch; without a zone it is UTC. Raises ValueError, TypeError."""
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()


def _ends(silence: Mapping[str, Any]) -> bool:
    """Whether a silence tells its end; one that does not is told without it."""
    try:
        instant(silence["endsAt"])
    except (ValueError, KeyError, TypeError):
        return False
    return True
