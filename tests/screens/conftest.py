"""Pictures are compared, and renewed, on the one Python and Textual they were drawn with."""

from __future__ import annotations

import pytest

from tests.screens.pinned import DRAWN_WITH, HERE

collect_ignore = [] if HERE == DRAWN_WITH else ["test_snapshots.py"]


def pytest_configure(config: pytest.Config) -> None:
    if HERE != DRAWN_WITH and getattr(config.option, "update_snapshots", False):
        raise pytest.UsageError(f"pictures are renewed with Python and Textual {DRAWN_WITH} only; these are {HERE}")
