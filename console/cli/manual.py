"""The man page, made of the verbs themselves: `python -m console.cli.manual > docs/recovery.1` (`make man`).

The file is in the repository and in the wheel (`share/man/man1`); a test compares it with what is made here.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import metadata

import click

from console.cli.installation import DISTRIBUTION
from console.cli.verbs import VERBS, recovery

ENVIRONMENT = {
    "RECOVERY_ESTATE": "The estate of verbs without --estate.",
    "XDG_RUNTIME_DIR, XDG_STATE_HOME": "Below them are the sockets and the journal of an engine that you start.",
    "NO_COLOR": "No colours on the screens.",
}
FILES = {
    "./recovery.yaml, ./runbooks/": "The estate and its runbooks; recovery init writes them.",
    "~/.local/state/recovery/ESTATE/": "Journal, log and lock of an engine that you start.",
    "/etc/recovery/ESTATE/, /var/lib/recovery/ESTATE/": "The same under systemd.",
}


def manual() -> str:
    """The page as roff."""
    version = metadata.version(DISTRIBUTION)
    about, _, codes = inspect.cleandoc(recovery.help or "").partition("\n\n")
    lines = [
        f'.TH RECOVERY 1 "" "recovery {version}" "User Commands"',
        ".nh",
        ".SH NAME",
        f"recovery \\- {roff(about.rstrip('.')).removeprefix('A ')}",
        ".SH SYNOPSIS",
        r"\fBrecovery\fR [\fB\-\-version\fR] [\fB\-\-help\fR] \fIVERB\fR [\fIoption\fR ...] [\fIargument\fR ...]",
        ".SH DESCRIPTION",
        *paragraphs("It shows what fails and what to recover first, and acts through runbooks. First: recovery init."),
        ".SH VERBS",
    ]
    context = click.Context(recovery, info_name="recovery")
    for name in VERBS:
        command = recovery.get_command(context, name)
        if command is not None:
            lines += verb(command, click.Context(command, info_name=name, parent=context))
    lines += [".SH EXIT STATUS", *paragraphs(codes.removeprefix("Exit codes: "))]
    for title, rows in (("ENVIRONMENT", ENVIRONMENT), ("FILES", FILES)):
        lines += [f".SH {title}", *(line for name, said in rows.items() for line in tagged(name, said))]
    return "\n".join(lines) + "\n"


def verb(command: click.Command, context: click.Context) -> Iterator[str]:
    """One verb, or those below it."""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from verb(below, click.Context(below, info_name=name, parent=context))
        return
    words = [piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]"]
    yield f".SS {roff(' '.join([context.command_path, *words]))}"
    yield from paragraphs(inspect.cleandoc(command.help or ""))
    for param in command.get_params(context):
        record = param.get_help_record(context)
        if record is not None and "--help" not in param.opts:
            yield from tagged(record[0], record[1])
    if command.epilog:
        yield from paragraphs(inspect.cleandoc(command.epilog))


def paragraphs(text: str) -> Iterator[str]:
    """A help text; a part that begins with \\b keeps its lines, as in click."""
    for part in text.split("\n\n"):
        kept = part.startswith("\b\n")
        yield from (".PP", *([".nf"] if kept else []))
        yield from (roff(line) for line in part.removeprefix("\b\n").splitlines())
        yield from ([".fi"] if kept else [])


def tagged(name: str, said: str) -> Iterator[str]:
    """A name with what it means."""
    yield from (".TP", f"\\fB{roff(name)}\\fR", roff(" ".join(said.split())))


def roff(text: str) -> str:
    """Text in which nothing is a command of roff."""
    safe = text.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{safe}" if safe.startswith((".", "'")) else safe


if __name__ == "__main__":
    print(manual(), end="")
