"""How every verb ends: the one place where errors become words on stderr and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from console.cli.shown import complain, neutral
from state.errors import ConfigError, ExitCode, RecoveryError, Refused

INTERRUPTED = 130  # 128 + SIGINT
NOBODY_READS = 141  # 128 + SIGPIPE


def run_to_code(group: click.Group, argv: Sequence[str]) -> int:
    """Run a verb to its exit code. Only a defect of ours leaves as an exception."""
    try:
        code = group.main(args=list(argv), prog_name="recovery", standalone_mode=False)
        sys.stdout.flush()
        return int(code or 0)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.Abort:
        complain("interrupted; what the engine runs goes on")
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return int(ExitCode.USAGE)
    except RecoveryError as error:
        tell_error(error)
        return int(error.exit_code)
    except KeyboardInterrupt:
        complain("interrupted; what the engine runs goes on")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOBODY_READS
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        complain(f"The host refused: {neutral(place)}{error.strerror or error}")
        return int(ExitCode.USAGE)


def tell_error(error: RecoveryError) -> None:
    """Title, message and way out, on stderr."""
    if isinstance(error, ConfigError):
        complain(f"{error.title}:")
        for problem in error.problems:
            complain(f"  {neutral(str(problem))}")
    elif isinstance(error, Refused):
        complain(f"{error.title} by rule {neutral(error.rule)}: {neutral(error.fact)}")
        if error.way_out:
            complain(neutral(error.way_out))
        if error.refusal.who:
            complain(f"Who may: {neutral(error.refusal.who)}")
    else:
        complain(f"{error.title}: {neutral(str(error))}")
    if error.hint:
        complain(error.hint)
