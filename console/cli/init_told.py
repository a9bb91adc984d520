"""What `recovery init` tells: what stands where, what it wrote, what is not known, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from adapters.files.estate_text import point_lines
from console.cli.documents import documents
from console.cli.init_work import Discovered, Drafted
from console.cli.shown import neutral
from state.discovery.answers import InitQuestion
from state.discovery.found import Fact, FoundAlerting, FoundBalancer, FoundCluster, FoundMetrics, FoundZone, Unreached
from state.text import clean
from state.units import counted

SECTIONS = {
    "services": ("service", "services"),
    "databases": ("database", "databases"),
    "balancers": ("balancer", "balancers"),
    "zones": ("zone", "zones"),
    "monitors": ("monitor", "monitors"),
}


def kind_of(fact: Fact) -> str:
    """What stands at an address, in a word; empty for what gave nothing."""
    kinds = {
        FoundCluster: "patroni",
        FoundBalancer: "haproxy",
        FoundMetrics: "prometheus",
        FoundAlerting: "alertmanager",
        FoundZone: "dns",
    }
    return next((word for kind, word in kinds.items() if isinstance(fact, kind)), "")


def fact_line(fact: Fact) -> str:
    """One line about what stands at an address."""
    if isinstance(fact, FoundCluster):
        text = f"Patroni {fact.version}, cluster {fact.scope}, {counted(len(fact.members), 'member')}"
    elif isinstance(fact, FoundBalancer):
        servers = sum(len(backend.servers) for backend in fact.backends)
        what = "HAProxy's configuration" if fact.from_file else f"HAProxy {fact.version}"
        text = f"{what}, {counted(len(fact.backends), 'backend')}, {counted(servers, 'server')}"
    elif isinstance(fact, FoundMetrics):
        families = ", ".join(each.family for each in fact.families) or "no HTTP metrics that are known"
        text = f"Prometheus {fact.version}, {families}"
    elif isinstance(fact, FoundAlerting):
        text = f"Alertmanager {fact.version}"
    elif isinstance(fact, FoundZone):
        text = f"zone {fact.zone}, {counted(len(fact.records), 'record')}"
    else:
        text = f"nothing: {fact.message}"
    return clean(f"{fact.address}: {text}")


def way_out(fact: Fact) -> str:
    """What to do about an address that gave nothing, empty where nothing is known."""
    return clean(fact.way_out) if isinstance(fact, Unreached) else ""


def summary(drafted: Drafted) -> str:
    """How many entries of each kind."""
    counts = ((len(drafted.proposal.section(name)), *words) for name, words in SECTIONS.items())
    return ", ".join(counted(number, one, many) for number, one, many in counts if number) or "no entries"


def report_lines(drafted: Drafted, file: Path, *, written: bool) -> Iterator[str]:
    """The end of the verb for people."""
    yield ""
    yield f"{file}: {summary(drafted)}" if written else summary(drafted)
    fits = [each.name for each in drafted.runbooks if each.text]
    left = [each for each in drafted.runbooks if not each.text]
    if fits:
        yield f"runbooks: {', '.join(fits)}"
    for each in left:
        yield f"runbook {each.name} does not fit: {neutral(each.why)}"
    for path in drafted.kept:
        yield f"{path} was there and was not touched"
    if drafted.proposal.withheld:
        yield ""
        yield "Not written, only as comments in the file:"
        for held in drafted.proposal.withheld:
            yield clean(f"  {'.'.join(held.path)}: {held.why}")
    if drafted.proposal.open:
        yield ""
        yield "Not known, or not done:"
        yield from (f"  {line}" for line in point_lines(drafted.proposal.open))
    if written:
        yield ""
        yield from next_lines(drafted, file)


def next_lines(drafted: Drafted, file: Path) -> Iterator[str]:
    """What to do next."""
    yield "Next:"
    for name, what in drafted.proposal.secrets.items():
        yield f"  {neutral(what)}: {hand_over(file.parent / name)}, type it, Enter, Ctrl+D"
    yield f"  confirm what is marked `proposed, confirm` in {file}"
    yield f"  recovery check --connect {file}"
    yield f"  recovery console --estate {file}"
    if (folder := documents()) is not None:
        yield f"  docs/ is {folder}"


def hand_over(secret: Path) -> str:
    """The command that takes a secret from the keyboard into a file that only its owner reads."""
    return f"install -m 600 /dev/stdin {shlex.quote(str(secret))}"


def document(
    found: Discovered, drafted: Drafted | None, file: Path, asked: Sequence[InitQuestion], *, written: bool
) -> dict[str, Any]:
    """All of it for scripts, and for the console's wizard."""
    told: dict[str, Any] = {
        "file": str(file),
        "written": written,
        "found": [
            {"address": clean(f.address), "kind": kind_of(f), "line": fact_line(f), "way_out": way_out(f)}
            for f in found.facts
        ],
        "questions": [{"key": q.key, "text": clean(q.text), "proposal": q.proposal} for q in asked],
    }
    if drafted is None:
        return told
    proposal = drafted.proposal
    return told | {
        "summary": summary(drafted),
        "services": list(proposal.section("services")),
        "withheld": [
            {"path": clean(".".join(held.path)), "why": clean(held.why), "way_out": clean(held.way_out)}
            for held in proposal.withheld
        ],
        "open": [
            {"where": clean(point.where), "what": clean(point.what), "way_out": clean(point.way_out)}
            for point in proposal.open
        ],
        "secrets": [
            {"file": name, "what": clean(what), "mode": "0600", "by": hand_over(file.parent / name)}
            for name, what in proposal.secrets.items()
        ],
        "runbooks": [{"name": c.name, "copied": bool(c.text), "why": clean(c.why)} for c in drafted.runbooks],
        "files": [str(path) for path in drafted.written],
        "next": list(next_lines(drafted, file)),
    }
