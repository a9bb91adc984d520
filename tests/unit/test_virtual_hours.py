"""Hours of faults and work on virtual time: what an engine keeps in memory does not grow, and its journal is whole.

Eight of them are the long programme; what is bounded is nearly full when they begin. Figures are printed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[2]
SHARE = 0.02
"""The most that memory may grow after the first hour, as a share of what it was then."""


def lived(hours: float, seed: int) -> tuple[list[tuple[int, ...]], str]:
    """Minute, resident kB, objects, entries and tasks, ten times an hour; and the last line."""
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop()); from tests.support.virtual_hours import main; sys.exit(main())"
    )
    argv = [sys.executable, "-P", "-c", program, str(hours), str(seed), str(ROOT)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    *rows, last = done.stdout.splitlines()
    return [tuple(map(int, row.split())) for row in rows], last


def test_a_fifth_of_an_hour_is_lived_through_and_the_chain_is_whole() -> None:
    rows, last = lived(0.2, 7)
    assert [row[0] for row in rows] == [6, 12]
    assert rows[-1][3] > rows[0][3] > 0, "entries are written all the time"
    assert last.startswith("whole ")


@pytest.mark.torture
def test_eight_hours_keep_what_they_had_after_the_first() -> None:
    rows, last = lived(8, 11)
    assert last.startswith("whole ")
    for column, name in ((1, "resident kB"), (2, "objects"), (4, "tasks")):
        first = median(row[column] for row in rows if 60 < row[0] <= 120)
        end = median(row[column] for row in rows if row[0] > 420)
        print(f"{name}: {first:g} in the second hour, {end:g} in the last: {end / first - 1:+.2%}")
        assert end <= first * (1 + SHARE) + (2 if name == "tasks" else 0), name
