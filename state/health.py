"""The answer of every verdict."""

from __future__ import annotations

from enum import StrEnum


class Health(StrEnum):
    """A verdict. Unknown is a separate answer; it never counts as pass."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"
