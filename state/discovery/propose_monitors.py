"""Prometheus and Alertmanager become monitors, and their families of metrics the figures of services."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from state.discovery.families import BY_NAME
from state.discovery.found import FoundAlerting, FoundFamily, FoundMetrics
from state.discovery.names import made_valid, same_service
from state.discovery.proposal import Basis, Note, Proposal, Tree, listed
from state.estate.addresses import host_and_scheme, is_loopback
from state.estate.severities import DEFAULTS
from state.units import short_duration

PRODUCTION = frozenset({"prod", "production", "prd", "live"})
_DEFAULTS = {
    "requests": "http_requests_total",
    "durations": "http_request_duration_seconds_bucket",
    "service": "service",
    "release": "release",
    "code": "code",
}
"""Of a monitor's naming; what is the same is not written."""


@dataclass(frozen=True, slots=True)
class Figures:
    """A family of metrics under the name of its monitor."""

    monitor: str
    family: FoundFamily

    @property
    def proxies(self) -> bool:
        """Whether it knows what passes a balancer, not applications."""
        return BY_NAME[self.family.family].proxies


def in_plain_text(url: str) -> bool:
    """Whether what answers there is read in plain text from another machine."""
    host, scheme = host_and_scheme(url)
    return scheme == "http" and not is_loopback(host)


def _reached(url: str, ca: str) -> Tree:
    return {"url": url, "ca": ca} if ca else {"url": url}


def _may_write(proposal: Proposal, name: str, entry: Tree, waive: str) -> bool:
    """Whether a monitor may be written as it is reached."""
    if not in_plain_text(entry["url"]):
        return True
    why = f"{entry['url']} answers in plain text: who is on the way can read and change it"
    return proposal.goes_plain(("monitors", name), entry, why, waive)


def names_of(metrics: Sequence[FoundMetrics]) -> list[Figures]:
    """The monitor that each family gets: the first one of a server has the plain name."""
    taken: list[str] = []
    found = []
    for server in metrics:
        base = made_valid("prometheus", taken)
        taken.append(base)
        for place, family in enumerate(server.families):
            name = base if not place else made_valid(f"{base}-{family.family}", taken)
            taken.append(name)
            found.append(Figures(name, family))
    return found


def propose_metrics(proposal: Proposal, metrics: Sequence[FoundMetrics], used: Iterable[str], waive: str) -> None:
    """Write a monitor for each family that a service uses; a Prometheus without one gives nothing here, and says so."""
    wanted = set(used)
    kept = [server for server in metrics if waive or not in_plain_text(server.address)]
    figures, at = names_of(kept), 0
    for place, server in enumerate(each for each in metrics if each not in kept):
        name = f"prometheus-{place + 1}" if kept or place else "prometheus"
        _may_write(proposal, name, {"kind": "prometheus", **_reached(server.address, server.ca)}, waive)
    for server in kept:
        mine = figures[at : at + len(server.families)]
        at += len(server.families)
        for each in mine:
            title = BY_NAME[each.family.family].title
            if each.monitor in wanted:
                _propose_family(proposal, server, each, title, waive)
            else:
                text = f"it has metrics of {title}, but no service of this estate by their labels"
                proposal.say(server.address, text, "metrics: {monitors: [...], service: LABEL} where one is")
        if not mine:
            text = "no HTTP metrics that are recognised here: services get no rate, errors or latency from it"
            proposal.say(server.address, text, "docs/estate.md, Figures: requests, durations, service, code")
        if server.dotted:
            text = f"{listed(server.dotted)}: names with dots cannot be asked for in this version"
            proposal.say(
                server.address, text, "translation_strategy: UnderscoreEscapingWithSuffixes in Prometheus' otlp"
            )


def _propose_family(proposal: Proposal, server: FoundMetrics, each: Figures, title: str, waive: str) -> None:
    family, known = each.family, BY_NAME[each.family.family]
    path = ("monitors", each.monitor)
    entry: Tree = {"kind": "prometheus", **_reached(server.address, server.ca)}
    naming = {"requests": known.requests, "service": family.service, "code": family.code, "release": family.release}
    if family.durations:
        naming["durations"] = known.durations
    entry |= {key: value for key, value in naming.items() if value and value != _DEFAULTS[key]}
    if family.durations and known.unit:
        entry["unit"] = known.unit
    labels, guessed = _labels(family)
    if labels:
        entry["labels"] = labels
    _may_write(proposal, each.monitor, entry, waive)
    proposal.put(path, entry, Basis.MEASURED, _pace(family, title))
    if guessed:
        proposal.notes[(*path, "labels")] = Note(Basis.GUESSED, guessed)
    where = f"monitors.{each.monitor}"
    if not family.code:
        proposal.say(where, f"{known.requests} has no label of a status: error ratios stay unknown", "another source")
    if not family.durations:
        proposal.say(where, f"{title} has no histogram here: p99 stays unknown", "")
    for label, values in family.split.items():
        if label not in labels and label not in known.labels:
            text = f"series differ in {label} ({listed(values)}): services warn until labels names what counts"
            proposal.say(where, text, f"labels: {{{label}: [{values[0]}]}}")


def _pace(family: FoundFamily, title: str) -> str:
    if family.interval is None:
        return f"{title}; how often samples come was not told"
    text = f"{title}; a sample every {short_duration(family.interval)}"
    if family.window and family.stale_after:
        window, stale = short_duration(family.window), short_duration(family.stale_after)
        text += f", from which follow by themselves window: {window}, stale_after: {stale}"
    return text


def _labels(family: FoundFamily) -> tuple[Tree, str]:
    """Which series count: those that the family needs, and production where that is one of several environments."""
    labels: Tree = {label: list(values) for label, values in BY_NAME[family.family].labels.items()}
    guessed = ""
    for label, values in family.split.items():
        if label in labels:
            continue
        if chosen := [value for value in values if value.lower() in PRODUCTION]:
            labels[label] = chosen
            guessed = f"{label} is one of {listed(values)}"
    return labels, guessed


def figures_for(service: str, backend: str, figures: Sequence[Figures]) -> tuple[list[str], str]:
    """The monitors that know a service, best first, and its label value there."""
    for wanted in (service, backend):
        for each in figures:
            exact = [label for label in each.family.services if label == wanted]
            alike = exact or [label for label in each.family.services if same_service(label, wanted)]
            if len(alike) == 1:
                return [f.monitor for f in figures if alike[0] in f.family.services], alike[0]
    return [], ""


def propose_alerting(proposal: Proposal, alerting: Sequence[FoundAlerting], waive: str) -> None:
    """Write every Alertmanager; members of one cluster get the same `cluster`."""
    clusters: dict[frozenset[str], str] = {}
    taken: list[str] = []
    for each in alerting:
        name = made_valid("alertmanager", taken)
        taken.append(name)
        path = ("monitors", name)
        entry: Tree = {"kind": "alertmanager", **_reached(each.address, each.ca)}
        if not _may_write(proposal, name, entry, waive):
            continue
        proposal.put(path, entry, Basis.MEASURED, f"Alertmanager {each.version or 'of unknown version'}")
        if len(each.peers) > 1:
            cluster = clusters.setdefault(frozenset(each.peers), f"alerting-{len(clusters) + 1}")
            proposal.put((*path, "cluster"), cluster, Basis.MEASURED, f"a cluster of {len(each.peers)}")
        for silent in each.silent_peers:
            text = f"a member of its cluster, {silent}, was not found: its API may be at another port"
            proposal.say(f"monitors.{name}", text, "give its address as well")
        _watchdog(proposal, name, each)
        strange = [word for word in each.severities if word.strip().lower() not in DEFAULTS]
        if strange:
            text = f"severities {listed(strange)} are known nowhere: alerts with them warn"
            proposal.say(
                f"monitors.{name}.severities", text, f"severities: {{fail: [], warn: [{strange[0]}], info: []}}"
            )


def _watchdog(proposal: Proposal, name: str, each: FoundAlerting) -> None:
    where = f"monitors.{name}.watchdog"
    if not each.watchdogs:
        text = "no alert that always fires was seen: that nothing fires will stay unknown"
        proposal.say(where, text, "a rule Watchdog with expr: vector(1) (docs/estate.md, Alerts)")
    elif "Watchdog" not in each.watchdogs:
        basis, text = Basis.GUESSED, "an alert with such a name fires"
        proposal.put(("monitors", name, "watchdog"), each.watchdogs[0], basis, text)
    if len(each.watchdogs) > 1:
        proposal.say(where, f"several alerts may be the watchdog: {listed(each.watchdogs)}", "watchdog: NAME")
