"""Numbers on the command line: one kind for seconds and rates, one for ports. What is no such number is wrong usage."""

from __future__ import annotations

import math
import re

import click

from state.units import parse_duration

MOST_SECONDS = 31_536_000.0
"""A year: no verb waits longer."""
LAST_PORT = 65_535


class Above(click.ParamType[float]):
    """A number above zero, at most `most`: ASCII digits with at most one point."""

    name = "number"

    def __init__(self, most: float) -> None:
        self.most = most

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number. Fails as wrong usage that names the option."""
        text = str(value)
        number = float(text) if re.fullmatch(r"[0-9]+(\.[0-9]+)?|\.[0-9]+", text) else math.nan
        if not 0 < number <= self.most:
            self.fail(f"{text!r} is not a number above 0 and at most {self.most:g}", param, ctx)
        return number


class Whole(click.ParamType[int]):
    """A whole number from `least` on, at most `most` where there is one: ASCII digits."""

    name = "number"

    def __init__(self, least: int, most: int | None = None) -> None:
        self.least, self.most = least, most

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number. Fails as wrong usage that names the option."""
        text = str(value)
        number = int(text) if re.fullmatch(r"[0-9]{1,18}", text) else -1
        if number < self.least or (self.most is not None and number > self.most):
            end = "on" if self.most is None else f"to {self.most}"
            self.fail(f"{text!r} is not a whole number from {self.least} {end}", param, ctx)
        return number


class Duration(click.ParamType[float]):
    """A time as in the estate's file: `500ms`, `30m`, `1h30m`, `1d`; at least a millisecond, at most a year."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds. Fails as wrong usage that names the option."""
        text = str(value)
        try:
            seconds = parse_duration(text) if len(text) <= MOST_LETTERS else math.nan
        except ValueError:
            seconds = math.nan
        if not 0.001 <= seconds <= MOST_SECONDS:
            self.fail(f"{text[:MOST_LETTERS]!r} is not a time like 500ms, 30m or 1h30m, at most a year", param, ctx)
        return seconds


MOST_LETTERS = 40
DURATION = Duration()
SECONDS = Above(MOST_SECONDS)
PORT = Whole(1, LAST_PORT)
