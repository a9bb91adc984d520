"""`python -m adapters.lab.supervisor`: runs one lab and prints its progress as JSON lines.

In the foreground until SIGINT or SIGTERM; with `--detach` in a session of its own, progress in `progress.jsonl`.
Only one lab runs in a directory: a second start reports the first and ends. With `--bond FD` it ends, and leaves
nothing, when the process that started it is gone (see `adapters.bond`).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from adapters.lab.errors import LabError
from adapters.lab.options import LabOptions, parse_arguments
from adapters.lab.process.directory import LOG, PROGRESS, lock, prepare_directory, scratch
from adapters.lab.process.keeper import keep
from adapters.lab.progress import Reporter


def _detach(directory: Path) -> None:
    """Return control to the caller; this process continues in a session of its own."""
    if os.fork() != 0:
        os._exit(0)
    os.setsid()
    for name, target in ((os.devnull, 0), (str(directory / PROGRESS), 1), (str(directory / LOG), 2)):
        flags = os.O_RDONLY if target == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(name, flags, 0o600), target)


def _supervise(directory: Path, root: Path, options: LabOptions, keeper: int) -> int:
    from adapters.lab.laboratory import Laboratory  # after the fork: the keeper stays small

    async def run() -> int:
        try:
            laboratory = Laboratory(directory, root, options, keeper)
        except (LabError, OSError) as error:
            Reporter().report("lab", "failed", str(error))
            return 1
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, laboratory.stop_soon)
        return await laboratory.run()

    return asyncio.run(run())


def main(argv: list[str] | None = None) -> int:
    """Run a lab. Returns 0 after an orderly end or when one runs already, 1 when it did not become live."""
    directory, options, detach, bond = parse_arguments(argv)
    if bond is not None:
        os.set_inheritable(bond, False)
    reporter = Reporter()
    if not sys.platform.startswith("linux"):
        reporter.report("lab", "failed", "the lab needs Linux: two sites are two loopback addresses")
        return 1
    try:
        prepare_directory(directory)
    except (LabError, OSError) as error:
        reporter.report("lab", "failed", str(error))
        return 1
    descriptor = lock(directory)
    if descriptor is None:
        reporter.report("lab", "running", str(directory))
        return 0
    if detach:
        _detach(directory)
    root = Path(tempfile.mkdtemp(prefix="rlab-", dir=scratch()))
    try:
        return keep(lambda: _supervise(directory, root, options, os.getppid()), directory, root, bond)
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
