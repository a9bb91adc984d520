"""Commands of an estate's own: run once, without a shell; done is what the reading command says."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from state.api.card import Diff
from state.changes.hands import command_by_hand
from state.changes.model import ChangeKind, ChangeSpec, Finding, Late, Preview, ReadBack, Risk
from state.changes.own import OwnArgs, OwnEffect, entry_of, related_names, values_for
from state.errors import ReadFailure, Trouble, UnsuitableArgument
from state.estate.arguments import UnfitValue, filled, filled_argv
from state.estate.model import Estate, Name
from state.estate.own import LOCAL, CommandEntry
from state.ports.outside import Outside
from state.ports.own import CanRunCommand, Exited, Output
from state.ports.target import Identity, Receipt

KIND = "command.run"
LONGEST_VERB = 300


class CommandArgs(OwnArgs):
    """A command of the estate, and the values of its parameters."""

    command: Name


class RunCommand(OwnEffect):
    """Run one command."""

    def __init__(
        self,
        args: CommandArgs,
        entry: CommandEntry,
        target: CanRunCommand,
        undo: ChangeSpec | None,
        group: Sequence[str],
        delivery: float,
    ) -> None:
        late = Late(0.0 if entry.on == LOCAL else delivery, None, "the estate: at its timeout a command is ended")
        super().__init__(ChangeSpec(KIND, args.model_dump()), "commands", entry, undo, group, late)
        self._entry, self._target = entry, target
        self._output: Output | None = None
        values = values_for(KIND, entry.params, args.args)

        def argv(template: Sequence[str]) -> tuple[str, ...]:
            return filled_argv(template, entry.params, values)

        try:
            self._argv = argv(entry.argv)
            self._reading = argv(entry.read.argv) if entry.read is not None else ()
            self._identifying = argv(entry.identity.argv) if entry.identity is not None else None
        except UnfitValue as error:
            raise UnsuitableArgument(f"{KIND}: args.{error}") from error
        shown = shlex.join(self._argv)
        self.verb = f"run {shown[:LONGEST_VERB]}{'…' if len(shown) > LONGEST_VERB else ''}"
        told = ", ".join(f"{name} {value}" for name, value in values.items())
        self.title = (entry.title or f"Run {args.command}") + (f" ({told})" if told else "")

    def heard(self) -> tuple[str, ...]:
        """What the command has said so far; fulfils Speaks."""
        return () if self._output is None else self._output.lines()

    async def identify(self, *, deadline: float) -> Identity:
        """Where it runs, and what its identity command says."""
        return self.defined(await self._target.identify(self._identifying, deadline=deadline))

    async def preview(self, *, deadline: float) -> Preview:
        """What would be started, and what the reading command says now."""
        facts: dict[str, Any] = {"argv": list(self._argv)}
        if self._entry.read is None:
            return self._shown(facts, Diff(self.subject, "not read", "not verified"), already=False, read=False)
        answer = await self._target.read(self._reading, effect="", deadline=deadline)
        finding = self._exit_says(answer)
        if finding is Finding.UNKNOWN:
            raise ReadFailure(Trouble.ERROR, f"{self.name}: the reading command says neither: {answer}")
        if self._entry.read.changed:
            if not answer.whole:
                raise ReadFailure(Trouble.ERROR, f"{self.name}: the reading command says too much to be compared")
            facts["reading"] = [answer.code, answer.said, answer.warned]
            return self._shown(facts, Diff(self.subject, str(answer), "another output"), already=False)
        facts["reading"] = finding.value
        already = self.reached(done=finding is Finding.DONE)
        now = f"{'done' if finding is Finding.DONE else 'not done'} ({answer})"
        after = f"done (exit code {' or '.join(map(str, self._entry.read.done))})"
        return self._shown(facts, Diff(self.subject, self.before(now), after), already=already)

    def _shown(self, facts: Mapping[str, Any], diff: Diff, *, already: bool, read: bool = True) -> Preview:
        return self.previewed(verb=self.verb, facts=facts, diff=diff, already=already, read=read)

    async def apply(self, facts: Mapping[str, Any], *, effect: str, deadline: float) -> Receipt:
        """Run it once."""
        self._output = self._target.output()
        return await self._target.run(self._argv, self._output, effect=effect, deadline=deadline)

    async def read_back(self, facts: Mapping[str, Any], *, deadline: float) -> ReadBack:
        """What the reading command says; without one, nothing is proven. Not done only when nothing of it runs."""
        if self._entry.read is None:
            return self.unread()
        at_work = await self._target.at_work(self.effect)  # first: what ends after this is seen by the reading
        answer = await self._target.read(self._reading, effect=self.effect, deadline=deadline)
        found = self._exit_says(answer)
        read = ReadBack(found, (f"{self.name}: {answer}",))
        if self._entry.read.changed and found is Finding.DONE:
            read = self._compared(answer, *facts["reading"])
        if read.finding is Finding.NOT_DONE and at_work:
            return ReadBack(Finding.UNKNOWN, (*read.evidence, self._runs(at_work)))
        return read

    def _runs(self, processes: Sequence[str]) -> str:
        return f"{self.name}: {', '.join(processes)} still runs and may do it; to have an outcome, wait or end it"

    def _compared(self, answer: Exited, code: int, said: str, warned: str) -> ReadBack:
        """Done by another stdout than before. What it says on stderr is no reading: with something new there, the
        stdout may be another one because it could not look."""
        if answer.warned not in ("", warned):
            return ReadBack(Finding.UNKNOWN, (f"{self.name}: its stderr is new: {answer}",))
        if not answer.whole:
            return ReadBack(Finding.UNKNOWN, (f"{self.name}: it says too much to be compared",))
        if (answer.code, answer.said) == (code, said):
            return ReadBack(Finding.NOT_DONE, (f"{self.name}: as before, {answer}",))
        return ReadBack(Finding.DONE, (f"{self.name}: {answer}",))

    def _exit_says(self, answer: Exited) -> Finding:
        read = self._entry.read
        assert read is not None, "only a command with a reading is read"
        if answer.code in read.done:
            return Finding.DONE
        return Finding.NOT_DONE if answer.code in read.not_done else Finding.UNKNOWN


def build(args: CommandArgs, estate: Estate, outside: Outside) -> RunCommand:
    """The change for one request. Raises NotFound for an unknown command and for unsuitable values."""
    entry = entry_of("command", args.command, estate.commands)
    undo: ChangeSpec | None = None
    if entry.undo is not None:
        values = values_for(KIND, entry.params, args.args)
        undo = ChangeSpec(KIND, {"command": entry.undo.command, "args": filled(entry.undo.args, values)})
    undone_by = {name: each.undo.command for name, each in estate.commands.items() if each.undo is not None}
    group = related_names(args.command, undone_by)
    return RunCommand(args, entry, outside.commands[args.command], undo, group, estate.policies.delivery)


KINDS = (ChangeKind(KIND, "Run a command of the estate", CommandArgs, Risk.B3, build, command_by_hand),)
