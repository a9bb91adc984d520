"""The targets of an estate, asked without effect: by `recovery check --connect` and before an engine starts."""

from __future__ import annotations

import asyncio
from pathlib import Path

from state.diagnosis.model import Diagnosis
from state.errors import ConfigError


def connect_all(estate_file: Path, within: float, *, commands: bool = True) -> list[Diagnosis]:
    """Every answer about every target, each within so many seconds; without `commands` about those that need no command
    for a secret. Raises ConfigError for the estate."""
    from adapters.examining import examine_estate
    from console.engine.loading import load

    return asyncio.run(examine_estate(load(estate_file).estate, estate_file.parent, deadline=within, commands=commands))


def before_start(estate_file: Path | None, within: float) -> list[Diagnosis]:
    """The answers that a person should see before an engine starts: those that are no pass. Whether the estate can be
    loaded the engine itself says. Commands of secrets are run by the engine alone, once."""
    from state.health import Health

    if estate_file is None:
        return []
    try:
        found = connect_all(estate_file, within, commands=False)
    except ConfigError:
        return []
    return [each for each in found if each.health is not Health.PASS]
