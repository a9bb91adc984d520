"""A zone as PowerDNS's API gives it: every set with its disabled values and its comments.

Source: PowerDNS Authoritative Server, HTTP API, `Zone` and `RRSet`. The whole zone is read: asked for one name, version
4.7 leaves out disabled values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from state.world.record_sets import SETTABLE, RecordSet, Sets, Shaded

PRIMARY = ("master", "primary", "producer")
"""Kinds of zones of which secondaries are notified."""
SECONDARY = ("slave", "secondary", "consumer")
"""Kinds of zones that another server writes."""


@dataclass(frozen=True, slots=True)
class ApiSet:
    """One set: its name in lower case without the final dot, and its comments as they came."""

    name: str
    set: RecordSet
    comments: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class ApiZone:
    """All sets of a zone, its kind in lower case, and how its serial moves with changes over the API."""

    name: str
    kind: str
    edits_serial: str
    sets: tuple[ApiSet, ...]

    def at(self, name: str) -> dict[str, ApiSet]:
        """The sets of one name, by type."""
        return {each.set.type: each for each in self.sets if each.name == name}

    def held(self, name: str) -> dict[str, RecordSet]:
        """Those of a name that can be changed here."""
        return {kind: each.set for kind, each in self.at(name).items() if kind in SETTABLE}

    def has(self, name: str) -> bool:
        """Whether a name exists, be it only by what is below it (RFC 4592 2.2.2)."""
        return any(each.name == name or each.name.endswith(f".{name}") for each in self.sets)

    def wildcard(self, name: str, *, without: bool = False) -> tuple[str, dict[str, RecordSet]]:
        """The wildcard that answers for a name and its answers, nothing where none does. `without`: if the name were
        not there."""
        if self.has(name) and not (without and not self._below(name)):
            return "", {}
        above = name
        while "." in above and above != self.name:
            above = above.partition(".")[2]
            sets = {kind: each for kind, each in self.held(f"*.{above}").items() if each.values}
            if sets or self.has(above):
                return (f"*.{above}", sets) if sets else ("", {})
        return "", {}

    def shaded(self, name: str) -> tuple[Shaded, ...]:
        """What wildcards answer now for a name that is made, and for those above it that come into being with it."""
        found: list[Shaded] = []
        each = name
        while each != self.name and each.endswith(f".{self.name}") and not self.has(each):
            wild, sets = self.wildcard(each)
            found += [Shaded(each, wild, one.type, one.values) for one in sets.values()]
            each = each.partition(".")[2]
        return tuple(found)

    def _below(self, name: str) -> bool:
        return any(each.name.endswith(f".{name}") for each in self.sets)


def zone_of(answer: Any) -> ApiZone:
    """What the API says of a zone. Raises what an answer of another shape does (MALFORMED)."""
    if type(answer["rrsets"]) is not list:
        raise TypeError("the sets are no list")
    sets = tuple(_set(each) for each in answer["rrsets"])
    name, kind, edits = answer["name"], answer["kind"], answer.get("soa_edit_api", "")
    return ApiZone(_bare(name), _text(kind).lower(), _text(edits), sets)


def _set(row: Mapping[str, Any]) -> ApiSet:
    kind, ttl = _text(row["type"]), row["ttl"]
    if type(ttl) is not int or not 0 <= ttl < 1 << 31:
        raise ValueError("a TTL is no number")
    values: tuple[list[str], list[str]] = ([], [])
    for each in row["records"]:
        if type(each["disabled"]) is not bool:
            raise ValueError("disabled is neither true nor false")
        values[each["disabled"]].append(_value(kind, _text(each["content"])))
    comments = tuple({_text(key): value for key, value in each.items()} for each in row.get("comments", ()))
    return ApiSet(
        _bare(row["name"]), RecordSet(kind, ttl, tuple(sorted(values[0])), tuple(sorted(values[1]))), comments
    )


def _value(kind: str, content: str) -> str:
    return _bare(content) if kind in ("CNAME", "ALIAS") else content.lower() if kind == "AAAA" else content


def _bare(name: Any) -> str:
    return _text(name).removesuffix(".").lower()


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError("a text is none")
    return value


def replacement(zone: ApiZone, name: str, before: Sets, after: Sets) -> list[dict[str, Any]]:
    """The sets of a PATCH: what goes first, as the API checks each against what is there by then. Sets that stay keep
    their comments and disabled values."""
    here = zone.at(name)
    gone = [kind for kind in SETTABLE if kind in before and kind not in after]
    rows: list[dict[str, Any]] = [_row(name, kind, before[kind].ttl, [], ()) for kind in gone]
    for kind, each in after.items():
        if before.get(kind) != each:
            end = "." if kind == "CNAME" else ""
            records = [{"content": f"{value}{end}", "disabled": False} for value in each.values]
            records += [{"content": f"{value}{end}", "disabled": True} for value in each.disabled]
            rows.append(_row(name, kind, each.ttl, records, here[kind].comments if kind in here else ()))
    return rows


def _row(
    name: str, kind: str, ttl: int, records: Sequence[Mapping[str, Any]], comments: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    row = {"name": f"{name}.", "type": kind, "ttl": ttl, "changetype": "REPLACE", "records": list(records)}
    return {**row, "comments": list(comments)} if comments else row
