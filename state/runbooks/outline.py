"""A runbook's steps in lines, and its author's words to them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from state.runbooks.steps import Step
from state.text import paragraphs

PLACEHOLDER = re.compile(r"\$\{([^{}]*)\}")


def outline(step: Step) -> str:
    """One step in a line."""
    if step.title:
        return step.title
    if step.kind == "wait":
        return f"wait {step.limit:.0f} s"
    if step.decide is not None:
        return step.decide.question
    if step.each is not None:
        return f"for each of {step.each if isinstance(step.each, str) else ', '.join(map(str, step.each))}"
    if step.runbook is not None:
        return f"as in {step.runbook}"
    return f"{step.what} " + " ".join(str(v) for v in step.args.values() if v is not None)


def outline_lines(steps: Sequence[Step], indent: str = "") -> Iterator[tuple[str, Step]]:
    """Every step in a line, those inside another one below it."""
    for step in steps:
        asked = f", if {step.when.check}" if step.when is not None else ""
        if not step.parallel:
            yield blanks(f"{indent}{outline(step)}{asked}"), step
        yield from outline_lines(step.inner, f"{indent}  " if step.steps else indent)


def words_of(step: Step) -> tuple[str, ...]:
    """What its author says to people, labelled."""
    labelled = zip(("why", "look for", "if it fails"), step.prose, strict=True)
    return tuple(blanks(f"{label}: {' '.join(paragraphs(text))}") for label, text in labelled if text)


def blanks(text: str) -> str:
    """A text before its parameters have values: `${server}` is `<server>`."""
    return PLACEHOLDER.sub(r"<\1>", text)
