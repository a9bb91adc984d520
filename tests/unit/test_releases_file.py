"""What an estate file says of releases: what undoes a migration and what deploys an artifact again."""

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
sites: {east: {}}
databases:
  orders: &database
    {kind: streaming, rpo: 1MB, tls: loopback, nodes: {n1: {site: east, postgres: "127.0.0.1:5432"}}, user: watch}
  ledger: *database
commands:
  down:
    argv: [migrate, "${version}"]
    params: {version: {kind: text, pattern: "[0-9.]+"}, from: {kind: text}, service: {kind: name}}
    read: {argv: [migrated, "${version}"]}
  blind: {argv: [migrate, "${version}"], params: {version: {kind: text}}}
  other: {argv: [migrate, "${app}"], params: {app: {kind: name}}, read: {argv: [migrated]}}
  more:
    argv: [migrate, "${app}", "${version}"]
    params: {app: {kind: name}, version: {kind: text}}
    read: {argv: [migrated]}
  most:
    argv: [migrate, "${app}", "${version}"]
    params: {app: {kind: name, default: shop}, version: {kind: text}}
    read: {argv: [migrated]}
http_calls:
  down:
    url: "https://deploy.example/${version}"
    params: {version: {kind: text}}
    read: {url: "https://deploy.example/now", done: {field: up, equals: 1}, not_done: {field: up, equals: 0}}
sql_calls:
  down:
    {database: orders, user: acts, statement: "call down($1)", values: ["${version}"], record: effects,
    params: {version: {kind: number}}}
  elsewhere:
    {database: ledger, user: acts, statement: "call down($1)", values: ["${version}"], record: effects,
    params: {version: {kind: number}}}
services:
  shop:
    tier: 1
    rto: 5m
    rpo: 0B
    releases:
"""


def load(releases: str) -> Estate:
    return parse_estate(parse_yaml(f"{BASE}      {releases}\n", "e.yaml"), kinds())


def undo(text: str) -> str:
    return f"schema: {{database: orders, query: select 1, undo: {text}}}"


@pytest.mark.parametrize("way", ["command: down", "command: most", "call: down", "statement: down"])
def test_a_command_a_call_or_a_statement_undoes_migrations(way: str) -> None:
    releases = load(undo(f"{{{way}}}")).services["shop"].releases
    assert releases is not None
    assert releases.read_schema is not None
    assert releases.read_schema.undo is not None
    assert ": ".join(releases.read_schema.undo.named) == way


@pytest.mark.parametrize(
    ("releases", "message"),
    [
        (undo("{}"), "exactly one of command, call and statement"),
        (undo("{command: down, statement: down}"), "exactly one of command, call and statement"),
        (undo("{command: up}"), "a command:"),
        (undo("{call: up}"), "a call: down"),
        (undo("{statement: up}"), "a statement: down"),
        (undo("{command: other}"), "the parameter version, the version to go back to"),
        (undo("{command: blind}"), "a read, which proves that it is done"),
        (undo("{command: more}"), "parameter app has a default"),
        (undo("{statement: elsewhere}"), "a statement at orders, where the schema is read"),
        (undo("{runbook: down}"), "runbook"),
        ("redeploy: down", "a command with the parameter digest"),
    ],
)
def test_what_could_not_undo_or_deploy_is_told(releases: str, message: str) -> None:
    with pytest.raises(ConfigError) as told:
        load(releases)
    assert message in str(told.value)
