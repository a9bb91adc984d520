"""The balancer of CONTRIBUTING.md, as written there: under the contract of all balancers, and in an estate."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from adapters.context import AdapterContext
from adapters.files.located_yaml import parse_yaml
from adapters.registry import added, kinds
from adapters.wiring import wire
from state.errors import ConfigError, EffectRefused, ReadFailure, Trouble
from state.estate.parse import parse_estate
from state.estate.schema import estate_schema
from tests.contract.balancer_suite import BACKENDS, BalancerSuite, WeightSuite
from tests.support.recipes import loaded

ESTATE = """
estate: small-recipe
environment: lab
sites: {east: {}}
balancers:
  edge: {kind: file, site: east, path: edge.json}
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    return loaded("Add a balancer", tmp_path_factory.mktemp("recipe"))


@pytest.fixture
def balancer(recipe: ModuleType, context: AdapterContext) -> Any:
    (context.base / "edge.json").write_text(json.dumps(BACKENDS))
    options = recipe.OPTIONS(kind=recipe.KIND, site="east", path="edge.json")
    return recipe.build("edge", options, context)


class TestTheRecipesBalancer(BalancerSuite, WeightSuite):
    """A balancer that can set weights and no states."""


async def test_an_estate_names_it_once_it_is_there(recipe: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "edge.json").write_text(json.dumps(BACKENDS))
    with added("balancers", recipe):
        outside = wire(parse_estate(parse_yaml(ESTATE, "e.yaml"), kinds()), tmp_path)
        assert [source.key for source in outside.sources] == ["balancer:edge"]
        assert "app/blue" in (await outside.sources[0].read()).servers  # type: ignore[union-attr]
        assert '"path"' in json.dumps(estate_schema(kinds()))
        wrong = ESTATE.replace("path", "paht")
        with pytest.raises(ConfigError, match=r"e.yaml:6:34: found key 'paht', .* did you mean 'path'"):
            parse_estate(parse_yaml(wrong, "e.yaml"), kinds())
    with pytest.raises(ConfigError, match="found 'file', expected an adapter: haproxy or memory"):
        parse_estate(parse_yaml(ESTATE, "e.yaml"), kinds())


@pytest.mark.parametrize("content", [None, "", "[1]", '{"app": 5}', '{"app": {"blue": "much"}}'])
async def test_a_file_that_does_not_read_is_no_reading_and_no_effect(
    balancer: Any, context: AdapterContext, content: str | None
) -> None:
    path = context.base / "edge.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(ReadFailure) as failure:
        await balancer.read(deadline=1)
    assert failure.value.trouble is Trouble.ERROR
    with pytest.raises(EffectRefused):
        await balancer.set_weight("app", "blue", 5, deadline=1)
    assert path.exists() == (content is not None)


async def test_another_file_is_another_identity(balancer: Any, context: AdapterContext) -> None:
    before = await balancer.identify(deadline=1)
    (context.base / "other.json").write_text(json.dumps(BACKENDS))
    (context.base / "other.json").replace(context.base / "edge.json")
    assert before.difference(await balancer.identify(deadline=1))
