"""What every parser of the table does with what it has read."""

from __future__ import annotations

from typing import Any, get_args

from state.world.readings import Reading
from state.world.shapes import misfit


def fits(reading: Any) -> None:
    """What an adapter gives is good, or the gate says where it is not."""
    if isinstance(reading, get_args(Reading)):
        where = misfit(reading)
        assert where is None or isinstance(where, str)
