"""`recovery init` on configurations of the shapes that people publish: by the file, and by a real HAProxy running it.

Each proposal is compared with what a person would write (tests/fixtures/haproxy/expected.yaml), and each estate is one
that `recovery check` accepts.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest

from adapters.discovery.asking import discover
from adapters.discovery.looking import Looking
from adapters.files.estate_text import render
from adapters.files.located_yaml import parse_yaml
from adapters.registry import kinds
from state.discovery.answers import Answers
from state.discovery.found import Fact, FoundBalancer, FoundCluster, FoundMember, Unreached
from state.discovery.proposal import Proposal
from state.discovery.propose import propose
from state.estate.model import Estate
from state.estate.parse import parse_estate
from tests.contract.components import haproxies, serving
from tests.support.haproxy_shapes import Shape, running, shapes
from tests.support.shipped_library import held_against

SHAPES = shapes()


def cluster(shape: Shape) -> list[FoundCluster]:
    """The cluster that a person names beside this configuration, the first member as its leader."""
    names = shape.expected.get("members", [])
    members = [
        FoundMember(
            name,
            "leader" if not place else "replica",
            "running",
            f"10.9.0.{place + 1}",
            5432,
            f"https://10.9.0.{place + 1}:8008",
            answered="",
            encrypted=True,
        )
        for place, name in enumerate(names)
    ]
    return [FoundCluster("https://10.9.0.1:8008", "cluster", tuple(members), "4.0.1")] if members else []


def proposed(facts: list[Fact], shape: Shape) -> tuple[Proposal, Estate]:
    """The proposal, and the estate as its text is read."""
    proposal, _ = propose([*facts, *cluster(shape)], Answers(("ada",)), "edge", "ada")
    return proposal, parse_estate(parse_yaml(render(proposal, []), shape.name), kinds())


def services_of(estate: Estate) -> dict[str, Any]:
    """Services as the table of expectations has them."""
    found: dict[str, Any] = {}
    for name, service in estate.services.items():
        assert service.traffic is not None
        found[name] = {"backend": service.traffic.backend, "floor": service.traffic.floor}
        if service.traffic.colours:
            found[name]["colours"] = list(service.traffic.colours)
    return found


def assert_kept(proposal: Proposal, estate: Estate, shape: Shape) -> None:
    wanted = {name: {"backend": name, **facts} for name, facts in shape.expected["services"].items()}
    assert services_of(estate) == wanted, shape.name
    fronts = {name: role for each in estate.databases.values() for name, role in each.frontends.items()}
    assert fronts == shape.expected.get("frontends", {}), shape.name
    said = "\n".join(point.what for point in proposal.open)
    for part in shape.expected.get("open", []):
        assert part in said, shape.name
    for site in shape.expected.get("sites", []):
        assert site in estate.sites, shape.name


def test_there_are_shapes_enough() -> None:
    assert len(SHAPES) >= 30


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
async def test_the_file_alone_gives_the_estate_a_person_would_keep(shape: Shape) -> None:
    facts = await discover([str(shape.file)], Looking())
    assert not [fact for fact in facts if isinstance(fact, Unreached)]
    proposal, estate = proposed(facts, shape)
    if shape.expected.get("file") == "withheld":
        assert {held.path[0] for held in proposal.withheld} == {"balancers"}
        assert not estate.services, "a service without a balancer of the estate would be a promise without evidence"
        return
    assert_kept(proposal, estate, shape)
    without = held_against(estate)
    assert not estate.services or "maintenance-on" not in without, "the shipped runbooks apply to what was found"
    text = render(proposal, [])
    assert "not-for-anybody" not in text, "what stands in userlists and statistics is no part of an estate"


@pytest.mark.parametrize("version", haproxies())
async def test_a_running_haproxy_gives_the_estate_a_person_would_keep(version: str) -> None:
    program = haproxies()[version]
    turn = asyncio.Semaphore(4)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async def one(shape: Shape, folder: Path, port: int) -> None:
        async with turn, running(program, shape.text, folder, shape.name, port) as socket:
            facts = await discover([str(socket)], Looking(deadline=60))
        assert [type(fact) for fact in facts] == [FoundBalancer], (shape.name, facts)
        assert isinstance(facts[0], FoundBalancer)
        assert facts[0].level == "admin"
        proposal, estate = proposed(facts, shape)
        assert list(estate.balancers)
        expected = {key: value for key, value in shape.expected.items() if key != "sites"}
        assert_kept(proposal, estate, Shape(shape.name, shape.file, expected))

    with tempfile.TemporaryDirectory(prefix="ri-", dir="/tmp") as folder:
        async with serving(answer) as port:
            live = [shape for shape in SHAPES if shape.expected.get("live", True)]
            await asyncio.gather(*(one(shape, Path(folder), port) for shape in live))
