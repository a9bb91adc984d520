"""Makes the consequence card of a plan. It makes no text for a screen: see `state.api.card`."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from state.api.card import (
    Card,
    CardWarning,
    Confirm,
    Confirmation,
    DataLoss,
    Downtime,
    Fact,
    FactKind,
    Rule,
    Undo,
    WarningKind,
)
from state.api.run_states import RunState
from state.changes.floors import services_of
from state.changes.model import Change, ChangeSpec, IsForgotten, IsSaved
from state.estate.model import Estate
from state.health import Health
from state.planning.elsewhere import elsewhere
from state.planning.plan import Draft, Seen, fingerprint, in_order, loose, may_act, pin, risk_of
from state.planning.waived import waived
from state.policy import nonce
from state.policy.authority import CONFIRM_BY_RISK
from state.ports.target import UNREADABLE
from state.runs.fold import RunHistory
from state.runs.steps import PlannedStep
from state.units import megabytes
from state.world.balancer_parts import NextReads

CHECKS = "an earlier step changes what its health checks say: who is up is judged when its turn comes"
NOT_ASKED: Mapping[str, Health] = {}
JOURNAL = "journal"
"""The source of the durations of earlier runs."""


@dataclass(frozen=True, slots=True)
class CardContext:
    """What a card shows besides the changes themselves.

    `build` makes the change that undoes another, `rules` are the verdicts of policy, `age` the seconds since the
    readings began, `now_wall` seconds since 1970. `warnings` are those about the plan as a whole,
    `healths` those of services and databases now.
    """

    estate: Estate
    history: RunHistory
    build: Callable[[ChangeSpec], Change]
    rules: tuple[Rule, ...]
    age: float
    now_wall: float
    warnings: tuple[CardWarning, ...] = ()
    healths: Mapping[str, Health] = field(default_factory=dict)


def make_card(plan: str, draft: Draft, seen: Sequence[Seen], context: CardContext) -> Card:
    """The consequence card of what was read; `plan` is the plan's id."""
    acting = may_act(seen)
    touched = touched_of(draft, acting, context.estate)
    loss = loss_of(acting, touched, context.estate, context.age)
    rules = (*_preconditions(seen), *context.rules)
    sessions = [one.preview.sessions_cut for one in acting]
    return Card(
        plan=plan,
        title=draft.title,
        risk=risk_of(seen).value,
        fingerprint=fingerprint(draft, pin(draft, seen)),
        confirmation=_confirmation(draft, seen, loss, context.estate),
        loss=loss,
        downtime=tuple(
            Downtime(o.change.name, o.preview.downtime, o.step.deed, _agreed(touched, context.estate))
            for o in acting
            if o.preview.downtime
        ),
        sessions_cut=None if None in sessions else sum(s for s in sessions if s is not None),
        undo=tuple(_undo(one, context.build) for one in acting if not one.step.ends),
        diffs=(
            *draft.diffs,
            *(d for one in acting if not one.step.ends for d in one.preview.diffs if d.before != d.after),
        ),
        facts=(
            *_deeds(seen, acting),
            *_conditions(draft),
            *_services(draft, touched, context.estate),
            *dependents_of(touched, context.estate, context.healths),
            *_blockers(touched, context.estate, context.healths),
            *_forgotten(acting),
            *_saved(acting),
            *(fact for one in acting for fact in one.preview.ranking),
            *_identities(seen, context.age),
            *_runbook(draft, context),
            *_durations(acting, context.history),
        ),
        rules=rules,
        refusals=tuple(dict.fromkeys(rule.refusal for rule in rules if not rule.passed)),
        warnings=(
            *waived(draft, context.estate),
            *context.warnings,
            *_warnings(seen, acting, draft.steps),
            *elsewhere(seen, acting, context.estate),
        ),
        verified_by=tuple(dict.fromkeys(s.title for s in draft.steps if s.do == "check")),
    )


def touched_of(draft: Draft, acting: Sequence[Seen], estate: Estate) -> tuple[str, ...]:
    """The databases and services that are acted on; the draft's own service when none is known."""
    if not acting:
        return ()
    found: list[str] = []
    for one in acting:
        args = one.step.args
        if args.get("database") in estate.databases:
            found.append(str(args["database"]))
        found += services_of(estate, str(args.get("balancer", "")), str(args.get("backend", "")))
        found += one.preview.services
    return tuple(dict.fromkeys(found)) or ((draft.service,) if draft.service in estate.services else ())


def loss_of(acting: Sequence[Seen], touched: Iterable[str], estate: Estate, age: float) -> DataLoss:
    """The largest loss of what may act, unknown when any of it is; against the strictest RPO. It was read `age` seconds
    ago."""
    services, databases = estate.services, estate.databases
    rpos = [entry[name].rpo for name in touched for entry in (services, databases) if name in entry]
    limit = min(rpos, default=None)
    unknown = [one.preview for one in acting if one.preview.loss_bytes is None]
    if unknown:
        return DataLoss(None, limit, unknown[0].loss_note, age)
    worst = max((one.preview for one in acting), key=lambda p: p.loss_bytes or 0, default=None)
    return DataLoss(worst.loss_bytes, limit, worst.loss_note, age) if worst else DataLoss(0, limit, "", age)


def _confirmation(draft: Draft, seen: Sequence[Seen], loss: DataLoss, estate: Estate) -> Confirmation:
    """What must be typed: by risk class, and a known loss above the RPO."""
    risk, policy = risk_of(seen), estate.policies.confirm
    how = CONFIRM_BY_RISK[risk]
    return Confirmation(
        how=how,
        nonce="Y" if how is Confirm.YES else nonce.draw(),
        name=next((one.change.name for one in seen if one.change.risk is risk), draft.title),
        loss=megabytes(loss.size) if loss.size is not None and loss.size > (loss.limit or 0) else "",
        arm=policy.arm,
        expires=policy.plan_expires,
    )


def _undo(one: Seen, build: Callable[[ChangeSpec], Change]) -> Undo:
    undo = one.preview.undo
    if undo is None:
        return Undo(one.change.name, None)
    return Undo(one.change.name, undo.kind, dict(undo.args), build(undo).verb)


def _deeds(seen: Sequence[Seen], acting: Sequence[Seen]) -> Iterable[Fact]:
    for one in seen:
        if one in acting:
            when = "then, at its time and by itself: " if one.step.ends else ""
            yield Fact(FactKind.DOES, one.change.name, when + one.preview.verb)
        else:
            yield Fact(FactKind.ALREADY, one.change.name, one.change.verb)


def _forgotten(acting: Sequence[Seen]) -> Iterable[Fact]:
    """What does not last; each target once."""
    found = {o.change.name: o.change.forgotten for o in acting if isinstance(o.change, IsForgotten)}
    return [Fact(FactKind.FORGOTTEN, name, when) for name, when in found.items() if when]


READ = {NextReads.YES: Health.PASS, NextReads.NO: Health.FAIL, NextReads.UNKNOWN: Health.UNKNOWN}


def _saved(acting: Sequence[Seen]) -> Iterable[Fact]:
    """What is saved for a later process; each target once."""
    found = {o.change.name: o.change.saved_after for o in acting if isinstance(o.change, IsSaved)}
    return [
        Fact(FactKind.SAVED, name, after.path, source=after.unknown, health=READ[after.reads])
        for name, after in found.items()
        if after is not None
    ]


def _conditions(draft: Draft) -> Iterable[Fact]:
    """What each answer of each condition means for what would be done."""
    titles = {step.id: step.title for step in draft.steps}
    for step in draft.steps:
        if step.do == "when":
            for answer, meaning in step.options:
                yield Fact(FactKind.CONDITION, step.title, titles.get(meaning, meaning), name=answer)


def dependents_of(touched: Sequence[str], estate: Estate, healths: Mapping[str, Health] = NOT_ASKED) -> list[Fact]:
    """Every service that depends on the targets, also through others; most important first, with its health now."""
    found: dict[str, str] = {}
    reached = list(touched)
    for name in reached:
        for service, entry in estate.services.items():
            if name in entry.depends_on and service not in found:
                found[service] = name
                reached.append(service)
    ordered = sorted(found.items(), key=lambda pair: estate.services[pair[0]].tier)
    return [
        Fact(FactKind.DEPENDENT, s, on, health=healths.get(s), figures={"tier": estate.services[s].tier})
        for s, on in ordered
    ]


def _blockers(touched: Sequence[str], estate: Estate, healths: Mapping[str, Health]) -> Iterable[Fact]:
    """What the targets need, also through others, and what is not well: they cannot be well before it is."""
    found: dict[str, str] = {}
    reached = [name for name in touched if name in estate.services]
    for name in reached:
        for needed in estate.services[name].depends_on:
            if needed not in found and needed not in touched:
                found[needed] = name
                reached += [needed] if needed in estate.services else []
    for needed, name in found.items():
        health = healths.get(needed, Health.PASS)
        if health is not Health.PASS:
            yield Fact(FactKind.BLOCKER, needed, name, health=health)


def _agreed(touched: Sequence[str], estate: Estate) -> float | None:
    """The downtime that the strictest service allows, of those that are touched or need what is."""
    names = {*touched, *(fact.subject for fact in dependents_of(touched, estate))}
    return min((s.downtime for n, s in estate.services.items() if n in names and s.downtime is not None), default=None)


def _services(draft: Draft, touched: Sequence[str], estate: Estate) -> Iterable[Fact]:
    """What is acted on, by the names of the estate; and whether that is what the run is for."""
    needs = {fact.subject for fact in dependents_of(touched, estate)}
    other = draft.service in estate.services and draft.service not in {*touched, *needs}
    for name in touched:
        yield Fact(FactKind.SERVICE, name, "other" if other else "")


def _identities(seen: Sequence[Seen], age: float) -> list[Fact]:
    """The verified identity of each target, each target once."""
    proven = {one.identity.target: one.identity.facts for one in seen}
    return [
        Fact(
            kind=FactKind.IDENTITY,
            subject=target,
            value=value,
            source=target,
            age=age,
            health=Health.UNKNOWN if value == UNREADABLE else Health.PASS,
            name=name,
        )
        for target, facts in proven.items()
        for name, value in facts.items()
    ]


def _runbook(draft: Draft, context: CardContext) -> Iterable[Fact]:
    """The runbook, and when this hash was last proven: it ran to its end and every change and check succeeded."""
    if not draft.runbook:
        return
    known = [r for r in context.history.runs.values() if r.hash == draft.hash]
    runs = [r for r in known if r.state is RunState.DONE and not r.unmet()]
    ended = max((r.ended_at for r in runs if r.ended_at is not None), default=None)
    age = None if ended is None else max(0.0, context.now_wall - ended)
    health = Health.WARN if age is None else Health.PASS
    yield Fact(FactKind.RUNBOOK, draft.runbook, draft.hash, JOURNAL, age, health)


def _durations(acting: Sequence[Seen], history: RunHistory) -> Iterable[Fact]:
    """How long such changes took before, from intent to the last reading; and for how long nobody accepted writes."""
    for deed in dict.fromkeys(one.step.deed for one in acting):
        figures = {"count": 0, **_spread("", history.took(deed)), **_spread("outage_", _unled(history, deed))}
        yield Fact(FactKind.HISTORY, deed, source=JOURNAL, figures=figures)


def _unled(history: RunHistory, deed: str) -> list[float]:
    """For how long nobody accepted writes each time that the same was done, of the runs in memory, in seconds."""
    steps = (step for run in history.runs.values() for step in run.all_steps() if step.took is not None)
    found = (step.figures.get("no_writes") for step in steps if step.step.deed == deed)
    return [float(each) for each in found if isinstance(each, int | float)]


def _spread(prefix: str, seconds: Sequence[float]) -> dict[str, float]:
    """Count, median and worst; nothing where there is none."""
    if not seconds:
        return {}
    figures = {"median": median(seconds), "worst": max(seconds), "count": len(seconds)}
    return {f"{prefix}{name}": value for name, value in figures.items()}


def _preconditions(seen: Sequence[Seen]) -> list[Rule]:
    """The verdicts of the changes' own rules, as far as they are about the state before the plan starts; of a set, and
    of what takes it back, in every state on the way."""
    open_ = loose(seen)
    first = [o for o, earlier in in_order(seen) if _foreseen(o, earlier, open_) and not o.preview.already]
    return list(dict.fromkeys(_with_override(rule, one.step) for one in first for rule in one.preview.rules))


def _foreseen(one: Seen, earlier: bool, loosened: Container[str]) -> bool:
    """Whether its rules are judged on the card for good: nothing but the plan itself comes before it, and that does not
    show in its health checks."""
    return (not earlier or bool(one.step.part)) and one.step.id not in loosened


def _with_override(rule: Rule, step: PlannedStep) -> Rule:
    """A safety rule of the estate that the plan overrides by name holds nothing up."""
    if rule.passed or rule.own not in step.overrides:
        return rule
    return replace(rule, passed=True, fact=f"{rule.fact}; overridden: {step.overrides[rule.own]}", way_out="", who="")


def _overrides(seen: Sequence[Seen]) -> Iterable[CardWarning]:
    """What is not so, and is overridden."""
    for one in seen:
        for rule in one.preview.rules:
            if not rule.passed and rule.own in one.step.overrides:
                said = f"{rule.fact}; reason: {one.step.overrides[rule.own]}"
                yield CardWarning(WarningKind.OVERRIDDEN, rule.subject, said, rule.own)


def _warnings(seen: Sequence[Seen], acting: Sequence[Seen], steps: Sequence[PlannedStep]) -> tuple[CardWarning, ...]:
    """What would refuse later steps as the earlier ones leave things, and the warnings of each change."""
    open_ = loose(seen)
    later = [o for o, earlier in in_order(seen) if not _foreseen(o, earlier, open_) and not o.preview.already]
    told = [_with_override(rule, one.step) for one in later for rule in one.preview.rules]
    refusing = [rule for rule in told if not rule.passed]
    found = list(_overrides(seen))
    found += [CardWarning(WarningKind.LATER, r.subject, r.fact, r.rule) for r in refusing]
    found += [warning for one in acting for warning in one.preview.warnings]
    found += [CardWarning(WarningKind.EFFECT, one.change.name, CHECKS) for one in later if one.step.id in open_]
    titles = {step.id: step.title for step in steps}
    for step in (each for each in steps if each.late and each.do == "change"):
        after = ", ".join(f"{name} after {titles[source]}" for name, source, _ in step.late)
        found.append(
            CardWarning(WarningKind.UNKNOWN, step.title, f"{after}; it has a card of its own when it is reached")
        )
    return tuple(dict.fromkeys(found))
