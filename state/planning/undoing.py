"""Whether what a run left is still there: an undo takes back the run's own changes, never a newer one of others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from state.api.card import CardWarning, Rule, WarningKind
from state.changes.model import Change, ChangeSpec, Finding, OfEffect, ReadBack
from state.errors import NotFound, ReadFailure
from state.planning.plan import Seen
from state.ports.target import Setting
from state.runs.model import Run, StepRun
from state.verdicts.drift import SettingKey, key_of

RULE = "newer-change"
"""The rule that refuses an undo where something else has changed the target since the run."""
LASTS = "not taken back: no change undoes it"
PARTLY = "not taken back: it is only partly done; look what is there, then take it back by a change of its own"
WAY_OUT = "Look who changed it and why, then set it by a change of its own; an undo takes back only what its run left"


async def still_as_left(
    run: Run, undos: Iterable[Run], seen: Sequence[Seen], build: Callable[[ChangeSpec], Change], deadline: float
) -> Rule:
    """Compare the targets, read now, with what the run and its earlier undos left there.

    `seen` are the changes of the undo, last step of the run first; where one would send nothing, nothing is compared.
    """
    mine = run.undoable()
    taken_back = [step for step, one in zip(mine, seen, strict=True) if not one.preview.already]
    effects = [*_effects(run), *(step for undo in undos for step in _effects(undo))]
    names = {id(step): each.reference(step) for each in (run, *undos) for step in each.all_steps()}
    owners = {key: step for step in effects for key in _keys(step)}
    wanted = dict.fromkeys(key for step in taken_back for key in _keys(step))
    found: dict[str, str] = {}
    for owner in {id(owners[key]): owners[key] for key in wanted}.values():
        assert owner.intent is not None, "an effect has an intent"
        try:
            change = build(owner.intent.change)
            if isinstance(change, OfEffect):
                change.effect = names[id(owner)]
            now = await change.read_back(owner.intent.facts, deadline=deadline)
        except (ReadFailure, NotFound) as error:
            now = ReadBack(Finding.UNKNOWN, (str(error),))
        left = {key_of(s): s for s in owner.leaves if owners[key_of(s)] is owner and key_of(s) in wanted}
        found.update(dict.fromkeys(_differences(owner, left, now), ""))
    if found:
        return Rule(RULE, False, f"{run.id} left {'; '.join(found)}", WAY_OUT)
    return Rule(RULE, True, f"what it changes is as {run.id} left it")


def left_behind(run: Run) -> tuple[CardWarning, ...]:
    """What the run did and its undo does not take back."""
    half = run.half_done()
    return tuple(CardWarning(WarningKind.EFFECT, each, PARTLY if each in half else LASTS) for each in run.lasting())


def _effects(run: Run) -> list[StepRun]:
    """The steps of a run that changed something."""
    return [step for step in run.all_steps() if step.acted]


def _keys(step: StepRun) -> list[SettingKey]:
    """What an effect set; of one that has no settings, its targets."""
    targets = step.intent.targets if step.intent is not None else ()
    return [key_of(s) for s in step.leaves] or [(targets, "")]


def _differences(step: StepRun, left: dict[SettingKey, Setting], now: ReadBack) -> Iterable[str]:
    """What was left and is otherwise now; what cannot be read counts as different."""
    if now.finding is Finding.UNKNOWN or not step.leaves:
        if now.finding is Finding.UNKNOWN or now.finding is not step.finding:
            left_it = "" if step.finding is None else step.finding.value
            yield f"{step.step.title} {left_it}, now it reads {'; '.join(now.evidence) or now.finding.value}"
        return
    present = {key_of(s): s.value for s in now.leaves}
    for key, setting in left.items():
        if present.get(key) != setting.value:
            is_now = present.get(key, "gone")
            yield f"{'/'.join(setting.place)} {setting.name} {setting.value}, it is {is_now} now"
