"""Names that must be defined elsewhere in the same file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from state.config_files.literal_secrets import shown
from state.config_files.located import Located
from state.config_files.paths import Path, at
from state.config_files.suggestions import nearest, one_of
from state.errors import Problem


class Reference:
    """Marks a model's text as a name that one of these sections defines; `what` is what people call it.

    It is part of the type: `Annotated[str, Reference("site", "sites")]`. `besides` are names that need no entry.
    """

    def __init__(self, what: str, *sections: str, besides: tuple[str, ...] = ()) -> None:
        self.what = what
        self.sections = sections
        self.besides = besides


def defined(data: Any, *sections: str) -> list[str]:
    """The names defined in these sections; one that is not a mapping defines none."""
    found = (at(data, (section,)) for section in sections)
    return [name for each in found if isinstance(each, Mapping) for name in each if isinstance(name, str)]


def reference_problems(located: Located, references: Mapping[Path, Reference]) -> Iterator[tuple[Path, Problem]]:
    """A problem for every text at these paths that is not a defined name; other values are skipped."""
    names: dict[Reference, list[str]] = {}
    for path, reference in references.items():
        value = at(located.data, path)
        if reference not in names:
            names[reference] = [*reference.besides, *defined(located.data, *reference.sections)]
        known = names[reference]
        if isinstance(value, str) and value not in known:
            expected = f"a {reference.what}: {one_of(known)}" if known else f"a {reference.what}, but none is defined"
            yield path, located.problem(path, shown(path, value), expected, nearest(value, known))
