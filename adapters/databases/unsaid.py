"""Errors of a login without the password: a server that gets it in plain text can say it again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from adapters.concealed import Concealed
from adapters.secrets import Secret

SAID = ("detail", "hint", "internal_query", "context")


@contextmanager
def unsaid(password: Secret | None) -> Iterator[None]:
    """While the context lasts, an error of the server has no password in it, wherever it is shown later."""
    try:
        yield
    except asyncpg.PostgresError as error:
        if password is not None:
            hide = Concealed([password]).hide
            error.args = tuple(hide(each) if isinstance(each, str) else each for each in error.args)
            for name in SAID:
                if isinstance(said := getattr(error, name, None), str):
                    setattr(error, name, hide(said))
        raise
