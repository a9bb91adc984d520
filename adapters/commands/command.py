"""Where a command of the estate runs: this machine, or a host over the one connection that is kept to it."""

from __future__ import annotations

import asyncio
import os
import platform
import pwd
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from adapters.commands.begun import Begun
from adapters.commands.output import LARGEST, AnswerOutput, KeptOutput
from adapters.commands.process import Ended, NotStarted, TakesOutput, marked, run_process, title_of
from adapters.concealed import Concealed
from adapters.context import WholeAnswer
from adapters.files.programs import program_of
from adapters.net.ssh import SshConnection, SshConnections
from adapters.secrets import Secret
from state.errors import ConfigError, EffectRefused, EffectUnknown, ReadFailure, Trouble
from state.estate.own import LOCAL
from state.ports.own import Exited, Output
from state.ports.target import Identity, Receipt

EFFECT = "RECOVERY_EFFECT"
"""The variable with the id of the effect that a command belongs to."""
SSH_ENDED = 255
"""The exit code of ssh itself, when the connection failed; a command's own is no different."""
PASSED_ON = ("PATH", "LANG", "LC_ALL", "HOME", "USER", "LOGNAME", "TZ")
KILL_AFTER = 2
HELD = "what it started on the host may still run, and over ssh it has not ended while that holds its output"
NOT_BEGUN = "the account there did not start it (locked, expired, or with a forced command)"


class LocalPlace:
    """This machine, as the engine's account, in the folder of the estate."""

    def __init__(self, folder: Path, allowed: Sequence[str], secrets: Mapping[str, Secret]) -> None:
        self._folder, self._allowed, self._secrets = folder, allowed, secrets

    async def facts(self, *, deadline: float) -> dict[str, str]:
        """Which machine it is."""
        return {"runs on": f"this machine ({platform.node()})", "as": _account()}

    async def at_work(self, effect: str) -> Sequence[str]:
        """The living processes of an effect, also of one that an earlier engine started."""
        try:
            found = await asyncio.to_thread(marked, EFFECT, effect)
        except OSError as error:
            return [f"it cannot be seen whether it goes on ({_reason(error)})"]
        return [f"process {pid} ({title_of(pid)})" for pid in found]

    async def started(
        self, argv: Sequence[str], effect: str, said: TakesOutput, errors: TakesOutput | None = None, *, deadline: float
    ) -> Ended:
        """Run a command. Raises NotStarted when it cannot be started, or somebody else could have replaced it.

        Raises OSError when it was started and is lost from sight.
        """
        passed = {name: os.environ[name] for name in (*PASSED_ON, *self._allowed) if name in os.environ}
        told = {name: secret.reveal() for name, secret in self._secrets.items()}
        environment = {**passed, **told, **({EFFECT: effect} if effect else {})}
        try:
            program = program_of(argv[0], self._folder, passed.get("PATH"))
        except ConfigError as error:
            raise NotStarted(error) from error
        words = [program, *argv[1:]]
        return await run_process(words, environment, self._folder, said, deadline=deadline, errors=errors)


def _account() -> str:
    """The engine's account by its name, and by its number where it has none."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


class HostPlace:
    """A host over ssh. There a command ends by itself at its limit, unless the host takes only forced commands."""

    def __init__(self, folder: Path, connection: SshConnection) -> None:
        self._folder, self._connection = folder, connection

    async def facts(self, *, deadline: float) -> dict[str, str]:
        """Which host it is, and whether that is proven."""
        host = self._connection.host
        proven = "known" if host.waive.host_key is None else f"NOT PROVEN: {host.waive.host_key}"
        account = f"{host.user}@" if host.user else ""
        port = f":{host.port}" if host.port else ""
        return {"runs on": f"{self._connection.name} ({account}{host.address}{port})", "host key": proven}

    async def at_work(self, effect: str) -> Sequence[str]:
        """What runs there is not seen from here: only time tells."""
        del effect
        return ()

    async def started(
        self, argv: Sequence[str], effect: str, said: TakesOutput, errors: TakesOutput | None = None, *, deadline: float
    ) -> Ended:
        """Run a command. Raises ReadFailure when there is no connection: then nothing was started.

        Raises NotStarted and OSError as on this machine.
        """
        began = time.monotonic()
        await self._connection.connect(deadline=deadline)
        deadline = max(1.0, deadline - (time.monotonic() - began))
        passed = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        if self._connection.host.environment == "send":
            passed |= {EFFECT: effect} if effect else {}
            local = self._connection.argv(argv)
            return await run_process(local, passed, self._folder, said, deadline=deadline, errors=errors)
        limit = ["timeout", "-k", str(KILL_AFTER), f"{max(1.0, deadline):.0f}"]
        remote = ["env", *([f"{EFFECT}={effect}"] if effect else []), *limit, *argv]
        begun = Begun(said)
        try:
            local = self._connection.argv(remote, begun.sign)
            ended = await run_process(local, passed, self._folder, begun, deadline=deadline, errors=errors)
        finally:
            begun.close()
        return replace(ended, begun=begun.begun)


class OwnCommand:
    """Fulfils CanRunCommand."""

    def __init__(self, name: str, place: LocalPlace | HostPlace, expect: Sequence[int], concealed: Concealed) -> None:
        self.name, self._place, self._expect, self._concealed = name, place, tuple(expect), concealed
        self._remote = isinstance(place, HostPlace)

    def output(self) -> KeptOutput:
        """A new place for what one command says."""
        return KeptOutput(self._concealed)

    async def identify(self, argv: Sequence[str] | None, *, deadline: float) -> Identity:
        """Where it runs, and what the identity command says. Raises ReadFailure."""
        facts = await self._place.facts(deadline=deadline)
        if argv is not None:
            answer = await self.read(argv, effect="", deadline=deadline)
            if answer.code != 0 or not answer.said:
                raise ReadFailure(Trouble.ERROR, f"{self.name}: the identity command: {answer}")
            facts["identity"] = answer.said
        return Identity(self.name, facts)

    async def at_work(self, effect: str) -> Sequence[str]:
        """Processes of an effect that live, as far as they can be seen from here."""
        return await self._place.at_work(effect) if effect else ()

    async def run(self, argv: Sequence[str], output: Output, *, effect: str, deadline: float) -> Receipt:
        """Run it once. Raises EffectRefused when it was not started, EffectUnknown for everything but an expected exit
        code."""
        assert isinstance(output, KeptOutput), "it comes from output()"
        try:
            ended = await self._place.started(argv, effect, output, deadline=deadline)
        except ReadFailure as error:
            raise EffectRefused(error.message, "unreachable") from error
        except (NotStarted, ValueError) as error:
            raise EffectRefused(f"{argv[0]} cannot be started: {error}", "not-started") from error
        except OSError as error:
            raise EffectUnknown(f"{argv[0]} was started, then: {_reason(error)}", "lost-sight") from error
        if ended.code is None:
            there = f"; {HELD}" if self._remote else ""
            raise EffectUnknown(
                f"did not end within {deadline:g} s{there}", "timeout", over=ended.gone and not self._remote
            )
        if ended.code < 0:
            raise EffectUnknown(f"ended by {_signal(-ended.code)}", "signal", over=not self._remote)
        if self._remote and ended.code == SSH_ENDED:
            raise EffectUnknown(f"ssh ended with {SSH_ENDED}: the connection was lost, or the command says so", "ssh")
        said = str(Exited(ended.code, _last(output)))
        if not ended.begun:
            raise EffectUnknown(f"{NOT_BEGUN}: {said}", "not-begun")
        if ended.code not in self._expect:
            raise EffectUnknown(said, f"exit-{ended.code}", over=True)
        return Receipt(f"exit-{ended.code}", said)

    async def read(self, argv: Sequence[str], *, effect: str, deadline: float) -> Exited:
        """Run a command that only reads. Raises ReadFailure when it did not end by itself."""
        output = self.output()
        code, errors = await self._ended(argv, effect, output, deadline)
        return Exited(code, output.line(), errors.line(), output.whole)

    async def ask(self, argv: Sequence[str], *, deadline: float, most: int = LARGEST) -> WholeAnswer:
        """Run a command that only reads, for its whole answer. Raises ReadFailure, also when it has more bytes than
        `most`."""
        output = AnswerOutput(self._concealed, most)
        code, errors = await self._ended(argv, "", output, deadline)
        told = output.told()
        if told is None:
            raise ReadFailure(Trouble.ERROR, f"{self.name}: {argv[0]} printed more than {most >> 10} kB")
        return WholeAnswer(code, told, errors.line())

    async def _ended(
        self, argv: Sequence[str], effect: str, output: KeptOutput, deadline: float
    ) -> tuple[int, KeptOutput]:
        errors = self.output()
        try:
            ended = await self._place.started(argv, effect, output, errors, deadline=deadline)
        except (NotStarted, ValueError) as error:
            raise ReadFailure(Trouble.ERROR, f"{self.name}: {argv[0]} cannot be started: {error}") from error
        except OSError as error:
            raise ReadFailure(Trouble.ERROR, f"{self.name}: {argv[0]}: {_reason(error)}") from error
        if ended.code is None:
            raise ReadFailure(Trouble.TIMEOUT, f"{self.name}: {argv[0]} did not end within {deadline:g} s")
        if ended.code < 0:
            raise ReadFailure(Trouble.ERROR, f"{self.name}: {argv[0]} ended by {_signal(-ended.code)}")
        if self._remote and ended.code == SSH_ENDED:
            raise ReadFailure(Trouble.UNREACHABLE, f"{self.name}: ssh ended with {SSH_ENDED}: {errors.line()}")
        if not ended.begun:
            told = Exited(ended.code, output.line(), errors.line())
            raise ReadFailure(Trouble.DENIED, f"{self.name}: {NOT_BEGUN}: {told}")
        return ended.code, errors


def command_at(base: Path, hosts: SshConnections, name: str, on: str) -> OwnCommand:
    """A command of an adapter, at a host of the estate or on this machine. Raises KeyError for an unknown host."""
    place = LocalPlace(base, (), {}) if on == LOCAL else HostPlace(base, hosts.to(on))
    return OwnCommand(name, place, (0,), Concealed(()))


def _last(output: KeptOutput) -> str:
    lines = output.lines()
    return lines[-1] if lines else ""


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
