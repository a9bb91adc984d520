"""Estates of every size and shape that `recovery check` accepts, made from a seed."""

from __future__ import annotations

import random
from typing import Any

from state.estate.model import Estate

NAMES = ("checkout", "catalog", "api", "mail", "search", "cart", "login", "a", "7", "x.y_z-1", "pay" * 21)


def random_estate(seed: int) -> Estate:
    """One of them; the same for the same seed."""
    chance = random.Random(seed)
    sites = chance.sample(("east", "west", "dc2", "fra-1"), chance.randint(1, 4))
    balancers = [f"edge{n}" for n in range(chance.choice((0, 1, 1, 2, 4)))]
    databases = {f"db{n}": _database(chance, sites) for n in range(chance.choice((0, 0, 1, 2, 3)))}
    tree: dict[str, Any] = {
        "estate": "random",
        "environment": chance.choice(("production", "staging", "lab")),
        "sites": {site: {} for site in sites},
        "balancers": {name: {"kind": "memory", "site": chance.choice(sites)} for name in balancers},
        "databases": databases,
        "services": {},
    }
    for name in chance.sample(NAMES, chance.choice((0, 1, 2, 3, 6))):
        tree["services"][name] = _service(chance, name, balancers, [*databases, *tree["services"]])
    if chance.random() < 0.4:
        record: dict[str, Any] = {"name": "shop", "expect": ["192.0.2.1"]}
        if tree["services"]:
            record["service"] = chance.choice([*tree["services"]])
        tree["zones"] = {"shop.example": {"kind": "rfc2136", "records": [record]}}
    return Estate.model_validate(tree)


def _database(chance: random.Random, sites: list[str]) -> dict[str, Any]:
    nodes = {f"n{n}": {"site": chance.choice(sites)} for n in range(chance.choice((1, 2, 3, 3, 5, 7)))}
    return {"kind": "patroni", "nodes": nodes, "rpo": chance.choice((0, "1MB"))}


def _service(chance: random.Random, name: str, balancers: list[str], before: list[str]) -> dict[str, Any]:
    needs = chance.sample(before, min(len(before), chance.choice((0, 0, 1, 2))))
    service: dict[str, Any] = {"tier": chance.randint(1, 5), "rto": "5m", "rpo": "1MB", "depends_on": needs}
    if balancers and chance.random() < 0.8:
        chosen = chance.sample(balancers, chance.randint(1, len(balancers)))
        traffic: dict[str, Any] = {"balancers": chosen, "backend": f"bk_{name}"[:63], "floor": chance.randint(1, 5)}
        if chance.random() < 0.4:
            traffic["colours"] = {
                colour: f"v{n}" for n, colour in enumerate(("blue", "green", "grey")[: chance.randint(2, 3)])
            }
        service["traffic"] = traffic
    return service
