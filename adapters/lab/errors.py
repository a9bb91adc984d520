"""What can go wrong with the lab, as the caller sees it."""

from __future__ import annotations


class LabError(RuntimeError):
    """The lab could not do what was asked; the message says why."""


class LabNotRunningError(LabError):
    """No lab runs in that directory."""


class LabUnknownError(LabError):
    """No reliable answer came: what was asked for may have happened, or not."""


class NoSuchFaultError(LabError):
    """A fault, link or target of that name does not exist."""
