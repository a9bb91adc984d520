"""From what was found to a proposed estate. Pure: the same facts and answers give the same proposal.

Nothing is guessed silently: every value that was not measured has a note, every entry that an estate cannot hold is
withheld with its reason, and what is not known is listed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from state.discovery import propose_balancers as traffic
from state.discovery import propose_databases as databases
from state.discovery.answers import Answers
from state.discovery.found import Fact, FoundAlerting, FoundBalancer, FoundCluster, FoundMetrics, FoundZone, Unreached
from state.discovery.names import made_valid, same_service, service_in, valid
from state.discovery.placing import Placing
from state.discovery.proposal import Basis, Note, Proposal, listed
from state.discovery.propose_monitors import (
    Figures,
    figures_for,
    in_plain_text,
    names_of,
    propose_alerting,
    propose_metrics,
)
from state.discovery.propose_zones import propose_zones
from state.estate.rules import MOST_WATCHED

ORDER = ("estate", "environment", "sites", "people", "services", "databases", "balancers", "zones", "monitors")
SERVING = ("prometheus", "alertmanager", "node", "node-exporter", "grafana", "kubelet", "apiserver", "kube-apiserver")
"""Jobs that are no services of anybody: what monitors."""
F = TypeVar("F")


def propose(facts: Sequence[Fact], answers: Answers, name: str, account: str) -> tuple[Proposal, Placing]:
    """The estate, and what has which site. `name` is the estate's, `account` the one that will operate it."""
    proposal, placing = Proposal(), Placing(answers)
    for each in _of(facts, Unreached):
        proposal.say(each.address, each.message, each.way_out)
    _head(proposal, answers, name)
    clusters = databases.merged(_of(facts, FoundCluster))
    balancers = traffic.named(traffic.merged(_of(facts, FoundBalancer)))
    metrics = list({each.address: each for each in _of(facts, FoundMetrics)}.values())
    frontends, backends = _parted(proposal, balancers, clusters)
    usable = traffic.propose_balancers(proposal, balancers, placing, answers.waive)
    figures = names_of([each for each in metrics if answers.waive or not in_plain_text(each.address)])
    used = _services(proposal, backends, usable, figures, answers)
    databases.propose_databases(proposal, clusters, frontends, answers, placing, proposal.section("services"))
    propose_metrics(proposal, metrics, used, answers.waive)
    _missing_balancers(proposal, metrics, len([each for each in balancers.values() if not each.from_file]))
    alerting = {each.address: each for each in _of(facts, FoundAlerting)}
    propose_alerting(proposal, list(alerting.values()), answers.waive)
    binds = [bind for each in balancers.values() for bind in each.binds]
    propose_zones(proposal, _of(facts, FoundZone), proposal.section("services"), binds)
    _people(proposal, answers, account)
    placing.settle(proposal)
    _depends(proposal)
    proposal.tree = {key: proposal.tree[key] for key in ORDER if key in proposal.tree} | {"runbooks": ["runbooks"]}
    return proposal, placing


def _missing_balancers(proposal: Proposal, metrics: Sequence[FoundMetrics], known: int) -> None:
    """A HAProxy of which no address was given takes its share of the traffic whatever is set on the others."""
    scraped = {each for server in metrics for each in server.balancers}
    if len(scraped) > known:
        names = listed(sorted(scraped))
        text = f"Prometheus has figures of {len(scraped)} HAProxy processes ({names}), {known} answered here"
        proposal.say("balancers", text, "the socket of every other one as well: each serves clients of its own")


def _of(facts: Sequence[Fact], kind: type[F]) -> list[F]:
    return [fact for fact in facts if isinstance(fact, kind)]


def _head(proposal: Proposal, answers: Answers, name: str) -> None:
    proposal.put(("estate",), name, Basis.PROPOSED, "one engine serves one estate")
    asked = "environment" in answers.asked
    text = "" if asked else "the strictest: production, staging or drill"
    proposal.put(("environment",), answers.environment, Basis.ASKED if asked else Basis.PROPOSED, text)
    proposal.tree["sites"] = {}


def _people(proposal: Proposal, answers: Answers, account: str) -> None:
    asked = "owners" in answers.asked
    for place, owner in enumerate(answers.owners):
        if place == 0:
            entry = {"accounts": [account], "roles": ["responder", "commander"]}
            text = "this account; a commander may do everything"
        else:
            entry = {"roles": ["responder"]}
            text = "without an account this person can do nothing here"
            proposal.say(f"people.{owner}", "the account of this person is not known", "accounts: [NAME]")
        proposal.put(("people", owner), entry, Basis.ASKED if asked else Basis.PROPOSED, text)


def _parted(
    proposal: Proposal, balancers: Mapping[str, FoundBalancer], clusters: Sequence[FoundCluster]
) -> tuple[list[databases.Frontend], list[traffic.Serving]]:
    """Backends that lead to databases, and those of services."""
    fronts: dict[str, databases.Frontend] = {}
    served = []
    for each in traffic.servings(balancers):
        backend = next(iter(each.on.values()))
        front = databases.frontend_of(backend, clusters)
        if front is not None:
            fronts.setdefault(each.backend, front)
        elif databases.is_database(backend):
            text = f"backend {each.backend} looks like the way to a database of which no address was given"
            proposal.say(
                f"balancers.{next(iter(each.on))}", text, "recovery init with the address of its Patroni as well"
            )
        elif not valid(each.backend):
            text = f"backend {each.backend} is left out: an estate cannot hold its name"
            proposal.say(f"balancers.{next(iter(each.on))}", text, "letters, digits, dot, dash, underscore; at most 63")
        else:
            served.append(each)
    return list(fronts.values()), served


def _services(
    proposal: Proposal,
    backends: Sequence[traffic.Serving],
    usable: Sequence[str],
    figures: Sequence[Figures],
    answers: Answers,
) -> set[str]:
    """Write the services; returns the monitors that they use."""
    reached = [
        traffic.Serving(each.backend, {n: b for n, b in each.on.items() if n in usable})
        for each in backends
        if any(n in usable for n in each.on)
    ]
    unreached = [each.backend for each in backends if not any(n in usable for n in each.on)]
    if unreached:
        text = f"services of backends {listed(unreached)} are left out: no balancer of theirs is in the estate"
        proposal.say("services", text, "see the balancers that were withheld")
    used: set[str] = set()
    for service, serving in traffic.service_names(reached[:MOST_WATCHED]).items():
        _service(proposal, service, answers, f"backend {serving.backend} of {listed(list(serving.on))}")
        traffic.propose_traffic(proposal, service, serving)
        used |= _figures(proposal, service, serving.backend, figures)
    if len(reached) > MOST_WATCHED:
        text = f"{len(reached) - MOST_WATCHED} backends are left out: an estate has at most {MOST_WATCHED} services"
        proposal.say("services", text, "an estate and an engine for each part")
    return used | _only_measured(proposal, figures, answers)


def _service(proposal: Proposal, service: str, answers: Answers, text: str) -> None:
    path = ("services", service)
    tier = answers.tier(service)
    named = bool(answers.asked & {"tier1", "tier3"})
    proposal.put(path, {}, Basis.GUESSED if service_in(service) != service else Basis.MEASURED, text)
    proposal.put((*path, "tier"), tier, Basis.ASKED if named else Basis.PROPOSED, "")
    asked = Basis.ASKED if "rto" in answers.asked else Basis.PROPOSED
    proposal.put((*path, "rto"), answers.rto[tier - 1], asked, "")
    size, basis = (answers.rpo, Basis.ASKED) if answers.rpo else ("0B", Basis.PROPOSED)
    proposal.put((*path, "rpo"), size, basis, "")
    proposal.put(
        (*path, "owners"), list(answers.owners), Basis.ASKED if "owners" in answers.asked else Basis.PROPOSED, ""
    )


def _figures(proposal: Proposal, service: str, backend: str, figures: Sequence[Figures]) -> set[str]:
    monitors, label = figures_for(service, backend, figures)
    if monitors:
        path = ("services", service, "metrics")
        exact = label == service
        basis, text = (Basis.MEASURED, "") if exact else (Basis.GUESSED, f"{label} is the label nearest to {backend}")
        proposal.put(path, {"monitors": monitors, "service": label}, basis, text)
    elif figures:
        proposal.say(
            f"services.{service}", "no metrics with a label like its name: no rate, errors or latency", "metrics:"
        )
    return set(monitors)


def _only_measured(proposal: Proposal, figures: Sequence[Figures], answers: Answers) -> set[str]:
    """Services that only metrics of applications tell."""
    used: set[str] = set()
    known = [*proposal.section("services"), *(s["metrics"]["service"] for s in _measured(proposal))]
    for each in figures:
        for label in () if each.proxies else each.family.services:
            if any(same_service(label, one) for one in known) or label.lower() in SERVING:
                continue
            if len(proposal.section("services")) >= MOST_WATCHED:
                proposal.say(
                    "services", f"left out, since an estate has at most {MOST_WATCHED}: {label} and others", ""
                )
                return used
            known.append(label)
            service = made_valid(label, proposal.section("services"), "service")
            _service(proposal, service, answers, f"the label {each.family.service} of its metrics")
            monitors = [one.monitor for one in figures if label in one.family.services]
            proposal.put(("services", service, "metrics"), {"monitors": monitors, "service": label})
            used |= set(monitors)
            proposal.say(f"services.{service}", "no balancer has a backend of its name: its traffic is not known", "")
    return used


def _measured(proposal: Proposal) -> list[dict[str, dict[str, str]]]:
    return [service for service in proposal.section("services").values() if "metrics" in service]


def _depends(proposal: Proposal) -> None:
    """Which service needs which database nobody told; said once, beside the first one."""
    services, clusters = proposal.section("services"), proposal.section("databases")
    if services and clusters:
        text = f"which services need {listed(list(clusters))} is not known"
        proposal.say("services", text, f"depends_on: [{next(iter(clusters))}] in each that does")
    if not services:
        proposal.notes[("services",)] = Note(Basis.UNKNOWN, "no service was found")
