"""The shipped runbooks and the templates on generated estates: they lint, apply or say why not, and what they are laid
out to ends."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from adapters.files.located_yaml import parse_yaml
from adapters.files.read import read_yaml
from console.cli.runbook_new import TEMPLATES
from console.cli.runbook_page import page
from state.changes.registry import change_kinds
from state.checks.registry import check_kinds
from state.config_files.arguments import arguments
from state.errors import ConfigError
from state.estate.model import Estate
from state.runbooks.expand import Concrete, expand
from state.runbooks.model import Runbook
from state.runbooks.params import NAMES
from state.runbooks.parse import lint_runbook
from state.runbooks.related import any_node, candidates, led_by, related, unfit

SHIPPED = sorted((Path(__file__).parents[2] / "config" / "runbooks").glob("*.yaml"))
WRITTEN = [read_yaml(path) for path in SHIPPED]
WRITTEN += [parse_yaml(text.replace("{name}", name), f"{name}.yaml") for name, text in TEMPLATES.items()]
PLAIN = {"continue", "stop", "pause", "undo"}


def random_estate(chance: random.Random) -> Estate:
    """An estate with some of everything, or nothing of it."""
    sites = [f"site{n}" for n in range(chance.randint(1, 3))]
    balancers = [f"lb.{n}" for n in range(chance.choice((0, 1, 2, 4)))]
    databases = [f"db-{n}" for n in range(chance.choice((0, 0, 1, 2)))]
    services: dict[str, Any] = {}
    for n in range(chance.choice((0, 1, 3, 6))):
        needs = chance.sample([*databases, *services], chance.randint(0, min(2, len(databases) + len(services))))
        service: dict[str, Any] = {"tier": chance.randint(1, 5), "rto": "15m", "rpo": "1MB", "depends_on": needs}
        if balancers and chance.random() < 0.7:
            colours = dict.fromkeys(chance.choice(((), ("blue", "green"), ("a", "b", "c"))), "v1")
            chosen = chance.sample(balancers, chance.randint(1, len(balancers)))
            service["traffic"] = {"balancers": chosen, "backend": f"be_{n}", "floor": chance.choice((0, 1, 2))}
            service["traffic"] |= {"colours": colours} if colours else {}
        services[f"svc{n}"] = service

    def node() -> dict[str, str]:
        return {"site": chance.choice(sites)}

    return Estate.model_validate(
        {
            "estate": "made",
            "environment": "lab",
            "sites": {name: {} for name in sites},
            "services": services,
            "balancers": {name: {"kind": "memory", **node()} for name in balancers},
            "databases": {
                name: {"kind": "patroni", "nodes": {f"{name}.{n}": node() for n in range(chance.randint(1, 4))}}
                for name in databases
            },
        }
    )


def chosen(runbook: Runbook, estate: Estate, chance: random.Random) -> dict[str, Any]:
    """A value for each parameter that must have one, of those that forms offer."""
    given: dict[str, Any] = {}
    for name, spec in runbook.params.items():
        if spec.kind in NAMES and (spec.required or chance.random() < 0.3) and not spec.derived:
            leader = led_by(runbook, name)
            if leader in given:
                names = related(estate, spec.kind, runbook.params[leader].kind, given[leader])
            else:
                names = candidates(runbook, name, estate) or ("any",) if not leader else ()
            if names and names != ("any",):
                given[name] = chance.choice(names)
            elif spec.required:
                given[name] = "any"
        elif spec.kind == "text" and spec.required:
            given[name] = "some-command"
    return given


def sound(steps: tuple[Concrete, ...], estate: Estate) -> None:
    """Few enough, each id once, answers lead forward, groups and items stand together, arguments are valid."""
    kinds = {**{k: v.args for k, v in change_kinds().items()}, **{k: v.args for k, v in check_kinds().items()}}
    places = {step.id: place for place, step in enumerate(steps)}
    assert len(places) == len(steps) <= 200
    for place, step in enumerate(steps):
        assert all(to in PLAIN or to == "" or places[to] > place for _, to in step.options)
        assert "${" not in f"{step.step.title}{step.prose}{step.step.args}"
        if step.step.what:
            arguments(step.step.what, kinds[step.step.what], step.step.args)
    groups = [step.group for step in steps]
    begun = [name for place, name in enumerate(groups) if name and (not place or groups[place - 1] != name)]
    assert len(begun) == len(set(begun)), "a group in two parts"


def anywhere(seeds: range) -> Counter[str]:
    told: Counter[str] = Counter()
    for seed in seeds:
        chance = random.Random(seed)
        estate = random_estate(chance)
        for located in WRITTEN:
            runbook, _ = lint_runbook(located, estate, change_kinds(), check_kinds())
            if unfit(runbook, estate, {}):
                told[f"{runbook.runbook} does not apply"] += 1
                continue
            given = chosen(runbook, estate, chance)
            try:
                steps = expand(runbook, given, estate, {}, any_node(estate)).steps
            except ConfigError as error:
                raise AssertionError(f"seed {seed}, {runbook.runbook} {given}: {error}") from error
            sound(steps, estate)
            assert page(runbook, given, estate, {})[-1].startswith("The end.")
            told[runbook.runbook] += 1
    return told


def test_each_lints_on_every_estate_and_applies_on_some() -> None:
    told = anywhere(range(60))
    for located in WRITTEN:
        name = located.data["runbook"]
        assert told[name] > 6, told
        assert told[f"{name} does not apply"] > 6, told


@pytest.mark.torture
@pytest.mark.parametrize("part", range(10))
def test_each_lints_on_very_many_estates(part: int) -> None:
    anywhere(range(10_000 + part * 2000, 12_000 + part * 2000))
