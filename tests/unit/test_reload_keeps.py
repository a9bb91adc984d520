"""What a monitor remembers survives a reload that does not concern it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from adapters.registry import kinds
from adapters.wiring import wire
from state.config_files.located import Located
from state.estate.model import Estate
from state.estate.parse import parse_estate
from tests.unit.verdict_world import RAW


def estate(**services: dict[str, Any]) -> Estate:
    raw = copy.deepcopy({**RAW, "databases": {}})
    for service in raw["services"].values():
        service.pop("depends_on", None)
    for name, change in services.items():
        raw["services"].setdefault(name, {}).update(change)
    return parse_estate(Located(raw, "estate.yaml"), kinds())


def test_another_promise_of_a_service_keeps_every_monitor(tmp_path: Path) -> None:
    before = estate()
    had = wire(before, tmp_path)
    now = wire(estate(catalog={"rto": "2h"}), tmp_path, (before, had))
    assert {place for place in had.entries if now.entries[place] is had.entries[place]} == set(had.entries)


def test_only_a_monitor_that_is_asked_for_another_service_is_built_anew(tmp_path: Path) -> None:
    before = estate()
    had = wire(before, tmp_path)
    changed = {"metrics": {**RAW["services"]["checkout"]["metrics"], "service": "basket"}}
    now = wire(estate(checkout=changed), tmp_path, (before, had))
    anew = {place for place in had.entries if now.entries[place] is not had.entries[place]}
    assert anew == {f"monitors/{name}" for name in RAW["services"]["checkout"]["metrics"]["monitors"]}
