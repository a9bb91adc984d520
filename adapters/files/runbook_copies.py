"""The shipped runbooks that an estate has something for, as they are shipped: they find their names in the estate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import adapters
from adapters.files.read import read_shipped
from state.estate.model import Estate
from state.runbooks.parse import structure_of
from state.runbooks.related import unfit

SHIPPED = Path(adapters.__file__).parents[1] / "config" / "runbooks"


@dataclass(frozen=True, slots=True)
class RunbookCopy:
    """A shipped runbook: its text, or empty with the reason why the estate has nothing for it."""

    name: str
    text: str
    why: str = ""


def copies(estate: Estate) -> Iterator[RunbookCopy]:
    """Every shipped runbook, by name. Which service needs which database only a person knows, so one that waits for
    that alone is copied too."""
    linked = _linked(estate)
    paths = sorted(SHIPPED.glob("*.yaml"))
    found = {path: structure_of(read_shipped(path)) for path in paths}
    books = {book.runbook: book for book in found.values() if book is not None}
    for path, book in found.items():
        if book is not None:
            why = unfit(book, linked, books)
            yield RunbookCopy(book.runbook, "" if why else path.read_text(encoding="utf-8"), why)


def _linked(estate: Estate) -> Estate:
    """The estate as if each service needed every database."""
    databases = tuple(estate.databases)
    services = {name: each.model_copy(update={"depends_on": databases}) for name, each in estate.services.items()}
    return estate.model_copy(update={"services": services})
