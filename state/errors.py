"""All expected errors, as one tree.

RecoveryError
├── ConfigError        estate or runbook files are invalid; has every problem with its place
├── ReadFailure        a source gave no usable value: empty, error, denied or timeout
├── EffectRefused      the target refused; it is certain that nothing happened
├── EffectUnknown      bytes may have left and no trustworthy answer came: never failure, never success
├── Refused            a rule of the engine forbids the request; has a Refusal: rule, fact, what to do, who may
├── EngineFailed       a defect of the engine while it answered; what was asked for is not known
│   └── ViewFailed     one view could not be built; the others go on
├── JournalUnavailable intent cannot be made durable, so no effect may start
└── NotFound           the request names something that does not exist here
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from state.hiding import without_secrets


class ExitCode(IntEnum):
    """What every verb of the command line returns to scripts."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNKNOWN = 3
    REFUSED = 4
    OUTCOME_UNKNOWN = 5
    UNREACHABLE = 6
    NEEDS_PERSON = 7
    DEFECT = 70


class Trouble(StrEnum):
    """The five reasons for a missing reading; none of them counts as healthy."""

    EMPTY = "empty"
    ERROR = "error"
    DENIED = "denied"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    """No connection came about, or it ended before an answer."""


class RecoveryError(Exception):
    """Base of every expected error. `title` is for people, `kind` for scripts, `hint` says what to do."""

    title = "Error"
    kind = "error"
    hint = ""
    multiline = False
    """Whether line ends in the message are the program's own, and not of a name that it quotes."""
    exit_code = ExitCode.FAILED


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem in a file: where (line 0 = the file itself), the value found, what was expected, the nearest valid
    name."""

    file: str
    line: int
    column: int
    value: str
    expected: str
    nearest: str = ""

    def __str__(self) -> str:
        near = f"; did you mean {self.nearest!r}?" if self.nearest else ""
        file = self.file.replace("\n", "\\n")  # each problem is one line
        found = f"found {self.value}, " if self.value else ""
        place = f"{file}:{self.line}:{self.column}" if self.line else file
        return f"{place}: {found}expected {self.expected}{near}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something is not done, in the order people read it: rule, fact with its source, what to do, who may.

    `who` is empty where the person who was refused may do it.
    """

    rule: str
    fact: str
    way_out: str
    who: str = ""

    def __str__(self) -> str:
        parts = [f"{self.rule}: {self.fact}", self.way_out, f"Who may: {self.who}" if self.who else ""]
        return ". ".join(part for part in parts if part)


class ConfigError(RecoveryError):
    """The files are invalid. `problems` lists every finding, in file order."""

    title = "Configuration refused"
    kind = "config"
    multiline = True
    exit_code = ExitCode.USAGE

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = problems


class ReadFailure(RecoveryError):
    """A source gave no usable value; `trouble` is the reason."""

    title = "No reading"
    kind = "no-reading"
    exit_code = ExitCode.UNKNOWN

    def __init__(self, trouble: Trouble, message: str) -> None:
        message = without_secrets(message)
        super().__init__(message)
        self.trouble = trouble
        self.message = message


class EffectRefused(RecoveryError):
    """The target refused before doing anything."""

    title = "Refused by the target"
    kind = "refused-by-target"

    def __init__(self, message: str, code: str = "refused") -> None:
        message = without_secrets(message)
        super().__init__(message)
        self.message = message
        self.code = code


class EffectUnknown(RecoveryError):
    """The effect may or may not have happened; only a reading of the target can show it."""

    title = "Outcome unknown"
    kind = "outcome-unknown"
    hint = "Read the target before you send anything again."
    exit_code = ExitCode.OUTCOME_UNKNOWN

    def __init__(self, message: str, code: str = "no-answer", *, over: bool = False) -> None:
        message = without_secrets(message)
        super().__init__(message)
        self.message = message
        self.code = code
        self.over = over
        """Whether the target has finished with it: what it has not done by now it will not do."""


class Refused(RecoveryError):
    """A rule forbids this; `refusal` has the rule, the fact, what to do, and who may."""

    title = "Refused"
    kind = "refused"
    exit_code = ExitCode.REFUSED

    def __init__(self, rule: str, fact: str, way_out: str = "", who: str = "") -> None:
        self.refusal = Refusal(rule, fact, way_out, who)
        super().__init__(str(self.refusal))

    @classmethod
    def because(cls, refusal: Refusal) -> Refused:
        """The refusal as an error."""
        return cls(refusal.rule, refusal.fact, refusal.way_out, refusal.who)

    @property
    def rule(self) -> str:
        """The name of the rule."""
        return self.refusal.rule

    @property
    def fact(self) -> str:
        """The fact that the rule refuses."""
        return self.refusal.fact

    @property
    def way_out(self) -> str:
        """What to do next."""
        return self.refusal.way_out


class JournalUnavailable(RecoveryError):
    """The journal cannot record durably; no effect starts, reading and stopping still work."""

    title = "No durable journal"
    kind = "no-journal"
    hint = "Effects are refused until the journal can be written."
    exit_code = ExitCode.REFUSED


class EngineFailed(RecoveryError):
    """The engine failed while it answered, or its answer makes no sense: what was asked for is not known."""

    title = "Engine failed"
    kind = "engine-error"
    hint = "The reason is in its log (engine.log in the state folder, or the service manager's)."
    exit_code = ExitCode.UNKNOWN


class ViewFailed(EngineFailed):
    """The view of one topic could not be built: of what it shows nothing is known now."""

    kind = "view-failed"

    def __init__(self, topic: str, message: str) -> None:
        message = without_secrets(message)
        super().__init__(f"the view {topic} cannot be built ({message}): nothing that it shows is known now")
        self.topic = topic


class BadArguments(ConfigError):
    """Arguments of a request are invalid; each problem names the argument."""

    title = "Bad input"
    kind = "bad-input"


class NotFound(RecoveryError):
    """The named thing does not exist in this estate or engine."""

    title = "Not found"
    kind = "not-found"
    exit_code = ExitCode.USAGE


class UnsuitableArgument(NotFound):
    """An argument of a change or check has a value that it cannot have."""

    title = "Bad input"
    kind = "bad-input"
