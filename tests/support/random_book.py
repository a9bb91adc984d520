"""Random runbooks: flat for a model, written for an engine; and the grave change that they may hold."""

from __future__ import annotations

import random
from math import ceil
from typing import Any

from state.capabilities import Capability
from state.changes.model import ChangeKind, ChangeSpec, Risk
from state.changes.traffic import SetWeight, WeightArgs
from state.estate.model import Estate
from state.ports.outside import Outside

SHOP = {"balancer": "edge", "backend": "shop"}
SERVERS = [f"s{n}" for n in range(32)]
GRAVE = "server.grave-weight"
STEPS = ("change", "change", "check", "decide", "wait")
POLICIES = ("pause", "stop", "continue", "undo")


class GraveWeight(SetWeight):
    """A weight that needs what a switchover needs: a commander, the code and the name."""

    risk = Risk.B3


def _grave(args: WeightArgs, estate: Estate, outside: Outside) -> GraveWeight:
    return GraveWeight(ChangeSpec(GRAVE, args.model_dump()), args, estate, outside)


KINDS = (ChangeKind(GRAVE, "Set a weight that matters", WeightArgs, Risk.B3, _grave),)
CAPABILITY = Capability("grave", changes=("tests.support.random_book:KINDS",))


def random_steps(chance: random.Random) -> list[dict[str, Any]]:
    """The steps of a random runbook, flat, as the model reads them; those of a loop once for each item."""
    steps: list[dict[str, Any]] = []
    for top in range(chance.randint(1, 4)):
        looped = chance.random() < 0.25
        first = len(steps)
        if looped:
            steps += _loop(chance, top, first)
        else:
            members = chance.choice((1, 1, 1, 2, 3))
            group = f"g{top}" if members > 1 else ""
            steps += [_random(chance, f"s{first + n}", top, group, first + n + 1) for n in range(members)]
        if chance.random() < 0.3:
            steps.insert(first, _condition(chance, steps[first], looped=looped))
    for step in steps:
        later = sorted({ceil(s["top"]) for s in steps if ceil(s["top"]) > ceil(step["top"])})
        away = chance.choice(later) if later else None
        lead = next((s["id"] for s in steps if ceil(s["top"]) == away), "")  # a condition belongs to what it is about
        step["away"] = away
        if step["do"] == "when":
            after = next((s["id"] for s in steps if ceil(s["top"]) > ceil(step["top"])), "")
            leads = {"skip": after, "away": lead or after}
            step["written"] = {k: v if v != "away" or lead else "skip" for k, v in step["meant"].items()}
            if len(set(step["written"].values())) == 1:
                step["written"]["pass"] = "continue"
            step["options"] = {answer: leads.get(meaning, meaning) for answer, meaning in step["written"].items()}
        else:
            step["options"] = {"go": "continue", "no": "stop"}
            if away is not None:
                step["options"]["away"] = lead
    return steps


def _random(chance: random.Random, name: str, top: int, group: str, seen: int) -> dict[str, Any]:
    do = chance.choice(STEPS)
    policies = POLICIES if do in ("change", "check") else POLICIES[:3]
    return {
        "id": name, "top": top, "group": group, "do": do, "title": f"T-{name}", "target": name,
        "grave": do == "change" and chance.random() < 0.25,
        "policy": chance.choice(policies), "owner": chance.choice(("commander", "responder")),
        "server": chance.choice(SERVERS[:seen]), "samples": chance.choice((1, 2)),
        "seconds": {"wait": chance.choice((15.0, 40.0)), "decide": 60.0, "check": 2.0}.get(do, 0.0),
        "loop": "", "item": 0, "stop_after": 1, "ruled": False,
    }  # fmt: skip


def _loop(chance: random.Random, top: int, first: int) -> list[dict[str, Any]]:
    """A loop over servers that no other step changes: a change of each, and its check or a wait."""
    items = [f"s{first + n * 2}" for n in range(chance.choice((2, 3)))]
    body = [_random(chance, "c", top, "", 1), _random(chance, "d", top, "", 1)]
    body[0].update(do="change", seconds=0.0)
    body[1].update(do=chance.choice(("check", "wait")), grave=False)
    body[1]["seconds"] = 2.0 if body[1]["do"] == "check" else 15.0
    if body[1]["do"] == "wait" and body[1]["policy"] == "undo":
        body[1]["policy"] = "pause"
    stop_after = chance.choice((1, 2, 2))
    made = []
    for number, item in enumerate(items):
        for step in body:
            name = f"l{top}.{item}.{step['id']}"
            loop = {"loop": f"l{top}", "item": number, "stop_after": stop_after, "part": step["id"]}
            made.append({**step, **loop, "id": name, "title": f"T-{name}", "target": item, "server": item})
    return made


def _condition(chance: random.Random, guarded: dict[str, Any], *, looped: bool) -> dict[str, Any]:
    about = guarded["loop"] if looped else guarded["group"] or guarded["id"]
    leads = ("skip", "pause", "stop", "away")
    meant = {
        "pass": chance.choice(("continue", "continue", "continue", "skip")),
        "fail": chance.choice(("continue", *leads)),
        "unknown": chance.choice(leads),
    }
    alone = about == guarded["id"]
    return {
        **guarded, "id": f"{about}.when", "top": guarded["top"] - 0.5, "group": "", "do": "when", "about": about,
        "title": f"Whether to: {'T-' if alone else ''}{about}", "grave": False, "policy": "pause",
        "owner": guarded["owner"] if alone else "responder", "server": chance.choice(SERVERS[:6]), "samples": 1,
        "seconds": 2.0, "loop": "", "item": 0, "stop_after": 1, "meant": meant,
    }  # fmt: skip


def runbook_of(steps: list[dict[str, Any]]) -> dict[str, Any]:
    """The same as a file has it."""
    tops: dict[int, list[dict[str, Any]]] = {}
    conditions = {s["about"]: s for s in steps if s["do"] == "when"}
    for step in steps:
        if step["do"] != "when":
            tops.setdefault(step["top"], []).append(step)
    names = {top: group[0]["loop"] or group[0]["group"] or group[0]["id"] for top, group in tops.items()}
    written = [_top(names[top], group, conditions.get(names[top]), names) for top, group in tops.items()]
    return {"runbook": "case", "title": "Case", "steps": written}


def _top(
    name: str, group: list[dict[str, Any]], condition: dict[str, Any] | None, names: dict[int, str]
) -> dict[str, Any]:
    first = group[0]
    asked: dict[str, Any] = {}
    if condition is not None:
        answers = {"pass": "passed", "fail": "failed", "unknown": "unknown"}
        leads = {answers[k]: _named(condition, v, names) for k, v in condition["written"].items()}
        where = {**SHOP, "server": condition["server"]}
        asked = {"when": {"check": "server.serving", "with": where, "for": "2s", "every": "500ms", **leads}}
    if first["loop"]:
        items = list(dict.fromkeys(s["target"] for s in group))
        body = [_written({**s, "target": "${item}", "server": "${item}"}, names) for s in group if s["item"] == 0]
        body = [{**s, "id": s["id"].rpartition(".")[2], "title": s["title"].replace(items[0], "${item}")} for s in body]
        return {"id": name, "each": items, "stop_after": first["stop_after"], "steps": body, **asked}
    if first["group"]:
        return {"id": name, "parallel": [_written(s, names) for s in group], **asked}
    return {**_written(first, names), **asked}


def _named(step: dict[str, Any], meaning: str, names: dict[int, str]) -> str:
    """A meaning as a file has it: `away` is the name of what it leads to."""
    if meaning != "away":
        return meaning
    return names[step["away"]]


def _written(step: dict[str, Any], names: dict[int, str]) -> dict[str, Any]:
    common = {"id": step["id"], "title": step["title"], "owner": step["owner"], "on_failure": step["policy"]}
    if step["do"] == "change":
        kind = GRAVE if step["grave"] else "server.weight"
        return {**common, "change": kind, "with": {**SHOP, "server": step["target"], "weight": 5}}
    if step["do"] == "check":
        limits = {"for": "2s", "every": "500ms", "samples": step["samples"]}
        return {**common, "check": "server.serving", "with": {**SHOP, "server": step["server"]}, **limits}
    if step["do"] == "wait":
        return {**common, "wait": f"{step['seconds']:.0f}s"}
    options = {label: "continue" if label == "go" else "stop" for label in ("go", "no")}
    if "away" in step["options"]:
        options["away"] = _named(step, "away", names)
    return {**common, "decide": {"question": "Go on?", "options": options}, "timeout": f"{step['seconds']:.0f}s"}
