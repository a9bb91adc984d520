"""Copies of the shipped runbooks with defaults of an estate's own names, every other byte as it is shipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import adapters
from adapters.files.located_yaml import parse_yaml
from adapters.files.yaml_splice import CannotSplice, YamlText
from state.config_files.located import Located
from state.errors import ConfigError
from state.estate.model import Estate

SHIPPED = Path(adapters.__file__).parents[1] / "config" / "runbooks"
Lint = Callable[[Located], object]
"""Raises ConfigError for a runbook that does not fit."""


@dataclass(frozen=True, slots=True)
class RunbookCopy:
    """A shipped runbook for an estate: its text, or empty with the reason why it does not fit."""

    name: str
    text: str
    why: str = ""


def copies(estate: Estate, servers: Mapping[str, Sequence[str]], lint: Lint) -> list[RunbookCopy]:
    """Every shipped runbook, with the first service of the estate that it fits; `servers` are those of each service."""
    return [_copy(path, estate, servers, lint) for path in sorted(SHIPPED.glob("*.yaml"))]


def _copy(path: Path, estate: Estate, servers: Mapping[str, Sequence[str]], lint: Lint) -> RunbookCopy:
    shipped = path.read_text(encoding="utf-8")
    why, near = "the estate has no service", False
    for service in estate.services:
        try:
            text = _fitted(shipped, estate, service, servers.get(service, ()))
            lint(parse_yaml(text, path.name))
        except CannotSplice as error:
            why = why if near else str(error)
        except ConfigError as error:
            why, near = f"for {service} it would need {error.problems[0].expected}", True
        else:
            return RunbookCopy(path.stem, text)
    return RunbookCopy(path.stem, "", why)


def _fitted(shipped: str, estate: Estate, service: str, servers: Sequence[str]) -> str:
    """The text with the defaults of its parameters for one service. Raises CannotSplice when one has no value."""
    text = YamlText(shipped)
    data = parse_yaml(shipped, "").data
    params = data.get("params", {}) if isinstance(data, dict) else {}
    if not estate.databases and any(spec.get("kind") == "database" for spec in params.values()):
        raise CannotSplice("the estate has no database")
    for name, kind, default in _named(params):
        choices = {"service": (service,), "colour": _colours(estate, service), "server": tuple(servers)}.get(kind)
        if choices is None or default in choices:
            continue
        if not choices:
            raise CannotSplice(f"{service} has no {kind}")
        text.replace(("params", name, "default"), choices[0])
    return text.text


def _named(params: object) -> Iterator[tuple[str, str, object]]:
    """The parameters that have a default and are names: their name, kind and default."""
    for name, spec in params.items() if isinstance(params, dict) else ():
        if isinstance(spec, dict) and "default" in spec:
            yield name, str(spec.get("kind")), spec["default"]


def _colours(estate: Estate, service: str) -> tuple[str, ...]:
    traffic = estate.services[service].traffic
    return tuple(traffic.colours) if traffic is not None else ()
