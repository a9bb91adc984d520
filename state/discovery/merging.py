"""What is live against an estate that is there: what is new, what moved, what differs and stays, what is not seen.

Expectations of a person (floors, expected answers, roles, objectives, names) are never changed by what is live now:
during an incident they would become what is wrong. Added is what is new; changed is only where a member answers that
confirmed itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from state.discovery.found import FoundCluster, FoundMember
from state.discovery.proposal import Keys, Note, Proposal, Tree

SECTIONS = ("services", "databases", "balancers", "zones", "monitors")


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A key that is added below a path."""

    path: Keys
    value: Any


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item that is added to the list at a path."""

    path: Keys
    value: Any


@dataclass(frozen=True, slots=True)
class Moved:
    """A value that is replaced: where a confirmed member answers now."""

    path: Keys
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Differs:
    """A value that stays as it is written though it differs from what is live."""

    path: Keys
    written: Any
    live: Any


@dataclass(frozen=True, slots=True)
class Unseen:
    """An entry of the file that was not seen where it was looked for."""

    path: Keys


Edit = NewEntry | NewItem | Moved


@dataclass(slots=True)
class Merging:
    """The difference between a file and what is live. `notes` are those of the proposal under the names of the file;
    `left_out` is what the file says shall not be added."""

    edits: list[Edit] = field(default_factory=list)
    left_out: list[Keys] = field(default_factory=list)
    differs: list[Differs] = field(default_factory=list)
    not_seen: list[Unseen] = field(default_factory=list)
    notes: dict[Keys, Note] = field(default_factory=dict)


def merge(data: Mapping[str, Any], proposal: Proposal, clusters: list[FoundCluster]) -> Merging:
    """What to do with a file that has this data. It must be valid: the shapes of its values are not looked at again."""
    tree, notes = in_names_of(data, proposal)
    merging = Merging(notes=notes)
    for section in SECTIONS:
        written = data.get(section) or {}
        for name, entry in tree.get(section, {}).items():
            if name not in written:
                merging.edits.append(NewEntry((section, name), entry))
            elif section == "databases":
                _database(merging, name, written[name], entry, clusters)
            elif section == "services":
                _service(merging, name, written[name], entry)
            elif section == "zones":
                _zone(merging, name, written[name], entry)
    merging.left_out = [edit.path for edit in merging.edits if left_out(data, edit.path)]
    merging.edits = [edit for edit in merging.edits if not left_out(data, edit.path)]
    _services_not_seen(merging, data, tree)
    _sites(merging, data, tree)
    _owners(merging, data, tree)
    return merging


def left_out(data: Mapping[str, Any], path: Keys) -> bool:
    """Whether the file says that this shall not be added: `init.leave_out` names it, or what it is in."""
    here = ".".join(path)
    return any(f"{here}.".startswith(f"{each}.") for each in (data.get("init") or {}).get("leave_out") or ())


def _database(merging: Merging, name: str, written: Tree, live: Tree, clusters: list[FoundCluster]) -> None:
    path: Keys = ("databases", name)
    renamed: set[str] = set()
    members = {m.name: m for each in clusters if each.scope == live["scope"] for m in each.members}
    for node, entry in live["nodes"].items():
        here = (*path, "nodes", node)
        before = written["nodes"].get(node)
        if before is None:
            former = _former_name(written["nodes"], live["nodes"], entry)
            if former:
                merging.differs.append(Differs((*path, "nodes", former), former, node))
                renamed.add(former)
            else:
                merging.edits.append(NewEntry(here, entry))
            continue
        for key in ("postgres", "api"):
            if before.get(key) != entry[key]:
                merging.edits += _moved((*here, key), before.get(key), entry[key], members.get(node))
                if members.get(node) is None or members[node].answered:
                    merging.differs.append(Differs((*here, key), before.get(key), entry[key]))
    gone = [node for node in written["nodes"] if node not in live["nodes"] and node not in renamed]
    merging.not_seen += [Unseen((*path, "nodes", node)) for node in gone]
    _frontends(merging, path, written, live)


def _frontends(merging: Merging, path: Keys, written: Tree, live: Tree) -> None:
    fronts = written.get("frontends")
    for backend, role in live.get("frontends", {}).items():
        if not fronts:
            merging.edits.append(NewEntry((*path, "frontends"), dict(live["frontends"])))
            break
        if backend not in fronts:
            merging.edits.append(NewEntry((*path, "frontends", backend), role))
        elif fronts[backend] != role:
            merging.differs.append(Differs((*path, "frontends", backend), fronts[backend], role))


def _former_name(written: Tree, live: Tree, entry: Tree) -> str:
    """The node of the file that stands at the address of a live one, and is not live under its own name."""
    same = (n for n, w in written.items() if w.get("postgres") == entry["postgres"] or w.get("api") == entry["api"])
    return next((name for name in same if name not in live), "")


def _moved(path: Keys, old: Any, new: Any, member: FoundMember | None) -> Iterator[Moved]:
    """Where a member answers now, when it confirmed its name and scope there; a folder of a socket stays."""
    if member is not None and not member.answered and not str(old).startswith("/"):
        yield Moved(path, old, new)


def _service(merging: Merging, name: str, written: Tree, live: Tree) -> None:
    path: Keys = ("services", name)
    traffic, now = written.get("traffic"), live.get("traffic")
    if now is not None and traffic is None:
        merging.edits.append(NewEntry((*path, "traffic"), now))
    elif now is not None and traffic is not None:
        new = [each for each in now["balancers"] if each not in traffic["balancers"]]
        merging.edits += [NewItem((*path, "traffic", "balancers"), each) for each in new]
        if traffic["backend"] != now["backend"]:
            merging.differs.append(Differs((*path, "traffic", "backend"), traffic["backend"], now["backend"]))
    if "metrics" in live and written.get("metrics") is None:
        merging.edits.append(NewEntry((*path, "metrics"), live["metrics"]))


def _zone(merging: Merging, name: str, written: Tree, live: Tree) -> None:
    path: Keys = ("zones", name)
    new = [each for each in live["servers"] if each not in written["servers"]]
    merging.edits += [NewItem((*path, "servers"), each) for each in new]
    known = {(r["name"], r.get("type", "A")): r for r in written.get("records") or ()}
    for record in live["records"]:
        before = known.get((record["name"], record["type"]))
        if before is None and written.get("records") is None:
            merging.edits.append(NewEntry((*path, "records"), live["records"]))
            break
        if before is None:
            merging.edits.append(NewItem((*path, "records"), record))
        elif sorted(before["expect"]) != sorted(record["expect"]):
            merging.differs.append(Differs((*path, "records", record["name"]), before["expect"], record["expect"]))


def _services_not_seen(merging: Merging, data: Mapping[str, Any], tree: Mapping[str, Any]) -> None:
    """Services of the file whose balancers were all looked at, and have no such backend."""
    looked = set(tree.get("balancers", {}))
    live = tree.get("services", {})
    for name, service in (data.get("services") or {}).items():
        traffic = service.get("traffic")
        if traffic and name not in live and set(traffic["balancers"]) <= looked:
            merging.not_seen.append(Unseen(("services", name)))


def _sites(merging: Merging, data: Mapping[str, Any], tree: Mapping[str, Any]) -> None:
    """The sites that what is added stands in."""
    used = dict.fromkeys(site for edit in merging.edits if isinstance(edit, NewEntry) for site in _sites_in(edit.value))
    new = [NewEntry(("sites", site), tree["sites"][site]) for site in used if site not in (data.get("sites") or {})]
    merging.edits[:0] = new


def _sites_in(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("site"), str):
            yield value["site"]
        for inner in value.values():
            yield from _sites_in(inner)


def _owners(merging: Merging, data: Mapping[str, Any], tree: Mapping[str, Any]) -> None:
    """The people that own a service which is added."""
    people = data.get("people") or {}
    new = (each for each in merging.edits if isinstance(each, NewEntry) and len(each.path) == 2)
    services = [each.value for each in new if each.path[0] == "services"]
    owners = dict.fromkeys(owner for service in services for owner in service.get("owners", ()))
    merging.edits[:0] = [NewEntry(("people", o), tree["people"][o]) for o in owners if o not in people]


def in_names_of(data: Mapping[str, Any], proposal: Proposal) -> tuple[Tree, dict[Keys, Note]]:
    """The proposal with the names that a file has for the same things, and its notes."""
    names: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for section, same in (("balancers", _same_socket), ("databases", _same_cluster), ("monitors", _same_monitor)):
        names[section] = _names(data.get(section) or {}, proposal.section(section), same)
    tree: Tree = {key: value for key, value in proposal.tree.items()}
    services = {name: _referring(service, names) for name, service in proposal.section("services").items()}
    names["services"] = _names(data.get("services") or {}, services, _same_service)
    tree["services"] = services
    for section in SECTIONS:
        tree[section] = {names[section].get(name, name): entry for name, entry in tree.get(section, {}).items()}
    tree["zones"] = {name: _zone_referring(zone, names["services"]) for name, zone in tree["zones"].items()}
    notes = {_renamed(path, names): note for path, note in proposal.notes.items()}
    return tree, notes


def _names(written: Mapping[str, Any], live: Mapping[str, Any], same: Any) -> dict[str, str]:
    """What the file calls each entry that it has; an entry that it lacks must not take a name of another one."""
    found: dict[str, str] = {}
    for name, entry in live.items():
        known = next((n for n, e in written.items() if n not in found.values() and same(e, entry)), None)
        if known is not None:
            found[name] = known
    taken = {*written, *found.values(), *(n for n in live if n not in found)}
    for name in live:
        if name not in found and name in written:
            count = 2
            while f"{name}-{count}" in taken:
                count += 1
            found[name] = f"{name}-{count}"
            taken.add(found[name])
    return found


def _same_socket(written: Tree, live: Tree) -> bool:
    return bool(written.get("socket") == live["socket"])


def _same_cluster(written: Tree, live: Tree) -> bool:
    return written.get("scope") == live["scope"] and bool(set(written.get("nodes") or {}) & set(live["nodes"]))


def _same_monitor(written: Tree, live: Tree) -> bool:
    keys = ("kind", "url", "requests")
    return [str(written.get(k, "")).rstrip("/") for k in keys] == [str(live.get(k, "")).rstrip("/") for k in keys]


def _same_service(written: Tree, live: Tree) -> bool:
    traffic, now = written.get("traffic"), live.get("traffic")
    if traffic and now:
        return traffic.get("backend") == now["backend"] and bool(set(traffic["balancers"]) & set(now["balancers"]))
    metrics, figures = written.get("metrics"), live.get("metrics")
    return bool(metrics and figures and metrics.get("service") == figures["service"])


def _referring(service: Tree, names: Mapping[str, Mapping[str, str]]) -> Tree:
    made = dict(service)
    if "traffic" in made:
        balancers = [names["balancers"].get(each, each) for each in made["traffic"]["balancers"]]
        made["traffic"] = {**made["traffic"], "balancers": balancers}
    if "metrics" in made:
        monitors = [names["monitors"].get(each, each) for each in made["metrics"]["monitors"]]
        made["metrics"] = {**made["metrics"], "monitors": monitors}
    return made


def _zone_referring(zone: Tree, services: Mapping[str, str]) -> Tree:
    records = []
    for record in zone["records"]:
        service = services.get(record.get("service", record["name"]))
        records.append({**record, "service": service} if service and service != record["name"] else record)
    return {**zone, "records": records}


def _renamed(path: Keys, names: Mapping[str, Mapping[str, str]]) -> Keys:
    if len(path) > 1 and path[0] in names:
        return (path[0], names[path[0]].get(path[1], path[1]), *path[2:])
    return path
