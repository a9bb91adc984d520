"""How every verb ends: errors become a message on stderr and an exit code here."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from console.cli.shown import complain, neutral
from state.errors import ConfigError, ExitCode, RecoveryError, Refused

INTERRUPTED = 130  # 128 + SIGINT
OUTPUT_CLOSED = 141  # 128 + SIGPIPE


def run_to_code(group: click.Group, argv: Sequence[str]) -> int:
    """Run a verb to its exit code. Only a defect leaves as an exception."""
    try:
        code = group.main(args=list(argv), prog_name="recovery", standalone_mode=False)
        sys.stdout.flush()
        return int(code or 0)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.Abort:
        complain("interrupted; runs of the engine continue")
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return int(ExitCode.USAGE)
    except RecoveryError as error:
        print_error(error)
        return int(error.exit_code)
    except KeyboardInterrupt:
        complain("interrupted; runs of the engine continue")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OUTPUT_CLOSED
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        complain(f"The operating system refused: {neutral(place)}{error.strerror or error}")
        return int(ExitCode.USAGE)


def print_error(error: RecoveryError) -> None:
    """Title, message and what to do, on stderr."""
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
