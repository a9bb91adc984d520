"""What every test runs under: a clean environment, no colour surprises, no estate of the machine's own."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent
ON_THE_LAB = ("lab", "scenarios", "crash")
"""Folders whose tests share one laboratory."""
SCRUBBED = ("NO_COLOR", "COLORTERM", "RECOVERY_ESTATE", "PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGSERVICE")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SCRUBBED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Under `-n`: what shares a laboratory stays in one process, the rest of a file too."""
    for item in items:
        place = item.path.relative_to(ROOT)
        item.add_marker(pytest.mark.xdist_group("lab" if place.parts[0] in ON_THE_LAB else str(place)))
