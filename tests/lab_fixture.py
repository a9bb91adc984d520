"""A running lab for tests: one context manager, which leaves no process and no file behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adapters.lab.client import LabClient, start_lab
from adapters.lab.options import LabOptions
from adapters.lab.process.directory import is_locked


@contextmanager
def running_lab(directory: Path, options: LabOptions | None = None) -> Iterator[LabClient]:
    """Start a lab in `directory`, give its client, take it down. Raises LabError when it does not become live."""
    client = asyncio.run(start_lab(directory, options))
    try:
        yield client
    finally:
        if is_locked(client.directory):
            asyncio.run(client.down())
