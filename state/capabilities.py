"""Capabilities: what the product can do, each registered in one place.

A capability is a folder below `state/` with a `capability.py` that holds `CAPABILITY`. Everything else derives from
these: the engine's folds, the stream's topics, the console's tabs, go-to, help and metrics, the kinds of changes and
checks. Only names are registered here, so that a console can ask for the topics without loading the engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, TypeVar

from state.api.topics import Topic, load

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Capability:
    """One capability. Everything but the topics is named as `module:attribute`.

    `events` are modules which define event bodies, `projections` are `Projection`s, `changes` and `checks` are tuples
    of kinds, `contributions` are functions that add to what is shown on every screen (see `state.views.context`).
    """

    name: str
    topics: tuple[Topic, ...] = ()
    events: tuple[str, ...] = ()
    projections: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    contributions: tuple[str, ...] = ()


_added: list[Capability] = []
_shipped: list[Capability] = []


def capabilities() -> tuple[Capability, ...]:
    """Every capability: those shipped below `state/`, then those added from outside."""
    if not _shipped:
        below = Path(__file__).parent
        names = sorted(path.parent.name for path in below.glob("*/capability.py"))
        _shipped.extend(import_module(f"state.{name}.capability").CAPABILITY for name in names)
    return (*_shipped, *_added)


@contextmanager
def added(capability: Capability) -> Iterator[None]:
    """While the context lasts, the capability counts as one of the product's."""
    _added.append(capability)
    try:
        yield
    finally:
        _added.remove(capability)


def topics() -> Mapping[str, Topic]:
    """Every topic by name, in the order of its digit; those without a screen come first.

    Raises ValueError for two topics of one name or one digit.
    """
    found = [topic for each in capabilities() for topic in each.topics]
    unique(((topic.digit, topic) for topic in found if topic.digit), "topics with the digit")
    return unique(((topic.name, topic) for topic in sorted(found, key=lambda topic: topic.digit)), "topics named")


def unique(named: Iterable[tuple[str, T]], what: str) -> dict[str, T]:
    """A registry by name. Raises ValueError when two things have one name: neither may hide the other."""
    found: dict[str, T] = {}
    for name, thing in named:
        if name in found:
            raise ValueError(f"there are two {what} {name}: {found[name]} and {thing}")
        found[name] = thing
    return found


def parts(what: str) -> Iterator[Any]:
    """The loaded objects of one field of all capabilities: `projections`, `changes`, `checks` or `contributions`."""
    for each in capabilities():
        for place in getattr(each, what):
            yield load(place)


def kinds(what: str) -> Iterator[Any]:
    """Every registered kind of `changes` or `checks`: the KINDS of each module of that package, then those of
    capabilities."""
    yield from _own_kinds(what)
    for registered in parts(what):
        yield from registered


@cache
def _own_kinds(what: str) -> tuple[Any, ...]:
    """Those of the package's own modules, which are looked for once: a folder is read for it."""
    package = import_module(f"state.{what}")
    names = [found.name for found in iter_modules(package.__path__, f"state.{what}.")]
    return tuple(kind for name in names for kind in getattr(import_module(name), "KINDS", ()))


def load_events() -> None:
    """Import every module that defines event bodies, so that the journal can be read."""
    for each in capabilities():
        for module in each.events:
            import_module(module)
