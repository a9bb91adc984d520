"""Commands, calls and statements of an estate's own. Each is a change: card, confirmation, intent, read back.

No shell ever sees them: `${name}` in an argument stands for a parameter, whose value stays one argument.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from state.config_files.findings import Finding, refuse
from state.config_files.suggestions import one_of
from state.estate.arguments import ArgSpec, Value, placeholders
from state.estate.entry import Entry, Name, Seconds, SecretRef
from state.estate.values import CommandName, HostOrLocal, ServiceName

LOCAL = "local"
"""Where a command runs that names no host: on the engine's own machine, as its account."""
ExitCode = Annotated[int, Field(ge=0, le=255)]
Argv = Annotated[tuple[str, ...], Field(min_length=1, max_length=100)]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
RiskClass = Literal["B1", "B2", "B3"]


class OwnChange(Entry):
    """What every change of an estate's own has.

    For its card: `services` are those that it touches, `downtime` says what does not work meanwhile, and `loses_data`
    whether data may be lost; left out, it is not known. `settle` is how long a reading of "done" must hold, `quiet` how
    long one of "not done" must hold before it is believed, as what was sent may still be at work.
    """

    title: Annotated[str, Field(max_length=120)] = ""
    params: Mapping[Name, ArgSpec] = Field(default_factory=dict)
    risk: RiskClass = "B2"
    services: tuple[ServiceName, ...] = ()
    downtime: Annotated[str, Field(max_length=200)] = ""
    loses_data: bool | None = None
    timeout: Seconds = 30.0
    settle: Seconds = 0.5
    quiet: Seconds = 3.0

    def undeclared(self, *templates: tuple[tuple[str | int, ...], Any]) -> Iterator[Finding]:
        """A finding for each `${name}` of a template that is not a parameter."""
        for path, template in templates:
            for name in placeholders(template):
                if name not in self.params:
                    known = one_of(self.params) or "none is declared"
                    yield path, template, f"a parameter in ${{…}}: {known}"


class ReadingCommand(Entry):
    """A command that only reads: its exit code says done, not done, or, with any other code, unknown.

    With `changed`, done is when its output differs from the one before: for what leaves a new value, such as a
    restarted process with its new start time. Its output must be the same as long as nothing happens.
    """

    argv: Argv
    done: tuple[ExitCode, ...] = (0,)
    not_done: tuple[ExitCode, ...] = (1,)
    changed: bool = False


class IdentityCommand(Entry):
    """A command whose output says who will act: it is part of the target's identity."""

    argv: Argv


class UndoCommand(Entry):
    """The command that takes another one back."""

    command: CommandName
    args: Mapping[Name, Value] = Field(default_factory=dict)


class CommandEntry(OwnChange):
    """A command of one's own. `on` is this machine (`local`) or a host of `hosts`.

    `env` are the variables of the engine that it gets, `secrets` those that are read from a reference; no other one is
    passed on. `expect` are the exit codes of success.
    """

    argv: Argv
    on: HostOrLocal = LOCAL
    env: tuple[Variable, ...] = ()
    secrets: Mapping[Variable, SecretRef] = Field(default_factory=dict)
    expect: tuple[ExitCode, ...] = (0,)
    read: ReadingCommand | None = None
    undo: UndoCommand | None = None
    identity: IdentityCommand | None = None

    @model_validator(mode="after")
    def _sound(self) -> CommandEntry:
        refuse(type(self), self._findings())
        return self

    def _findings(self) -> Iterator[Finding]:
        argvs: dict[tuple[str | int, ...], tuple[str, ...]] = {("argv",): self.argv}
        if self.read is not None:
            argvs["read", "argv"] = self.read.argv
        if self.identity is not None:
            argvs["identity", "argv"] = self.identity.argv
        yield from wrong_programs(argvs)
        yield from self.undeclared(*(((*p, i), text) for p, argv in argvs.items() for i, text in enumerate(argv)))
        if self.undo is not None:
            yield from self.undeclared((("undo", "args"), self.undo.args))
        if self.read is not None and set(self.read.done) & set(self.read.not_done):
            yield ("read", "not_done"), self.read.not_done, "other exit codes than those of done"
        if self.on != LOCAL and self.secrets:
            yield ("secrets",), self.secrets, "no secrets over ssh: they would be seen in the list of processes"
        if self.on != LOCAL and self.env:
            yield ("env",), self.env, "no variables of this machine over ssh"


def wrong_programs(argvs: Mapping[tuple[str | int, ...], tuple[str, ...]]) -> Iterator[Finding]:
    """A finding for each command whose program is not fixed."""
    for path, argv in argvs.items():
        if not re.fullmatch(r"[A-Za-z0-9_./+@][A-Za-z0-9_./+@-]*", argv[0]):
            yield (*path, 0), argv[0], "the program itself, without a parameter: a name or a path"
        for index, text in enumerate(argv):
            if "\0" in text:
                yield (*path, index), "a text with NUL", "text without NUL"
