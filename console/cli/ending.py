"""How every verb ends: errors become a message on stderr, with `--json` one document on stdout, and an exit code."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import click

from console.cli.shown import complain, neutral, note, say_json
from console.cli.streams import ENDS, OUTPUT_CLOSED, UNWRITTEN
from state.errors import ConfigError, ExitCode, RecoveryError, Refused

ADVISED = re.compile(r"`(recovery (?!lab|demo|check|schema|completion)[^`]*)`")
"""A verb in an advice; all but these take `--estate` and `--host`."""
INTERRUPTED = 130  # 128 + SIGINT


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a verb did not do what was asked: for scripts the kind, for people lines, and what to do next."""

    kind: str
    title: str
    lines: tuple[str, ...]
    next: str
    exit: int
    facts: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """`{"error": {"kind", "title", "message", "next", "exit", …}}`; a refusal has its rule, a file its problems."""
        message = "\n".join(line.strip() for line in self.lines if line)
        told = {"kind": self.kind, "title": self.title, "message": message, "next": self.next}
        return {"error": {**told, "exit": self.exit, **self.facts}}


def run_to_code(group: click.Group, argv: Sequence[str]) -> int:
    """Run a verb to its exit code. Only a defect leaves as an exception."""
    ENDS.begin()
    try:
        code = group.main(args=list(argv), prog_name="recovery", standalone_mode=False, obj=tuple(argv))
        ENDS.flush()
    except click.exceptions.Exit as ended:
        code = ended.exit_code
    except click.exceptions.NoArgsIsHelpError as help_asked:  # the group alone: its help, as it is laid out
        note(help_asked.format_message())
        code = int(ExitCode.USAGE)
        ENDS.flush()
    except BrokenPipeError:
        ENDS.drop(sys.stdout)
        code = OUTPUT_CLOSED
    except (RecoveryError, click.ClickException, click.Abort, KeyboardInterrupt, OSError) as error:
        failure = failure_of(error)
        failure = replace(failure, next=of_same_engine(failure.next, argv))
        tell(failure, as_json=wants_json(argv))
        code = failure.exit
        ENDS.flush()
    return _written(int(code or 0))


def _written(code: int) -> int:
    """The code of a verb, unless it only reads and its answer is lost: then nobody may take the code for the answer."""
    if not ENDS.lost:
        return code
    ENDS.write(sys.stderr, f"recovery: the output cannot be written: {ENDS.lost}\n")
    return code if ENDS.acted else UNWRITTEN


def of_same_engine(advice: str, argv: Sequence[str]) -> str:
    """The verbs of an advice with `--estate` and `--host` as they were given: without them another engine is meant."""
    given = [
        word
        for at, word in enumerate(argv)
        for name in ("--estate", "--host")
        if word.startswith(f"{name}=") or name in (word, argv[at - 1] if at else "")
    ]
    if not given or "--" in argv:
        return advice
    return ADVISED.sub(lambda verb: f"`{verb[1]} {shlex.join(given)}`", advice)


def wants_json(argv: Sequence[str]) -> bool:
    """Whether a verb was asked for JSON, as far as that can be said before its options are read."""
    before = argv[: argv.index("--")] if "--" in argv else argv
    return "--json" in before


def tell(failure: Failure, *, as_json: bool) -> None:
    """The message on stderr, or one JSON document on stdout where none was written yet."""
    if as_json and not ENDS.answered:
        say_json(failure.as_json())
        return
    first, *rest = failure.lines
    complain(f"{failure.title}: {first}" if failure.title else first)
    for line in rest:
        complain(line)
    for line in failure.next.splitlines():
        complain(line)


def failure_of(error: BaseException) -> Failure:
    """What there is to tell about an error. It must be one of those that `run_to_code` expects."""
    if isinstance(error, RecoveryError):
        return _expected(error)
    if isinstance(error, click.ClickException):
        return _usage(error)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        line = neutral(f"{place}{error.strerror or error}")
        return Failure("system", "The operating system refused", (line,), "", int(ExitCode.USAGE), {})
    line = "interrupted; runs of the engine continue"
    return Failure("interrupted", "", (line,), "", INTERRUPTED, {})


def _expected(error: RecoveryError) -> Failure:
    said = str(error).split("\n") if error.multiline else [str(error)]
    lines, title = tuple(map(neutral, said)), neutral(error.title)
    after, facts = neutral(error.hint), {}
    if isinstance(error, ConfigError):
        lines = lines if len(lines) == 1 else ("", *(f"  {line}" for line in lines))
        facts = {"problems": [asdict(problem) for problem in error.problems]}
    elif isinstance(error, Refused):
        refusal = error.refusal
        title = f"{title} by rule {neutral(refusal.rule)}"
        lines = (neutral(refusal.fact),)
        who = f"Who may: {neutral(refusal.who)}" if refusal.who else ""
        after = "\n".join(part for part in (neutral(refusal.way_out), who) if part)
        facts = asdict(refusal)
    return Failure(error.kind, title, lines, after, int(error.exit_code), facts)


def _usage(error: click.ClickException) -> Failure:
    """Wrong usage, with the line that shows the right one."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    usage = f"{context.get_usage()}\n" if context is not None else ""
    path = context.command_path if context is not None else "recovery"
    message = neutral(" ".join(error.format_message().split()))
    return Failure("usage", "", (message,), f"{usage}Try: {path} --help", int(ExitCode.USAGE), {})
