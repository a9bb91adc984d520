"""Runs the benchmarks: one JSON line per figure as it is taken, a table at the end. A miss fails only `--strict`."""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from state.errors import RecoveryError
from tests.bench.figures import Figure, missing, table
from tests.bench.setting import Cores, Peers, Setting

GOALS = {
    "9": "journal",
    "long-journal": "long_journal",
    "7": "haproxy_intake",
    "6": "poll",
    "8": "divergence",
    "10": "traffic",
    "change-set": "change_sets",
    "12": "breakglass",
    "11": "promote",
    "1": "start",
    "3": "wire",
    "2": "hung",
    "4": "steady",
    "5": "keys",
    "key-to-effect": "effect",
    "stall": "stall",
}
"""What can be asked for, and the module that measures it, in the order they are run."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("goals", nargs="*", metavar="GOAL", help=f"of {', '.join(GOALS)}; none given: all")
    parser.add_argument("--full", action="store_true", help="full sizes, for figures to be written down")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a figure is beyond 1.5 times its target")
    parser.add_argument("--peers", type=Path, default=Peers.default_folder(), metavar="DIR", help="where peers live")
    parser.add_argument(
        "--install-peers", action="store_true", help="install those of PyPI there first, and MariaDB by apt-get"
    )
    given = parser.parse_args()
    unknown = [goal for goal in given.goals if goal not in GOALS]
    if unknown:
        parser.error(f"no goal {', '.join(unknown)}; there are {', '.join(GOALS)}")
    return given


def measured(goal: str, setting: Setting) -> list[Figure]:
    """The figures of one goal, told as they come; one that breaks is told and the others go on."""
    module = importlib.import_module(f"tests.bench.{GOALS[goal]}")
    figures = []
    try:
        for figure in module.measure(setting):
            print(figure.line(), flush=True)
            figures.append(figure)
    except (OSError, RuntimeError, AssertionError, RecoveryError, subprocess.SubprocessError) as error:
        message = f"could not be measured: {type(error).__name__}: {str(error)[-600:]}"
        figures.append(missing(goal, module.__name__.rpartition(".")[2], message))
        print(figures[-1].line(), flush=True)
    return figures


def main() -> int:
    given = arguments()
    peers = Peers(given.peers)
    if given.install_peers:
        peers.install()
    figures: list[Figure] = []
    scratch = Path(tempfile.mkdtemp(prefix="rb-", dir="/tmp"))
    scratch.chmod(0o755)
    setting = Setting(given.full, scratch, peers, Cores.found())
    try:
        for goal in given.goals or GOALS:
            started, load = time.monotonic(), os.getloadavg()[0]
            figures += measured(goal, setting)
            took = time.monotonic() - started
            print(f"# {goal}: {took:.0f} s, load average before it {load:.1f}", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"\n{table(figures)}", flush=True)
    return 1 if given.strict and any(figure.far_off for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
