"""Answers from outside, read as JSON; and what reading one of another shape than expected may raise."""

from __future__ import annotations

import asyncio
import csv
import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn, TypeVar

from state.text import clean

T = TypeVar("T")
SMALL = 64 << 10
"""Bytes that are read at once; what is larger is read beside the event loop."""
MOST_VALUES, MOST_LISTS = 400_000, 150_000
"""So many values, and lists or objects, an answer may have: reading them holds the interpreter some 10 ms."""
_LARGE = ThreadPoolExecutor(1, "large answer")
"""Reads one large answer after the other: what waits and is given up is never read."""

MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, csv.Error, RecursionError)
"""An answer that is not as its product's manual has it: the trouble of that target, and of nothing else."""


class Ambiguous(ValueError):
    """JSON that cannot be taken at its word: readers differ in what it says."""


def read_json(raw: bytes | str) -> Any:
    """JSON as its standard has it. Raises ValueError; Ambiguous for NaN and Infinity, for an object with a key twice,
    and for what is nested too deeply or has too many values."""
    _require_bounded(raw)
    try:
        return json.loads(raw, parse_constant=_no_number, object_pairs_hook=_object)
    except RecursionError:
        raise Ambiguous("its JSON is nested too deeply") from None


async def understood(raw: bytes, take: Callable[[Any], T]) -> T:
    """What `take` makes of an answer in JSON, beside the event loop where it is large. Raises what `read_json` and
    `take` raise."""
    return await worked(lambda: take(read_json(raw)), large=len(raw) > SMALL)


async def worked(work: Callable[[], T], *, large: bool) -> T:
    """What some work on an answer gives; `large` work is done in another thread, and the event loop goes on."""
    return await asyncio.get_running_loop().run_in_executor(_LARGE, work) if large else work()


def _require_bounded(raw: bytes | str) -> None:
    """Raise Ambiguous for too many values, counted without reading them. Signs within texts count as well."""
    if len(raw) <= SMALL:
        return
    comma, lists, objects = (b",", b"[", b"{") if isinstance(raw, bytes) else (",", "[", "{")
    if raw.count(comma) > MOST_VALUES or raw.count(lists) + raw.count(objects) > MOST_LISTS:  # type: ignore[arg-type]
        raise Ambiguous(f"its JSON has more than {MOST_VALUES} values or {MOST_LISTS} lists and objects")


def _no_number(name: str) -> NoReturn:
    raise Ambiguous(f"its JSON has {name}, which is no number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise Ambiguous(f"its JSON has the key {clean(twice, 60)} twice")
    return made
