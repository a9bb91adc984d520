"""Every reading of every adapter can be checked where it enters: a field that cannot be silences its whole source."""

from typing import Any, get_args

import pytest

from state.errors import Trouble
from state.world.dns_parts import DnsReading, NameLack
from state.world.readings import Reading
from state.world.shapes import _check, misfit


@pytest.mark.parametrize("kind", get_args(Reading), ids=lambda kind: kind.__name__)
def test_a_reading_can_be_checked(kind: type[Any]) -> None:
    assert _check(kind)(object(), None) == ""


def test_what_a_record_lacks_is_checked_too() -> None:
    good = DnsReading("z", "s", 1, {}, {}, {}, {"b/A": NameLack(Trouble.ERROR, "x", ("ns1",))})
    assert misfit(good) is None
    wrong = DnsReading("z", "s", 1, {}, {}, {}, {"b/A": NameLack(Trouble.ERROR, 5)})  # type: ignore[arg-type]
    assert misfit(wrong) is not None
