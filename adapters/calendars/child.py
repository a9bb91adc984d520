"""`python -m adapters.calendars.child FILE ZONE TEXT SINCE UNTIL SECONDS`: what a calendar file says, as JSON.

A process of its own: there are files that take any time and memory to understand. The kernel ends it after so many
seconds of a processor, and the engine's loop does not wait for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from adapters.calendars.events import UNREADABLE, events_in
from adapters.calendars.scan import MOST_BYTES, UnfitCalendar, pieces
from adapters.calendars.spans import spans_of
from state.host.regular import opened

NOT_FETCHED = "none, as a job writes it that could fetch nothing"


def answer(path: Path, zone: str, named: str, since: float, until: float) -> dict[str, Any]:
    """`spans` as [start, end, which of the `titles`], `digest`, `written`, how many events are `free`,
    `free_days` and `without_length`, how many were not chosen where none was (`untitled`); or `problem`:
    line, expected, found."""
    try:
        with opened(path) as file:
            written = os.fstat(file.fileno()).st_mtime
            raw = file.read(MOST_BYTES + 1)
        every = pieces(raw)
        if not (written_events := sum(piece.kind == "VEVENT" for piece in every)):
            raise UnfitCalendar(0, "at least one event, past or to come", NOT_FETCHED)
        chosen = list(events_in(every, ZoneInfo(zone), named))
        found = spans_of(chosen, since, until)
    except UnfitCalendar as unfit:
        return {"problem": [unfit.line, unfit.expected, unfit.found]}
    except UNREADABLE as error:  # a time that only together with another one is too late or too early
        return {"problem": [0, "a calendar whose times can be worked out", str(error)]}
    except OSError as error:
        return {"problem": [0, "a file that can be read", (error.strerror or "it cannot be read").lower()]}
    titles = {span.title: None for span in found.spans}
    places = {title: place for place, title in enumerate(titles)}
    return {
        "titles": list(titles),
        "spans": [[span.start, span.end, places[span.title]] for span in found.spans],
        "digest": hashlib.sha256(raw).hexdigest(),
        "written": written,
        "free": found.free,
        "free_days": found.free_days,
        "without_length": found.without_length,
        "untitled": 0 if chosen else written_events,
    }


def main(arguments: list[str]) -> int:
    """Write the answer, and nothing else."""
    file, zone, named, since, until, seconds = arguments
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 1))
    sys.stdout.write(json.dumps(answer(Path(file), zone, named, float(since), float(until))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
