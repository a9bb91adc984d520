"""What cannot be written is no outcome: an acting verb keeps its exit code, a reading one has given no answer."""

from __future__ import annotations

import subprocess
import sys

import pytest

VERB = """
import sys, click
from console.cli.ending import run_to_code
from console.cli.shown import note, say
from console.cli.streams import ENDS, prepare_streams

@click.group()
def group(): pass

@group.command()
@click.argument("acts", type=bool)
@click.argument("code", type=int)
def verb(acts, code):
    ENDS.acted = acts
    say("x" * 100_000)
    note("y")
    return code

prepare_streams()
sys.exit(run_to_code(group, ["verb", *sys.argv[1:]]))
"""


@pytest.mark.parametrize(
    ("acts", "code", "redirect", "ended"),
    [
        (True, 0, ">/dev/full", 0),
        (True, 5, ">/dev/full 2>/dev/full", 5),
        (True, 0, "2>/dev/full", 0),
        (False, 0, ">/dev/full", 74),
        (False, 1, ">/dev/full 2>/dev/full", 74),
        (False, 1, "2>/dev/full", 1),
    ],
)
def test_a_full_disk_under_the_streams(acts: bool, code: int, redirect: str, ended: int) -> None:
    argv = [sys.executable, "-c", VERB, str(acts), str(code)]
    shell = ["sh", "-c", f'"$@" {redirect}', "sh", *argv]
    done = subprocess.run(shell, capture_output=True, check=False, timeout=60)
    assert done.returncode == ended, done.stderr
    told = b"the output cannot be written: No space left on device" in done.stderr
    assert told == ("2>" not in redirect)
    assert b"Traceback" not in done.stderr
