"""The parser of what instances say they run, for the table of parsers."""

from __future__ import annotations

from contextlib import suppress

from adapters.monitors.version import VersionOptions, VersionPage
from adapters.net.http_client import Reply
from state.errors import ReadFailure
from state.world.shapes import misfit
from tests.support.told import ToldReader


def version_page(data: bytes) -> None:
    """A page in JSON and one of metrics."""
    for read in ("json", "metrics"):
        options = VersionOptions.model_validate({"kind": "version", "read": read, "targets": {}})
        page = VersionPage("blue", ToldReader(), "/version", options)
        with suppress(ReadFailure):
            assert misfit(page.taken(Reply(200, data, ""))) is None
