"""Outages of sources in the log: begin, longer and longer intervals, end, and never a line for each flap."""

from __future__ import annotations

import logging

from console.engine.outages import Line, Outages
from state.api.views.header import SourceRow


class Source:
    """One source, looked at once a second."""

    def __init__(self) -> None:
        self.outages, self.now, self.read = Outages(), 1000.0, 1000.0
        self.lines: list[Line] = []

    def sleep(self, seconds: int, *, silent: bool) -> None:
        for _ in range(seconds):
            self.now += 1
            self.read = self.read if silent else self.now
            trouble = ("timeout", "no answer within 0.9 s") if silent else ("", "")
            row = SourceRow("metrics:prometheus", self.read, 3.0, *trouble)
            self.lines += self.outages.look({row.key: row}, self.now)


def test_an_outage_is_logged_at_its_begin_at_longer_intervals_and_at_its_end() -> None:
    source = Source()
    source.sleep(30, silent=False)
    assert source.lines == []
    source.sleep(2 * 86400 + 100, silent=True)
    source.sleep(30, silent=False)
    levels, messages = zip(*source.lines, strict=True)
    assert messages[0] == "metrics:prometheus is silent: timeout, no answer within 0.9 s"
    assert [m.split(":")[1].split(" for ")[1] for m in messages[1:-1]] == ["60 s", "10 m", "60 m", "24 h", "2 d"]
    assert messages[-1] == "metrics:prometheus is read again after 2 d"
    assert set(levels[:-1]) == {logging.WARNING}
    assert levels[-1] == logging.INFO


def test_a_thousand_flaps_are_few_lines() -> None:
    source = Source()
    for _ in range(1000):
        source.sleep(8, silent=True)
        source.sleep(8, silent=False)
    source.sleep(700, silent=False)
    assert len(source.lines) < 60
    assert "times more meanwhile" in "".join(message for _, message in source.lines)
