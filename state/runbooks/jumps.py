"""Where answers may lead: forward only, to steps of their own list or of those around it; ids stand once in a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from state.config_files.located import Located
from state.config_files.paths import Path
from state.config_files.suggestions import nearest, one_of
from state.errors import Problem
from state.runbooks.steps import CONTINUE, NEXT, PAUSE, RESERVED, SKIP, STOP, UNDO, Step, placed

LintFinding = tuple[Path, Problem]


def id_findings(located: Located, steps: Sequence[Step]) -> Iterator[LintFinding]:
    """Ids that stand twice, and those that mean something else in answers."""
    seen: dict[str, Path] = {}
    for path, step in placed(tuple(steps)):
        where: Path = (*path, "id")
        first = seen.setdefault(step.id, where)
        if first != where:
            message = f"each id once (first in line {located.where(first)[0]})"
            yield where, located.problem(where, repr(step.id), message)
        if step.id in RESERVED:
            yield (
                where,
                located.problem(where, repr(step.id), f"an id other than {one_of(RESERVED)}: answers mean those"),
            )


def jump_findings(
    located: Located,
    steps: Sequence[Step],
    path: Path = ("steps",),
    around: Sequence[str] = (),
    *,
    looping: bool = False,
) -> Iterator[LintFinding]:
    """Answers of questions and conditions that lead to no later step."""
    ids = [step.id for step in steps]
    for index, step in enumerate(steps):
        ahead, here = [*ids[index + 1 :], *around], (*path, index)
        more = (NEXT,) if looping else ()
        if step.when is not None:
            plain = (CONTINUE, SKIP, PAUSE, STOP, UNDO, *more)
            answers = {"passed": step.when.passed, "failed": step.when.failed, "unknown": step.when.unknown}
            yield from _led(located, (*here, "when"), answers, plain, ahead)
        for inside, asking in [(here, step), *(((*here, "parallel", n), s) for n, s in enumerate(step.parallel))]:
            if asking.decide is not None:
                options = asking.decide.options
                yield from _led(located, (*inside, "decide", "options"), options, (CONTINUE, STOP, *more), ahead)
        yield from jump_findings(located, step.steps, (*here, "steps"), ahead, looping=True)


def _led(
    located: Located, path: Path, meanings: Mapping[str, str], plain: Iterable[str], ahead: Sequence[str]
) -> Iterator[LintFinding]:
    for label, meaning in meanings.items():
        if meaning in plain or meaning in ahead:
            continue
        where, words = (*path, label), [*plain]
        there = f": {one_of(ahead)}" if ahead else ""
        message = f"{', '.join(words)} or the id of a later step{there}"
        yield where, located.problem(where, repr(meaning), message, nearest(meaning, [*ahead, *words]))
