"""The worlds that unit tests start from."""

from __future__ import annotations

import pytest

from state.world.world import World
from tests.unit.night import Night, calm_night
from tests.unit.verdict_world import healthy_world


@pytest.fixture
def world() -> World:
    """Every source was read half a second ago, and everything passes."""
    return healthy_world()


@pytest.fixture
def night() -> Night:
    """An evening on which everything answers."""
    return calm_night()
