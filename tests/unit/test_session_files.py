"""The session log's files: bounded by size, age and the room that the journal needs; never through a link."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from adapters.journals.session_files import DAY, DAYS, SessionFiles
from state.api.caller import Caller
from state.api.sessions import LONGEST, MOST_LINES, SeenKind, SeenLine, read_seen
from state.engine.session_log import SessionLog
from state.errors import NotFound
from tests.support.small_estate import LoopClock

NOW = 1_795_000_000.0
ADA = Caller(1000, "ada", "ada", ("commander",), "s1", read_only=False)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_lines_come_back_in_order_and_only_this_account_can_read_them(tmp_path: Path) -> None:
    log = SessionFiles(tmp_path / "s")
    for n in range(3):
        log.append([b"%d\n" % n], NOW + n)
    assert log.read() == b"0\n1\n2\n"
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "s", *(tmp_path / "s").iterdir())] == [0o700, 0o600]


def test_a_day_with_much_goes_on_in_another_file_and_the_oldest_go_first(tmp_path: Path) -> None:
    log = SessionFiles(tmp_path, largest=1000, most=3000)
    for n in range(100):
        log.append([b"%098d\n" % n], NOW)
    kept = log.read().split()
    assert int(kept[-1]) == 99
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 4000
    assert [int(line) for line in kept] == list(range(int(kept[0]), 100)), "what is left has no gap"


def test_what_is_older_than_its_time_goes(tmp_path: Path) -> None:
    log = SessionFiles(tmp_path)
    log.append([b"old\n"], NOW - (DAYS + 2) * DAY)
    log.append([b"young\n"], NOW - (DAYS - 2) * DAY)
    log.append([b"now\n"], NOW)
    assert log.read() == b"young\nnow\n"


def test_the_last_room_of_a_disk_is_the_journals(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="kept for the journal"):
        SessionFiles(tmp_path, room=1 << 62).append([b"x\n"], NOW)
    assert names(tmp_path) == []


def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    log, victim = SessionFiles(tmp_path / "s"), tmp_path / "victim"
    victim.write_text("")
    log.append([b"x\n"], NOW)
    (file,) = (tmp_path / "s").iterdir()
    file.unlink()
    file.symlink_to(victim)
    with pytest.raises(OSError):  # noqa: PT011  (the kernel's own words)
        log.append([b"y\n"], NOW)
    assert victim.read_text() == ""


class Stuck:
    """A disk that does not answer, or says no."""

    def __init__(self, error: OSError | None = None) -> None:
        self.error, self.free = error, threading.Event()

    def append(self, lines: Sequence[bytes], now: float) -> None:
        if self.error is not None:
            raise self.error
        self.free.wait(30)

    def read(self) -> bytes:
        return b""


LINE = SeenLine(SeenKind.KEY, "drain-server", "", 0.5)


async def test_a_disk_that_hangs_keeps_nobody_and_is_told() -> None:
    disk = Stuck()
    log = SessionLog(disk, LoopClock(), lambda: 7)
    try:
        for _ in range(3):
            kept = await asyncio.wait_for(log.keep(ADA, "c1", [LINE]), 20)
            assert (kept.kept, kept.trouble) == (0, "the disk of the session log does not answer")
    finally:
        disk.free.set()


async def test_a_disk_that_refuses_is_told_with_its_reason() -> None:
    log = SessionLog(Stuck(OSError(28, "No space left on device")), LoopClock(), lambda: 7)
    assert (await log.keep(ADA, "c1", [LINE])).trouble == "No space left on device"


async def test_who_pressed_is_what_the_kernel_says(tmp_path: Path) -> None:
    log = SessionLog(SessionFiles(tmp_path), LoopClock(), lambda: 7)
    assert (await log.keep(ADA, "c1", [LINE])).kept == 1
    told = json.loads(await log.lines())
    assert (told["person"], told["account"], told["console"], told["views"]) == ("ada", "ada", "c1", 7)
    assert (told["kind"], told["what"]) == ("key", "drain-server")


@pytest.mark.parametrize(
    "body",
    [
        {}, {"console": 1, "lines": []}, {"console": "c", "lines": [["key", "a", "b"]]},
        {"console": "c", "lines": [["typed", "a", "b", 1]]}, {"console": "c", "lines": [["key", "a", "b", True]]},
        {"console": "c", "lines": [["key", 7, "b", 1]]}, {"console": "c", "lines": [[]] * (MOST_LINES + 1)},
    ],
)  # fmt: skip
def test_what_is_no_line_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(NotFound):
        read_seen(body)


def test_a_line_is_cleaned_and_bounded() -> None:
    _, (line,) = read_seen({"console": "c", "lines": [["key", "a\x1b]52;c;x\x07" + "b" * 999, "", -5]]})
    assert "\x1b" not in line.what
    assert len(line.what) <= LONGEST + len("…(+9999)")
    assert line.ago == 0.0
