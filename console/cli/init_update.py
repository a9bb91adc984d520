"""`recovery init --update`: the difference between an estate that is there and what is live, and what is new put in."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from adapters.discovery.looking import Looking
from adapters.files.estate_merge import lines_of_edit, merged_text
from adapters.files.estate_text import flow, point_lines
from adapters.files.fresh_files import replace_text
from adapters.files.located_yaml import parse_yaml
from adapters.files.read import LARGEST, read_yaml
from adapters.files.yaml_splice import CannotSplice
from adapters.registry import kinds
from console.cli.init_asking import InitManner, answers_of, nothing_found, tell_found
from console.cli.init_told import document
from console.cli.init_work import Discovered, account, first_answers, look
from console.cli.shown import complain, neutral, note, say, say_json
from state.discovery.found import FoundCluster
from state.discovery.merging import SECTIONS, Merging, in_names_of, left_out, merge
from state.discovery.proposal import Keys, OpenPoint, Proposal
from state.discovery.propose import propose
from state.errors import ExitCode
from state.estate.parse import parse_estate
from state.host.regular import bounded

ANSWERED = ("owners", "site", "environment")
"""Questions that a file has answered for everything that is in it."""


def update(file: Path, addresses: Sequence[str], looking: Looking, given: Mapping[str, str], manner: InitManner) -> int:
    """Ask what the file names, or these addresses; show the difference; write it when that is wanted."""
    located = read_yaml(file)
    parse_estate(located, kinds())
    data = located.data
    found = asyncio.run(look(addresses or addresses_of(data), replace(looking, ca=looking.ca or _ca(data, file))))
    tell_found(found, manner)
    if found.empty:
        return nothing_found(found, file, manner)
    name = str(data["estate"])
    reason = _reason(data)
    new = new_entries(found, data, name, reason)
    kept = [*ANSWERED]
    kept += () if any(path[0] == "services" for path in new) else ("tier1", "tier3", "rto", "rpo")
    kept += () if any("waive" in entry for entry in new.values()) else ("waive",)
    answers, _ = answers_of(found, name, dict(given), manner, kept)
    if "waive" in kept and not answers.waive:
        answers = replace(answers, waive=reason)
    owners = tuple(data.get("people") or {})[:1]
    if "owners" not in given and owners:
        answers = replace(answers, owners=owners)
    if "site" not in given:
        answers = replace(answers, site=next(iter(data["sites"])))
    proposal, _ = propose(found.facts, answers, name, account())
    merging = merge(data, proposal, [fact for fact in found.facts if isinstance(fact, FoundCluster)])
    return _finish(file, found, merging, proposal, manner)


def addresses_of(data: Mapping[str, Any]) -> list[str]:
    """The addresses that an estate names, as `init` takes them; what is behind ssh is left out."""
    found = [node["api"] for database in _entries(data, "databases") for node in database.get("nodes", {}).values()]
    found += [each["socket"] for each in _entries(data, "balancers") if each.get("kind") == "haproxy"]
    found += [each["url"] for each in _entries(data, "monitors") if each.get("kind") in ("prometheus", "alertmanager")]
    zones = (data.get("zones") or {}).items()
    found += [f"dns://{each['servers'][0]}/{zone}" for zone, each in zones if each.get("kind") == "rfc2136"]
    return [each for each in found if not each.startswith("ssh://")]


def _entries(data: Mapping[str, Any], section: str) -> list[dict[str, Any]]:
    return list((data.get(section) or {}).values())


def _ca(data: Mapping[str, Any], file: Path) -> str:
    """A file of certificates that the estate names, so that what it trusts is trusted here."""
    entries = (*_entries(data, "databases"), *_entries(data, "monitors"))
    named = next((str(each["ca"]) for each in entries if each.get("ca")), "")
    return str(file.absolute().parent / named) if named else ""


def _reason(data: Mapping[str, Any]) -> str:
    """A reason for plain text that the file has: what it is written for is read as it is, and nothing else."""
    entries = (each for section in ("databases", "balancers", "monitors") for each in _entries(data, section))
    return next((str(each["waive"]["tls"]) for each in entries if (each.get("waive") or {}).get("tls")), "")


def new_entries(found: Discovered, data: Mapping[str, Any], name: str, reason: str) -> dict[Keys, dict[str, Any]]:
    """The entries that would be added: only about them there is something to ask."""
    answers = replace(first_answers(), waive=reason or "as it will be answered")
    tree, _ = in_names_of(data, propose(found.facts, answers, name, account())[0])
    return {
        (section, key): entry
        for section in SECTIONS
        for key, entry in tree.get(section, {}).items()
        if key not in (data.get(section) or {}) and not left_out(data, (section, key))
    }


def lines_of(merging: Merging) -> Iterator[str]:
    """The difference, one line each: added, moved, kept though it differs, left out, not seen."""
    for edit in merging.edits:
        yield from lines_of_edit(edit, merging.notes)
    for each in merging.differs:
        yield f"= {'.'.join(each.path)}: stays {flow(each.written)}; live it is {flow(each.live)}"
    for path in merging.left_out:
        yield f"x {'.'.join(path)}: live, and left out as init.leave_out says"
    for missing in merging.not_seen:
        yield f"? {'.'.join(missing.path)}: in the file, not seen live; it stays"


def _finish(file: Path, found: Discovered, merging: Merging, proposal: Proposal, manner: InitManner) -> int:
    lines = [neutral(line) for line in lines_of(merging)]
    said = [*lines] or ["nothing is new"]
    if not (manner.as_json or manner.events):
        for line in said:
            say(line)
        for line in point_lines(_about(found, merging, proposal)):
            note(f"  {neutral(line)}")
    text = _merged(file, merging)
    wanted = bool(merging.edits) and not manner.plan_only and _confirmed(manner, len(merging.edits))
    if wanted:
        replace_text(file, text)
    told = document(found, None, file, (), written=wanted) | {"difference": lines}
    if manner.events:
        manner.event("done", **told)
    elif manner.as_json:
        say_json(told)
    elif wanted:
        say(neutral(f"{file}: {len(merging.edits)} changes written"))
    return ExitCode.UNKNOWN if found.silent else ExitCode.DONE


def _about(found: Discovered, merging: Merging, proposal: Proposal) -> list[OpenPoint]:
    """What is not known about what would be added; what is in the file is known to whoever wrote it."""
    new = {".".join(edit.path[:2]) for edit in merging.edits}
    silent = {each.address for each in found.silent}
    return [point for point in proposal.open if point.where in silent or ".".join(point.where.split(".")[:2]) in new]


def _merged(file: Path, merging: Merging) -> str:
    """The text as it would be, valid as `check` would say. Raises ConfigError."""
    before = bounded(file, LARGEST).decode("utf-8-sig")
    try:
        text = merged_text(before, merging)
    except CannotSplice as error:
        complain(neutral(f"{file}: {error}; add the lines above by hand"))
        raise click.exceptions.Exit(int(ExitCode.USAGE)) from error
    parse_estate(parse_yaml(text, str(file)), kinds())
    return text


def _confirmed(manner: InitManner, count: int) -> bool:
    if manner.yes:
        return True
    if not sys.stdin.isatty():
        raise click.UsageError("no terminal to ask at: --yes writes the difference, --plan-only only shows it")
    return click.confirm(f"Write these {count} changes?", err=True)
