"""Requests to the engine as types. Only the `read_*` functions turn JSON into a request.

A plan request is tagged by `do`, a control by `verb`; the other keys are the fields of its type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, ClassVar, TypeVar

from state.errors import NotFound

R = TypeVar("R")
MOST_NUMBER = 1e9
"""The largest number in a request."""
_DECLARED = {
    "str": "text",
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "tuple[str, ...]": "a list of texts",
    "tuple[Mapping[str, Any], ...]": "a list of objects",
    "Mapping[str, Any]": "an object of names and values",
}
"""What a field of each type is called."""
SHOWN = 60
"""The most characters of an unknown tag shown in the error."""


@dataclass(frozen=True, slots=True)
class PlanChange:
    """One change outside any runbook."""

    do: ClassVar[str] = "change"
    kind: str
    args: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlanRunbook:
    """A runbook of the library with its parameters."""

    do: ClassVar[str] = "runbook"
    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlanRetry:
    """Repeat a step that is proven not done; without `step` the only one that can be."""

    do: ClassVar[str] = "retry"
    run: str
    step: str = ""


@dataclass(frozen=True, slots=True)
class PlanUndo:
    """Undo everything a run did, last step first."""

    do: ClassVar[str] = "undo"
    run: str
    overrides: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlanRollback:
    """Take a service back to a release, by its digest; without one to the best that is safe. `ramp`: in steps."""

    do: ClassVar[str] = "rollback"
    service: str
    to: str = ""
    ramp: bool = False
    overrides: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """How changes are made as one set: the seconds between two of them, and, where they are temporary, after how many
    seconds they are taken back. `keep`: when one fails the others stay and the run waits for a person; else they are
    undone. `overrides` are reasons by the name of a safety rule."""

    comment: str = ""
    lasts: float = 0.0
    pace: float = 0.0
    keep: bool = False
    overrides: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSet(Together):
    """Changes of any kind, each an object with `kind` and `args`."""

    do: ClassVar[str] = "set"
    title: str
    changes: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanShare(Together):
    """A share of the traffic of a service, in percent, for a colour of it, on these balancers or on all of it."""

    do: ClassVar[str] = "share"
    service: str
    to: str
    percent: int
    balancers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanEvacuate(Together):
    """No traffic for the servers that stand at a site, on any balancer, where others can carry it."""

    do: ClassVar[str] = "evacuate"
    site: str


def overriding(request: PlanRequest, reasons: Mapping[str, str]) -> PlanRequest:
    """The request with reasons for which safety rules do not hold it up; a retry keeps those of its run."""
    return request if isinstance(request, PlanRetry) else replace(request, overrides=reasons)


PlanTogether = PlanSet | PlanShare | PlanEvacuate
PlanRequest = PlanChange | PlanRunbook | PlanRetry | PlanUndo | PlanRollback | PlanTogether
PLANS: Mapping[str, type[PlanRequest]] = {
    kind.do: kind
    for kind in (PlanChange, PlanRunbook, PlanRetry, PlanUndo, PlanRollback, PlanSet, PlanShare, PlanEvacuate)
}


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed on a card: the code, the target's name, the accepted loss."""

    nonce: str = ""
    name: str = ""
    loss: str = ""


@dataclass(frozen=True, slots=True)
class Submission:
    """A confirmed plan; the fingerprint is that of the card the person saw. At a shared account `person` says who
    confirms, and `signature` proves it."""

    plan: str
    fingerprint: str
    typed: Typed = Typed()
    person: str = ""
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """Pause the run after its current step."""

    verb: ClassVar[str] = "pause"


@dataclass(frozen=True, slots=True)
class Resume:
    """Continue a paused run; `step` is what it was seen to stand at."""

    verb: ClassVar[str] = "resume"
    step: str = ""


@dataclass(frozen=True, slots=True)
class Skip:
    """Continue without a step, for a reason; without `step` the only one that can be skipped."""

    verb: ClassVar[str] = "skip"
    step: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """Start nothing new in the run and end it at its next safe point."""

    verb: ClassVar[str] = "stop"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Decide:
    """Answer a question of the run; `step` is the one that was read, by id or instance (`step#2`).

    Without it the answer counts only in a run that has asked one question ever.
    """

    verb: ClassVar[str] = "decide"
    choice: str
    step: str = ""


ControlRequest = Pause | Resume | Skip | Stop | Decide
CONTROLS: Mapping[str, type[ControlRequest]] = {kind.verb: kind for kind in (Pause, Resume, Skip, Stop, Decide)}


def read_plan(body: Mapping[str, Any]) -> PlanRequest:
    """A plan request from JSON. Raises NotFound naming what is missing or unknown."""
    kind = PLANS.get(_tag(body, "do"))
    if kind is None:
        raise NotFound(f"cannot plan {_tag(body, 'do')[:SHOWN]!r} (do); there are {', '.join(PLANS)}")
    return read_fields(kind, body)


def read_control(body: Mapping[str, Any]) -> ControlRequest:
    """A control from JSON. Raises NotFound naming what is missing or unknown."""
    kind = CONTROLS.get(_tag(body, "verb"))
    if kind is None:
        raise NotFound(f"no control {_tag(body, 'verb')[:SHOWN]!r} (verb); there are {', '.join(CONTROLS)}")
    return read_fields(kind, body)


def read_submission(body: Mapping[str, Any]) -> Submission:
    """A submission from JSON. Raises NotFound naming what is missing or of another shape."""
    typed = body.get("typed")
    if typed is None:
        typed = {}
    if not isinstance(typed, Mapping):
        raise NotFound("typed must be an object with nonce, name and loss")
    return read_fields(Submission, {"plan": "", "fingerprint": "", **body, "typed": read_fields(Typed, typed)})


def write(request: PlanRequest | ControlRequest | Submission) -> dict[str, Any]:
    """A request as JSON-ready data."""
    values = {f.name: getattr(request, f.name) for f in fields(request)}
    if isinstance(request, Submission):
        return {**values, "typed": {f.name: getattr(request.typed, f.name) for f in fields(Typed)}}
    tag = {"do": request.do} if hasattr(request, "do") else {"verb": request.verb}
    return {**tag, **{k: dict(v) if isinstance(v, Mapping) else v for k, v in values.items() if k != "overrides" or v}}


def read_fields(kind: type[R], body: Mapping[str, Any]) -> R:
    """The fields of a type from an object, each of the type that it is declared with; unknown keys are ignored.

    Raises NotFound naming the field that is missing or of another type.
    """
    values: dict[str, Any] = {}
    for spot in fields(kind):  # type: ignore[arg-type]
        value = body.get(spot.name)
        if value is None:
            if spot.default is MISSING and spot.default_factory is MISSING:
                raise NotFound(f"the request lacks {spot.name}")
        elif isinstance(value, Typed):
            values[spot.name] = value
        else:
            values[spot.name] = _field(spot.name, str(spot.type), value)
    return kind(**values)


def _field(name: str, declared: str, value: Any) -> Any:
    """The value of a field. Raises NotFound where it is of another type."""
    match declared:
        case "float" if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MOST_NUMBER:
            return float(value)
        case "int" if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MOST_NUMBER:
            return value
        case "bool" if isinstance(value, bool):
            return value
        case "tuple[str, ...]" if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
            return tuple(value)
        case "tuple[Mapping[str, Any], ...]" if isinstance(value, list | tuple):
            if all(isinstance(each, Mapping) for each in value):
                return tuple(dict(each) for each in value)
        case "Mapping[str, Any]" if isinstance(value, Mapping):
            return dict(value)
        case "str" if isinstance(value, str):
            return value
    raise NotFound(f"{name} must be {_DECLARED[declared]}, not {_type(value)}")


def _tag(body: Mapping[str, Any], name: str) -> str:
    """The tag with the type of a request, empty when it is missing."""
    value = body.get(name, "")
    if not isinstance(value, str):
        raise NotFound(f"{name} must be text, not {_type(value)}")
    return value


def _type(value: Any) -> str:
    """The JSON type of a value, for people."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    return "an object" if isinstance(value, Mapping) else "a list"
