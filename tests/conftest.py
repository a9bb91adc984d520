"""What every test runs under: a clean environment, no colour surprises, no estate of the machine's own."""

from __future__ import annotations

import pytest

SCRUBBED = ("NO_COLOR", "COLORTERM", "RECOVERY_ESTATE", "PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGSERVICE")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SCRUBBED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
