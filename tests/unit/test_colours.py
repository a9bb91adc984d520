"""Colours as groups of servers: by name, by pattern, by the colour's own name."""

import json

import pytest

from adapters.registry import kinds
from state.estate.colours import Colour, colour_of, fits, members, release_of
from state.estate.schema import estate_schema
from state.verdicts.traffic import active_message
from tests.unit.verdict_world import server

GROUPS = {
    "blue": Colour(release="v41", servers=("blue-*", "spare1")),
    "green": Colour(release="v42", servers=("green-*",)),
    "canary": Colour(release="v43"),
}


@pytest.mark.parametrize(
    ("pattern", "name", "does"),
    [
        ("blue-*", "blue-1", True),
        ("blue-*", "blue-", True),
        ("blue-*", "blue", False),
        ("*-blue", "app-blue", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("blue", "blue", True),
        ("blue", "blue1", False),
    ],
)
def test_one_star_stands_for_any_letters(pattern: str, name: str, does: bool) -> None:
    assert fits(pattern, name) is does


def test_servers_have_the_colour_that_names_them_first() -> None:
    names = ["blue-1", "blue-2", "green-1", "canary", "spare1", "other"]
    assert [colour_of(GROUPS, n) for n in names] == ["blue", "blue", "green", "canary", "blue", ""]
    assert release_of(GROUPS, "green-1") == "v42"
    assert members(GROUPS, "blue", names) == ["blue-1", "blue-2", "spare1"]
    assert members(GROUPS, "other", names) == ["other"], "a name that is no colour is a server's own"
    assert members(GROUPS, "nobody", names) == []


def test_traffic_is_told_by_colour() -> None:
    servers = [server("blue-1", 10), server("blue-2", 10), server("green-1", 60), server("other", 20)]
    assert active_message(servers, GROUPS) == "green v42 60% · blue v41 20% · other 20%"


@pytest.mark.parametrize("wrong", ["a*b*c", "a b", "-a", "", "*;x"])
def test_a_pattern_is_a_name_with_at_most_one_star(wrong: str) -> None:
    with pytest.raises(ValueError, match="servers"):
        Colour(release="v", servers=(wrong,))


def test_a_release_alone_is_a_colour_in_file_and_schema() -> None:
    assert Colour.model_validate("v41") == Colour(release="v41")
    assert '"anyOf": [{"type": "string"}' in json.dumps(estate_schema(kinds()))
