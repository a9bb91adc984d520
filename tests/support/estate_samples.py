"""A small estate and runbook, small models of checks, and ways to damage text."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from pydantic import ConfigDict, create_model

from adapters.files.located_yaml import parse_yaml
from adapters.files.read import read_yaml
from adapters.registry import kinds
from state.checks.model import Answer, CheckKind
from state.errors import ConfigError, Problem
from state.estate.model import Estate, Kinds, Name, Ratio
from state.estate.parse import parse_estate
from state.health import Health

FIXTURES = Path(__file__).parent.parent / "fixtures" / "estates"
CANARY = "hunter2-canary"


NAMED = {
    ("balancers", "haproxy"),
    ("databases", "patroni"),
    ("zones", "rfc2136"),
    ("monitors", "prometheus"),
    ("monitors", "http"),
}
KINDS: Kinds = {key: model for key, model in kinds().items() if key in NAMED}
"""The kinds of the small estate and no other, so that messages which list them do not change with the product."""


def check_kind(kind: str, **fields: object) -> CheckKind:
    args = create_model("Args", __config__=ConfigDict(extra="forbid"), **fields)  # type: ignore[call-overload]
    return CheckKind(kind, kind, args, lambda *_: Answer(Health.UNKNOWN, ()))


CHECKS = {
    kind.kind: kind
    for kind in (
        check_kind("service.healthy", service=(Name, ...)),
        check_kind("service.errors-below", service=(Name, ...), ratio=(Ratio, ...)),
        check_kind("backend.floor", balancer=(Name, ...), backend=(Name, ...), at_least=(int, 1)),
        check_kind("database.one-primary", database=(Name, ...)),
    )
}


def small() -> str:
    return (FIXTURES / "small.yaml").read_text()


def estate(text: str) -> Estate:
    return parse_estate(parse_yaml(text, "small.yaml"), KINDS)


def small_estate() -> Estate:
    return parse_estate(read_yaml(FIXTURES / "small.yaml"), KINDS)


def replaced(text: str, old: str, new: str) -> tuple[str, int]:
    """The text with one place changed, and the line where it begins to differ."""
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
    changed = text.replace(old, new)
    differs = next(i for i, (a, b) in enumerate(zip(text, changed, strict=False)) if a != b)
    return changed, changed[:differs].count("\n") + 1


def problems_of(error: ConfigError, line: int) -> list[Problem]:
    return [problem for problem in error.problems if problem.line == line]


_PIECES = (
    "{", "}", "[", "]", ":", " ", "\n", "\n  ", "- ", "&a ", "*a", "!x ", "#", "'", '"', "|", ">", "%", "@", "~",
    "<<: ", "? ", "${", "}", "null", "true", "-1", "0", "1e999", ".inf", "9" * 400, "9" * 400 + "MB", "0x1F",
    "\t", "\r", "\x00", "\u202e", "\ud800", "\ufeff", '"\\ud800"', '"\\U7fffffff"', "---\n", "...\n", "%YAML 1.1\n",
    "1s", "1MB", "50%", "https://me:" + CANARY + "@h", "password: " + CANARY, "east", "orders",
    "[" * 60, "{a: " * 60, "2026-01-01", "🙂", "é", "a" * 300, "http://[", "10.0.0.1:99999",
)  # fmt: skip


def mutants(seeds: list[str], count: int, seed: int) -> Iterator[str]:
    """Damaged copies: characters and lines dropped, doubled, swapped, and hostile pieces put in."""
    chance = random.Random(seed)
    for _ in range(count):
        text = chance.choice(seeds)
        for _ in range(chance.randint(1, 4)):
            text = _mutant(text, chance)
        yield text


def _mutant(text: str, chance: random.Random) -> str:
    lines = text.split("\n")
    start = chance.randrange(len(text) + 1)
    match chance.randrange(7):
        case 0:
            return text[:start] + text[start + chance.randint(1, 9) :]
        case 1:
            return text[:start] + chance.choice(_PIECES) + text[start:]
        case 2:
            return text[:start] + chance.choice(_PIECES) + text[start + chance.randint(1, 12) :]
        case 3:
            return "\n".join(lines[: (at := chance.randrange(len(lines)))] + lines[at + 1 :])
        case 4:
            at = chance.randrange(len(lines))
            return "\n".join([*lines[:at], lines[at], *lines[at:]])
        case 5:
            one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
            lines[one], lines[other] = lines[other], lines[one]
            return "\n".join(lines)
        case _:
            value = chance.choice(_PIECES)
            at = chance.randrange(len(lines))
            key = lines[at].partition(":")[0]
            return "\n".join([*lines[:at], f"{key}: {value}", *lines[at + 1 :]])
