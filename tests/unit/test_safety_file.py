"""Safety rules in an estate file: what could never be fulfilled is refused, with file, line and value."""

from __future__ import annotations

import pytest

from adapters.files.located_yaml import parse_yaml
from adapters.registry import kinds
from state.errors import ConfigError
from state.estate.model import Estate
from state.estate.parse import parse_estate

BASE = """\
estate: shown
environment: lab
sites: {east: {}, west: {}, far: {}}
balancers:
  edge: {kind: memory, site: east, backends: {shop: {blue: 1, green: 1}}}
services:
  shop:
    tier: 1
    rto: 5m
    rpo: 0B
    traffic:
      balancers: [edge]
      backend: shop
      colours: {blue: v1, green: {release: v2, site: west}}
  plain: {tier: 2, rto: 5m, rpo: 0B}
rules:
"""


def load(rule: str) -> Estate:
    return parse_estate(parse_yaml(f"{BASE}  it: {rule}\n", "e.yaml"), kinds())


@pytest.mark.parametrize(
    "rule",
    [
        "{service: shop, at_least: 2}",
        "{service: shop, colour: green, at_least_share: 50%}",
        "{service: shop, site: west, at_least: 1}",
        "{service: shop, sites_on: 1}",
        "{service: shop, colours_on: 1}",
        "{service: shop, capacity: {per_server: 200, factor: 1.5}}",
        "{service: shop, site: east, needs: {service: shop, site: west}}",
        "{service: shop, wait: 5m}",
    ],
)
def test_each_kind_of_rule_is_read(rule: str) -> None:
    assert load(rule).rules["it"].service == "shop"


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("{service: shop}", "exactly one of at_least, at_least_share, sites_on, colours_on, capacity, needs, wait"),
        ("{service: shop, at_least: 1, wait: 5m}", "not at_least and wait"),
        ("{service: shp, at_least: 1}", "found 'shp', expected a service"),
        ("{service: plain, at_least: 1}", "found 'plain', expected a service with traffic: this one has none"),
        ("{service: shop, colour: gren, at_least: 1}", "found 'gren', expected a colour of shop: blue or green"),
        ("{service: shop, site: far, at_least: 1}", "found 'far', expected a site of shop: east or west"),
        ("{service: shop, needs: {service: shop, colour: red}}", "found 'red', expected a colour of shop"),
        ("{service: shop, at_least: 0}", "found 0"),
        ("{service: shop, at_least_share: 0%}", "found '0%'"),
        ("{service: shop, capacity: {per_server: 200, factor: 0.5}}", "found 0.5"),
        ("{service: shop, at_leest: 1}", "at_leest"),
    ],
)
def test_each_problem_is_told_at_its_line(rule: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(rule)
    found = [str(problem) for problem in refused.value.problems if problem.line == 17]
    assert any(told in each for each in found), str(refused.value)


@pytest.mark.parametrize(("count", "told"), [(100, ""), (101, "found 101, expected at most 100 windows")])
def test_windows_are_so_few_that_all_of_them_are_shown_at_once(count: int, told: str) -> None:
    one = "{cron: '0 9 * * *', zone: UTC, duration: 1h}"
    text = BASE.replace("rules:", "windows:") + "".join(f"  w{each}: {one}\n" for each in range(count))
    try:
        found = str(len(parse_estate(parse_yaml(text, "e.yaml"), kinds()).windows))
    except ConfigError as error:
        found = str(error)
    assert found.endswith(told or "100")
