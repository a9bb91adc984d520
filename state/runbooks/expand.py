"""A runbook with its parameters becomes the steps of a run: concrete, in order, each with an id of its own.

Loops have one copy of their steps for each item, runbooks inside are laid out, conditions are steps before what they
are about. What a person confirms is this list; nothing of it is decided later, but by answers that lead forward.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from state.config_files.paths import Path
from state.config_files.suggestions import nearest, one_of
from state.errors import ConfigError
from state.estate.model import Estate
from state.runbooks.model import Runbook, values_of
from state.runbooks.params import placeholders_in, substitute
from state.runbooks.related import followed
from state.runbooks.scope import Captured, Leaders, Scope, Unresolved
from state.runbooks.steps import CONTINUE, MOST_DEPTH, MOST_STEPS, NEXT, PAUSE, SKIP, STOP, UNDO, Condition, Step

STILL_LEADS = "database.leader"
"""The check before each item of a loop whose order follows the roles of a database."""
_PLAIN = frozenset({CONTINUE, STOP, PAUSE, UNDO})


class TooMuch(ConfigError):
    """A runbook that is too long or too deep with whatever parameters."""


@dataclass(frozen=True, slots=True)
class Concrete:
    """One step of a run. `do` is check, change, decide, wait, or `when` for a condition.

    `options` are what answers mean: continue, stop, pause, or the id of a later step; empty for the end of the run.
    `loop` and `item` say in which item of which loop it is; the loop goes on until `stop_after` of its items failed.
    `late` are arguments that an earlier step captures: their name, that step's id and the name there.
    """

    id: str
    step: Step
    do: str
    group: str = ""
    owner: str = ""
    on_failure: str = "pause"
    prose: tuple[str, str, str] = ("", "", "")
    options: tuple[tuple[str, str], ...] = ()
    loop: str = ""
    item: int = 0
    stop_after: int = 1
    late: tuple[tuple[str, str, str], ...] = ()


class Expanded(NamedTuple):
    """The steps of a run and the service it is for, empty when the runbook names none."""

    steps: tuple[Concrete, ...]
    service: str


def expand(
    runbook: Runbook, params: Mapping[str, Any], estate: Estate, books: Mapping[str, Runbook], leaders: Leaders
) -> Expanded:
    """Lay a runbook out. Raises ConfigError for parameters that do not fit, and for loops over nothing or too much."""
    scope = scope_of(runbook, params, estate, leaders)
    service = ""
    if runbook.service:
        service = str(_text(runbook, ("service",), runbook.service, scope) or "")
    making = _Expansion(runbook, books, estate, leaders)
    making.block(runbook.steps, scope, _Place(runbook), ("steps",))
    return Expanded(making.resolved(), service)


def scope_of(runbook: Runbook, params: Mapping[str, Any], estate: Estate, leaders: Leaders) -> Scope:
    """What `${…}` stands for in a runbook with these parameters. Raises ConfigError."""
    values = values_of(runbook, followed(runbook, params, estate, leaders))
    kinds: dict[str, str] = {name: spec.kind for name, spec in runbook.params.items()}
    lists = frozenset(name for name, spec in runbook.params.items() if spec.many)
    return Scope(estate, values, kinds, leaders, lists=lists)


@dataclass(slots=True)
class _Mark:
    """A place among the steps, known when it is reached."""

    position: int = -1


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the runbooks the expansion is, and what steps take over from what they are in."""

    runbook: Runbook
    prefix: str = ""
    items: tuple[str, ...] = ()
    loop: str = ""
    item: int = 0
    stop_after: int = 1
    owner: str = ""
    on_failure: str = "pause"
    prose: tuple[str, str, str] = ("", "", "")
    marks: Mapping[str, _Mark] = field(default_factory=dict)
    depth: int = 0


class _Expansion:
    """The list while it grows; answers are resolved to ids at the end."""

    def __init__(self, runbook: Runbook, books: Mapping[str, Runbook], estate: Estate, leaders: Leaders) -> None:
        self._runbook = runbook
        self._books, self._estate, self._leaders = books, estate, leaders
        self._steps: list[Concrete] = []
        self._jumps: dict[int, list[tuple[str, str | _Mark]]] = {}

    def block(self, steps: Sequence[Step], scope: Scope, place: _Place, path: Path) -> None:
        """Steps one after the other."""
        if place.depth > MOST_DEPTH:
            raise _too_much(place.runbook, path, f"at most {MOST_DEPTH} runbooks and loops inside each other")
        place = replace(place, marks={**place.marks, **{step.id: _Mark() for step in steps}})
        for index, step in enumerate(steps):
            place.marks[step.id].position = len(self._steps)
            after = _Mark()
            if step.when is not None:
                before = replace(place, marks={**place.marks, SKIP: after}, prose=_prose(step, scope, place))
                self._condition(step, step.when, scope, before, (*path, index, "when"))
            self._step(step, scope, place, (*path, index))
            after.position = len(self._steps)
            for each in (step, *step.parallel):  # known to the steps after it
                here = Captured(source=f"{place.prefix}{each.id}")
                scope = scope.with_captured(each.id, dict.fromkeys(each.capture, here))

    def _step(self, step: Step, scope: Scope, place: _Place, path: Path) -> None:
        match step.kind:
            case "parallel":
                for index, member in enumerate(step.parallel):
                    inside = self._inside(step, scope, place)
                    self._add(member, scope, inside, (*path, "parallel", index), group=f"{place.prefix}{step.id}")
            case "each":
                self._loop(step, scope, place, path)
            case "runbook":
                self._called(step, scope, place, path)
            case _:
                self._add(step, scope, place, path)

    def _inside(self, step: Step, scope: Scope, place: _Place) -> _Place:
        """What the steps inside of a step take over from it."""
        return replace(
            place,
            owner=step.owner or place.owner,
            on_failure=step.on_failure if "on_failure" in step.model_fields_set else place.on_failure,
            prose=_prose(step, scope, place),
        )

    def _add(
        self, step: Step, scope: Scope, place: _Place, path: Path, group: str = "", condition: Condition | None = None
    ) -> None:
        if len(self._steps) >= MOST_STEPS:
            raise _too_much(place.runbook, path, f"at most {MOST_STEPS} steps, with every item of every loop")
        title = str(_text(place.runbook, (*path, "title"), step.title, scope) or "")
        missing = [item for item in place.items if item not in title]
        if title and missing:
            title = f"{title} ({', '.join(missing)})"
        args, late = _split(step.args, scope)
        update: dict[str, Any] = {"args": _text(place.runbook, (*path, "with"), args, scope), "title": title}
        if step.decide is not None:
            question = _text(place.runbook, (*path, "decide", "question"), step.decide.question, scope)
            update["decide"] = step.decide.model_copy(update={"question": question})
            self._jumps[len(self._steps)] = list(self._meanings(step.decide.options, place))
        if condition is not None:
            self._jumps[len(self._steps)] = list(self._meanings(condition.meanings, place))
        own = "on_failure" in step.model_fields_set
        self._steps.append(
            Concrete(
                id=f"{place.prefix}{step.id}",
                step=step.model_copy(update=update),
                do="when" if condition is not None else step.kind,
                group=group,
                owner=step.owner or place.owner,
                on_failure=step.on_failure if own else place.on_failure,
                prose=_prose(step, scope, place),
                loop=place.loop,
                item=place.item,
                stop_after=place.stop_after,
                late=late,
            )
        )

    def _meanings(self, options: Mapping[str, str], place: _Place) -> Iterable[tuple[str, str | _Mark]]:
        for label, meaning in options.items():
            yield label, meaning if meaning in _PLAIN or meaning not in place.marks else place.marks[meaning]

    def _condition(self, step: Step, when: Condition, scope: Scope, place: _Place, path: Path) -> None:
        """The question before a step. Its policy is to pause: what it leads to is in its answers."""
        written = {"id": "when", "check": when.check, "with": dict(when.args), "on_failure": PAUSE}
        asked = Step.model_validate(written).model_copy(
            update={
                "id": f"{step.id}.when",
                "title": f"Whether to: {step.title or step.id}",
                "every": when.every,
                "during": when.during,
                "samples": when.samples,
                "owner": step.owner,
            }
        )
        self._add(asked, scope, place, path, condition=when)

    def _loop(self, step: Step, scope: Scope, place: _Place, path: Path) -> None:
        try:
            found = items_of(step, scope)
        except Unresolved as error:
            raise _refused(place.runbook, (*path, "each"), repr(step.each), error.expected, error.close) from error
        if not found.items and step.if_none == "skip":
            return
        if not found.items:
            raise _refused(place.runbook, (*path, "each"), str(step.each), "something to go over, but there is none")
        name = f"{place.prefix}{step.id}"
        inside = replace(self._inside(step, scope, place), loop=name, stop_after=step.stop_after, depth=place.depth + 1)
        for number, item in enumerate(found.items):
            if step.pace and number and number % step.at_once == 0:
                pause = Step.model_validate({"id": "pace", "wait": "1s", "title": f"Pause before {item}"})
                named = {"id": f"{step.id}.pace-{number}", "wait": step.pace}
                self._add(pause.model_copy(update=named), scope, place, path)
            after = _Mark()
            of_item = replace(
                inside,
                prefix=f"{name}.{item}.",
                items=(*place.items, str(item)),
                item=number,
                marks={**place.marks, NEXT: after},
            )
            bound = scope.with_item(step.item, found.kind, item, unknown=False)
            if found.database and number % step.at_once == 0:
                self._still_leads(found.database, scope, of_item, path)
            if step.at_once > 1:
                group = f"{name}.at-once-{number // step.at_once + 1}"
                self._add(step.steps[0], bound, of_item, (*path, "steps", 0), group=group)
            else:
                self.block(step.steps, bound, of_item, (*path, "steps"))
            after.position = len(self._steps)

    def _still_leads(self, database: str, scope: Scope, place: _Place, path: Path) -> None:
        """The order was made from roles that were read when the run was planned: it holds only while they do."""
        leader = scope.leaders(database)
        check = {
            "id": "roles",
            "title": f"{leader} still leads {database}",
            "check": STILL_LEADS,
            "with": {"database": database, "node": leader},
            "on_failure": PAUSE,
        }
        self._add(Step.model_validate(check), scope, replace(place, stop_after=1), path)

    def _called(self, step: Step, scope: Scope, place: _Place, path: Path) -> None:
        called = self._books.get(step.runbook or "")
        if called is None:
            raise unknown_runbook(place.runbook, (*path, "runbook"), step.runbook or "", self._books)
        args = {k: v for k, v in _text(place.runbook, (*path, "with"), step.args, scope).items() if v is not None}
        inner = scope_of(called, args, self._estate, self._leaders)
        inside = replace(
            self._inside(step, scope, place),
            runbook=called,
            prefix=f"{place.prefix}{step.id}.",
            on_failure=PAUSE,
            marks={},
            depth=place.depth + 1,
        )
        self.block(called.steps, inner, inside, ("steps",))

    def resolved(self) -> tuple[Concrete, ...]:
        """The list, its answers as ids. Raises ConfigError for two steps of one id: an author may write dots too."""
        if not self._steps:
            raise _refused(self._runbook, ("steps",), "", "at least one step; every loop goes over nothing here")
        ids = [step.id for step in self._steps]
        twice = next((each for index, each in enumerate(ids) if each in ids[:index]), None)
        if twice is not None:
            raise self._unsound(repr(twice), "each id once, with those made for items")
        found = list(self._steps)
        for index, options in self._jumps.items():
            found[index] = replace(found[index], options=tuple(self._led(index, *each) for each in options))
        return tuple(found)

    def _unsound(self, found: str, expected: str) -> TooMuch:
        return TooMuch((self._runbook.located.problem(("steps",), found, expected, key=True),))

    def _led(self, index: int, label: str, meaning: str | _Mark) -> tuple[str, str]:
        if isinstance(meaning, str):
            return label, meaning
        if meaning.position <= index:
            raise self._unsound(label, "an answer that leads to a later step")
        return label, self._steps[meaning.position].id if meaning.position < len(self._steps) else ""


def _split(args: Mapping[str, Any], scope: Scope) -> tuple[dict[str, Any], tuple[tuple[str, str, str], ...]]:
    """The arguments that are known now, and those that an earlier step captures; `args.host` is one inside `args`."""
    known: dict[str, Any] = {}
    late: list[tuple[str, str, str]] = []
    for name, written in args.items():
        if isinstance(written, Mapping):
            known[name], inner = _split(written, scope)
            late += [(f"{name}.{each}", source, wanted) for each, source, wanted in inner]
        elif (of := scope.late(written)) is not None:
            late.append((name, *of))
        else:
            known[name] = written
    return known, tuple(late)


class LoopItems(NamedTuple):
    """What a loop goes over: its items, their kind, and the database whose roles make the order."""

    items: tuple[Any, ...]
    kind: str
    database: str = ""


def items_of(step: Step, scope: Scope) -> LoopItems:
    """The items of a loop in their order. Raises Unresolved."""
    left_out = _left_out(step, scope)
    of_roles = "the nodes of a database such as ${database.nodes}, where their order is standbys-first"
    if not isinstance(step.each, str):
        if step.order == "standbys-first":
            raise Unresolved(of_roles)
        return LoopItems(_ordered(step, tuple(i for i in step.each or () if i not in left_out), ""), "")
    named = placeholders_in(step.each, ())
    if len(named) != 1 or f"${{{named[0][1]}}}" != step.each:
        raise Unresolved("a list of names, or objects of the estate such as ${service.balancers}")
    name = named[0][1]
    meaning = scope.meaning(name)
    head = name.rpartition(".")[0]
    of_nodes = meaning.kind == "node" and meaning.many
    if step.order == "standbys-first" and not of_nodes:
        raise Unresolved(of_roles)
    items = tuple(each for each in scope.all(name) if each is not None and each not in left_out)
    database = str(scope[head]) if of_nodes and (meaning.live or step.order == "standbys-first") else ""
    leader = scope.leaders(database) if database and items else ""
    return LoopItems(_ordered(step, items, leader), meaning.kind, database if items else "")


def _left_out(step: Step, scope: Scope) -> tuple[Any, ...]:
    """What a loop does not go over. Raises Unresolved."""
    return tuple(each for _, name in placeholders_in(step.without, ()) for each in scope.all(name))


def _ordered(step: Step, items: tuple[Any, ...], leader: str) -> tuple[Any, ...]:
    if step.order == "reversed":
        return items[::-1]
    return tuple(sorted(items, key=lambda item: item == leader)) if step.order == "standbys-first" else items


def _prose(step: Step, scope: Scope, place: _Place) -> tuple[str, str, str]:
    """Its own prose, else that of what it is in."""
    if not any(step.prose):
        return place.prose
    why, look_for, fails = (str(_text(place.runbook, (), each, scope) or "") for each in step.prose)
    return why, look_for, fails


def _text(runbook: Runbook, path: Path, value: Any, scope: Scope) -> Any:
    try:
        return substitute(value, scope)
    except Unresolved as error:
        raise _refused(runbook, path, "", error.expected, error.close) from error


def unknown_runbook(runbook: Runbook, path: Path, name: str, books: Mapping[str, Runbook]) -> ConfigError:
    """The error for a runbook inside that does not exist."""
    message = f"a runbook: {one_of(books)}" if books else "a runbook, but there is no other"
    return _refused(runbook, path, repr(name), message, nearest(name, books))


def _refused(runbook: Runbook, path: Path, found: str, expected: str, close: str = "") -> ConfigError:
    return ConfigError((runbook.located.problem(path, found, expected, close),))


def _too_much(runbook: Runbook, path: Path, expected: str) -> TooMuch:
    return TooMuch((runbook.located.problem(path, "more", expected),))
