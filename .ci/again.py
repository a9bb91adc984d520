"""After a failed whole run: what failed is run again by itself, and must pass each time.

Three processes of tests share two cores with real databases; under such a load a server, or a deadline of a second, can
be late. A failure there is told apart from a defect by repeating it where nothing else runs. That is for few tests,
never for those of crashes, attacks and structure, and each is printed: an unsteady test is a task, not noise.
Reads pytest's own list of failures. Exit 0 when everything passed each time, 1 otherwise.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

MOST = 3
"""More failures than this are a defect, whatever they do alone."""
TIMES = 3
NEVER = ("tests/arch/", "tests/attack/", "tests/crash/")
"""What these say about one run is meant: a double effect in one of a hundred is one."""


def failed(root: Path) -> list[str]:
    """The tests that failed in the last run, without the group that the distribution over processes appends."""
    kept = root / ".pytest_cache" / "v" / "cache" / "lastfailed"
    names = json.loads(kept.read_text()) if kept.exists() else {}
    return sorted(name.rpartition("@")[0] or name for name in names)


def final(tests: list[str]) -> str:
    """Why they are not repeated; empty when they may be."""
    if not tests:
        return "no list of failures: the run itself broke"
    if len(tests) > MOST:
        return f"{len(tests)} tests failed; at most {MOST} are repeated"
    meant = [test for test in tests if test.startswith(NEVER) or "::" not in test]
    return f"never repeated: {', '.join(meant)}" if meant else ""


def main(root: Path) -> int:
    """Repeat what failed in the run of this folder."""
    tests = failed(root)
    if reason := final(tests):
        print(f"again: {reason}")
        return 1
    for time in range(1, TIMES + 1):
        print(f"again: {time} of {TIMES}, by themselves: {', '.join(tests)}", flush=True)
        if subprocess.run([sys.executable, "-P", "-m", "pytest", "-q", *tests], cwd=root, check=False).returncode:
            print("again: it failed alone, too")
            return 1
    print(f"again: UNSTEADY, passed {TIMES} times alone: {', '.join(tests)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path.cwd()))
