"""The command line: `recovery VERB`. Verbs are imported when they are called, and their heavy parts when they run."""

from __future__ import annotations

import gc
import os
import signal
import sys
import traceback
from collections.abc import Sequence

COLLECT_AFTER = 50_000
"""Objects between two garbage collections: imports free none, and collecting takes a tenth of the start."""


def main(argv: Sequence[str] | None = None) -> None:
    """The program: run one verb and exit with its code (see `state.errors.ExitCode`)."""
    gc.set_threshold(COLLECT_AFTER)
    from console.cli.ending import run_to_code
    from console.cli.streams import prepare_streams
    from console.cli.verbs import COMPLETING, recovery
    from state.errors import ExitCode

    prepare_streams()
    if COMPLETING in os.environ:
        from console.cli.completion import register_classes

        register_classes()
    try:
        code = run_to_code(recovery, list(sys.argv[1:] if argv is None else argv))
    except Exception:  # noqa: BLE001 - a defect: no verdict, so none of the codes that are one
        traceback.print_exc()
        code = ExitCode.DEFECT
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the verb is over: one more Ctrl+C must not replace its code
    sys.exit(code)
