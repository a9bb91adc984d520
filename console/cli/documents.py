"""Where the documents are that texts name as `docs/…`: the wheel brings them, a repository has them."""

from __future__ import annotations

import sys
from pathlib import Path

INSTALLED = Path("share") / "doc" / "recovery-console"


def documents() -> Path | None:
    """The folder, None for a copy of the packages alone."""
    below = Path(__file__).parents[2] / "docs", Path(sys.prefix) / INSTALLED
    return next((folder for folder in below if (folder / "estate.md").is_file()), None)
