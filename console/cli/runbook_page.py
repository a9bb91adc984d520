"""A runbook as a page of Markdown that a person can follow by hand when the console is down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from state.changes.registry import change_kinds
from state.checks.registry import check_kinds
from state.config_files.arguments import arguments
from state.errors import NotFound
from state.estate.model import Estate, HandStep
from state.runbooks.books import Books, whole_hash
from state.runbooks.expand import Concrete, expand
from state.runbooks.model import Runbook
from state.runbooks.outline import outline
from state.runbooks.related import any_node
from state.text import clean, paragraphs
from state.units import clock

POLICIES = {
    "pause": "stop here and decide with others what comes next",
    "stop": "end here; nothing more is done",
    "continue": "write it down and go on",
    "undo": "take back what was changed, the last change first, and end",
}
HOW = (
    "Follow it from top to bottom, one person acting and one reading along. Write down the time of each step and what"
    " you saw. When an answer is missing, that is not a pass: read again, or stop. Never send a change a second time"
    " before you have read whether the first one happened. Here nothing refuses you, nothing goes back by itself, and"
    " nobody retries or skips a step for you: where a step speaks of that, it is about the console. What must hold"
    " before a command is sent stands above the command."
)


def page(runbook: Runbook, params: Mapping[str, Any], estate: Estate, books: Books) -> list[str]:
    """The lines of the page. Raises ConfigError for parameters that do not fit, or are missing."""
    asked: dict[str, str] = {}
    first = any_node(estate)

    def assumed(database: str) -> str:
        return asked.setdefault(database, first(database))

    expanded = expand(runbook, params, estate, books, assumed)
    lines = [f"# {_said(runbook.title)}", "", *(f"{_said(text)}\n" for text in paragraphs(runbook.description))]
    lines += [f"- runbook `{runbook.runbook}`, hash `{whole_hash(runbook, books)[:8]}`, estate `{estate.estate}`"]
    lines += [f"- {name}: `{_said(str(value))}`" for name, value in params.items()]
    if expanded.service:
        rto = estate.services[expanded.service].rto if expanded.service in estate.services else None
        lines.append(f"- for `{expanded.service}`" + (f", to be well again within {clock(rto)}" if rto else ""))
    for database, leader in asked.items():
        lines.append(
            f"- **written as if `{leader}` led `{database}`: read who leads first, and do that one's part last**"
        )
    lines += ["", HOW, ""]
    numbers = {step.id: number for number, step in enumerate(expanded.steps, 1)}
    for step in expanded.steps:
        lines += _step(step, numbers, expanded.steps, estate)
    return [*lines, f"The end. {'It is done when every check passed.' if _checks(expanded.steps) else ''}".rstrip()]


def _checks(steps: Sequence[Concrete]) -> bool:
    return any(step.do == "check" for step in steps)


def _step(step: Concrete, numbers: Mapping[str, int], steps: Sequence[Concrete], estate: Estate) -> Iterator[str]:
    written = step.step
    yield f"## {numbers[step.id]}. {_said(written.title or outline(written))}"
    yield ""
    about = [f"`{step.id}`", f"{step.do} {written.what}".strip(), step.owner]
    together = [str(numbers[s.id]) for s in steps if step.group and s.group == step.group and s is not step]
    if together:
        about.append(f"at the same time as {', '.join(together)}")
    yield ", ".join(filter(None, about))
    yield ""
    why, look_for, fails = (paragraphs(text) for text in step.prose)
    yield from _words("Why", why)
    yield from _what(step, numbers, estate)
    yield from _words("Look for", look_for)
    yield from _words("If it fails", fails)
    if step.do != "when":
        policy = POLICIES[step.on_failure]
        if step.stop_after > 1:
            policy = f"leave the rest of this item out and go on, until {step.stop_after} items failed; then {policy}"
        yield f"When it does not succeed: {policy}."
        yield ""


def _words(label: str, texts: Sequence[str]) -> Iterator[str]:
    if texts:
        yield f"**{label}:** {_said(texts[0])}"
        yield from (_said(text) if text.startswith("- ") else f"\n{_said(text)}" for text in texts[1:])
        yield ""


def _what(step: Concrete, numbers: Mapping[str, int], estate: Estate) -> Iterator[str]:
    """What is to be done, asked or waited for."""
    written = step.step
    if step.do == "wait":
        yield f"Wait {clock(written.limit)}."
    elif written.decide is not None:
        yield f"**Decide:** {_said(written.decide.question)}"
        yield ""
        yield from (f"- {_said(label)}: {_leads(meaning, numbers)}" for label, meaning in step.options)
    else:
        yield from _commands(step, numbers, estate)
        if step.do == "check":
            again = f" {written.samples} times in a row, {clock(written.every)} apart," if written.samples > 1 else ""
            yield f"It has to hold{again} within {clock(written.limit)}."
        elif step.do == "when":
            words = {"pass": "If it holds", "fail": "If it does not", "unknown": "If you cannot tell"}
            yield from (f"- {words[label]}: {_leads(meaning, numbers)}" for label, meaning in step.options)
    yield ""


def _leads(meaning: str, numbers: Mapping[str, int]) -> str:
    plain = {"continue": "go on", "stop": "end here", "pause": "stop here and decide with others", "": "go to the end",
             "undo": "take back what was changed, the last change first, and end"}  # fmt: skip
    return plain.get(meaning) or f"go on at {numbers[meaning]}"


def _commands(step: Concrete, numbers: Mapping[str, int], estate: Estate) -> Iterator[str]:
    kind, args = step.step.what, step.step.args
    changes, checks = change_kinds(), check_kinds()
    known = changes.get(kind) or checks.get(kind)
    assert known is not None, "a step of a valid runbook has a known kind"
    fields: Mapping[str, Any] = {}
    try:
        model = arguments(kind, known.args, args)
        fields = {name: args.get(name, getattr(model, name)) for name in type(model).model_fields}
        hands: Sequence[HandStep] = known.by_hand(model, estate)
    except (NotFound, KeyError):  # a name that this estate does not list
        hands = ()
    given = [*_given(fields or args), *(f"{n} as written down at {numbers[at]} ({what})" for n, at, what in step.late)]
    against = f" with {', '.join(given)}" if given else ""
    yield f"{'Do' if kind in changes else 'Read'}: {known.title}{_said(against)}."
    for each in hands or [HandStep(f"no command is known here for {kind}")]:
        yield ""
        yield f"- {_said(each.what)}"
        if each.command:
            yield from ("", "  ```sh", f"  {clean(each.command)}", "  ```")
    yield ""
    for name, figure in step.step.capture.items():
        yield f"Write down {figure} ({name})."
        yield ""


def _given(args: Mapping[str, Any]) -> Iterator[str]:
    """The values that a change gets, and that a check is held against: `at least 3`."""
    for name, value in args.items():
        if isinstance(value, Mapping):
            yield from _given(value)
        elif value is not None and value != ():
            told = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            yield f"{name.replace('_', ' ')} {told}"


def _said(text: str) -> str:
    """Text of the runbook or the estate in a line of Markdown."""
    return clean(text).replace("`", "'")
