"""The verbs of one table: each asks for a change that exists, with arguments that it takes."""

from __future__ import annotations

import click
import pytest

from console.cli.db import db
from console.cli.db_acts import DATABASE_VERBS, DatabaseVerb, request_of
from state.changes.registry import change_kinds

GIVEN = {"database": "orders", "node": "n1", "to": "n2", "slot": "old", "point": "before-v42"}


@pytest.mark.parametrize("verb", DATABASE_VERBS, ids=lambda verb: verb.name)
def test_a_verb_asks_for_its_change_with_what_was_given(verb: DatabaseVerb) -> None:
    command = db.commands[verb.name]
    words = [p.name for p in command.params if isinstance(p, click.Argument)]
    assert words == ["database", *(word.strip("[]") for word in verb.words)]
    request = request_of(verb, {word: GIVEN[str(word)] for word in words})
    made = change_kinds()[request.kind].args.model_validate(request.args)
    assert made.model_dump(exclude_defaults=True) == request.args
    least = [str(p.name) for p in command.params if isinstance(p, click.Argument) and p.required]
    without = request_of(verb, {str(word): GIVEN[str(word)] if word in least else None for word in words})
    assert set(without.args) == set(least)
    change_kinds()[without.kind].args.model_validate(without.args)
