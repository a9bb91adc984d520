"""Random runbooks: flat for a model, written for an engine; and the grave change that they may hold."""

from __future__ import annotations

import random
from typing import Any

from state.capabilities import Capability
from state.changes.model import ChangeKind, ChangeSpec, Risk
from state.changes.traffic import SetWeight, WeightArgs
from state.config_files.suggestions import not_found
from state.estate.model import Estate
from state.ports.outside import Outside

SHOP = {"balancer": "edge", "backend": "shop"}
SERVERS = [f"s{n}" for n in range(12)]
GRAVE = "server.grave-weight"
STEPS = ("change", "change", "check", "decide", "wait")
POLICIES = ("pause", "stop", "continue", "undo")


class GraveWeight(SetWeight):
    """A weight that needs what a switchover needs: a commander, the code and the name."""

    risk = Risk.B3


def _grave(args: WeightArgs, estate: Estate, outside: Outside) -> GraveWeight:
    if args.balancer not in outside.balancers:
        raise not_found("balancer", args.balancer, outside.balancers)
    return GraveWeight(ChangeSpec(GRAVE, args.model_dump()), args, estate, outside.balancers[args.balancer])


KINDS = (ChangeKind(GRAVE, "Set a weight that matters", WeightArgs, Risk.B3, _grave),)
CAPABILITY = Capability("grave", changes=("tests.support.random_book:KINDS",))


def random_steps(chance: random.Random) -> list[dict[str, Any]]:
    """The steps of a random runbook, flat, as the model reads them."""
    steps: list[dict[str, Any]] = []
    for top in range(chance.randint(1, 4)):
        members = chance.choice((1, 1, 1, 2, 3))
        for _ in range(members):
            do = chance.choice(STEPS)
            policies = POLICIES if do in ("change", "check") else POLICIES[:3]
            steps.append(
                {
                    "id": f"s{len(steps)}", "top": top, "group": f"g{top}" if members > 1 else "", "do": do,
                    "grave": do == "change" and chance.random() < 0.25,
                    "policy": chance.choice(policies), "owner": chance.choice(("commander", "responder")),
                    "server": chance.choice(SERVERS[: len(steps) + 1]), "samples": chance.choice((1, 2)),
                    "seconds": {"wait": chance.choice((15.0, 40.0)), "decide": 60.0, "check": 2.0}.get(do, 0.0),
                }
            )  # fmt: skip
    for step in steps:
        later = [s["top"] for s in steps if s["top"] > step["top"]]
        away = chance.choice(later) if later else None
        step["options"] = {"go": "continue", "no": "stop"}
        if away is not None:
            step["options"]["away"] = next(s["id"] for s in steps if s["top"] == away)
    return steps


def runbook_of(steps: list[dict[str, Any]]) -> dict[str, Any]:
    """The same as a file has it."""
    tops: dict[int, list[dict[str, Any]]] = {}
    for step in steps:
        tops.setdefault(step["top"], []).append(step)
    firsts = {group[0]["id"]: group[0]["group"] or group[0]["id"] for group in tops.values()}
    written = []
    for group in tops.values():
        members = [_written(s, firsts) for s in group]
        written.append({"id": group[0]["group"], "parallel": members} if group[0]["group"] else members[0])
    return {"runbook": "case", "title": "Case", "steps": written}


def _written(step: dict[str, Any], firsts: dict[str, str]) -> dict[str, Any]:
    common = {"id": step["id"], "title": f"T-{step['id']}", "owner": step["owner"], "on_failure": step["policy"]}
    if step["do"] == "change":
        kind = GRAVE if step["grave"] else "server.weight"
        return {**common, "change": kind, "with": {**SHOP, "server": step["id"], "weight": 5}}
    if step["do"] == "check":
        limits = {"for": "2s", "every": "500ms", "samples": step["samples"]}
        return {**common, "check": "server.serving", "with": {**SHOP, "server": step["server"]}, **limits}
    if step["do"] == "wait":
        return {**common, "wait": f"{step['seconds']:.0f}s"}
    options = {label: firsts.get(meaning, meaning) for label, meaning in step["options"].items()}
    return {**common, "decide": {"question": "Go on?", "options": options}, "timeout": f"{step['seconds']:.0f}s"}
