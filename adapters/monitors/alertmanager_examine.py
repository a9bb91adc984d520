"""Which Alertmanager answers, whether its cluster is whole, and whether the watchdog alert reaches it."""

from __future__ import annotations

from adapters.context import AdapterContext
from adapters.monitors.alertmanager import PATH, STATUS, AlertmanagerOptions
from adapters.net.answers_read import read_json
from adapters.net.examined import look_at_http
from adapters.net.http_read import HttpReader
from state.diagnosis.model import Asked, Diagnosis, Subject
from state.errors import ReadFailure


async def examine(
    name: str, options: AlertmanagerOptions, context: AdapterContext, *, deadline: float
) -> list[Diagnosis]:
    """The answers about one server."""
    subject, reader = Subject(f"monitors/{name}"), options.reader(name, options.url, context)
    try:
        found, reply = await look_at_http(subject, reader, STATUS, deadline=deadline)
        if reply is not None:
            found.append(_identity(subject, reply.body))
            found.append(await _watchdog(subject, reader, options.watchdog, deadline))
        return found
    finally:
        await reader.close()


def _identity(subject: Subject, body: bytes) -> Diagnosis:
    try:
        status = read_json(body)
        version, cluster = str(status["versionInfo"]["version"]), status["cluster"]
        peers, state = len(cluster.get("peers") or ()), str(cluster["status"])
    except (ValueError, KeyError, TypeError, AttributeError):
        way_out = "let `url` lead to Alertmanager itself"
        return subject.fails(Asked.IDENTIFIED, "the answer is not Alertmanager's", way_out)
    told = f"version {version}, cluster {state} with {peers} member{'' if peers == 1 else 's'}"
    if state in ("ready", "disabled"):
        return subject.passes(Asked.IDENTIFIED, told)
    return subject.warns(Asked.IDENTIFIED, told, "look at the cluster: its members do not agree yet")


async def _watchdog(subject: Subject, reader: HttpReader, watchdog: str, deadline: float) -> Diagnosis:
    try:
        rows = read_json(await reader.get(PATH, deadline=deadline))
        names = {str(row["labels"]["alertname"]) for row in rows}
    except ReadFailure as failure:
        return subject.failure(failure, at=Asked.ROLE)
    except (ValueError, KeyError, TypeError):
        return subject.fails(Asked.ROLE, "its alerts cannot be read", "let `url` lead to Alertmanager itself")
    if watchdog in names:
        return subject.passes(Asked.ROLE, f"the alert {watchdog} fires, so alerting works up to here")
    reason = f"no alert {watchdog}: that no alert fires will be no pass"
    way_out = "let Prometheus fire an alert of this name always (expr: vector(1)), or name yours as `watchdog`"
    return subject.warns(Asked.ROLE, reason, way_out)
