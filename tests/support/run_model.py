"""What a run does, written from docs/runbooks.md alone: a simulation of its rules, for comparison with the engine.

Times are nominal: a change takes a second, a check a moment or its limit. Nothing here is taken from the engine.
"""

from __future__ import annotations

from typing import Any

from tests.support.run_seen import (
    CHANGE,
    EVERY,
    LOOK,
    NEVER,
    OVER,
    REREAD,
    Instance,
    RunSeen,
    Undo,
    World,
)


class Model(RunSeen):
    """One run of a runbook: what people do to it, and what time does."""

    def __init__(self, steps: list[dict[str, Any]], world: World, now: float) -> None:
        super().__init__(steps, world, now)
        self.follow()

    # -- what people do; each returns whether it is accepted

    def control(self, verb: str, roles: tuple[str, ...], key: str = "", choice: str = "") -> bool:
        accepted = self.asked(verb, roles, key, choice)
        self.follow()
        return accepted

    def asked(self, verb: str, roles: tuple[str, ...], key: str = "", choice: str = "") -> bool:
        """One request, before anything follows from it."""
        offered = self.offers()
        if verb == "stop":
            accepted = self.state not in OVER
            self.stopping = self.stopping or accepted
            return accepted
        if verb not in offered or (offered[verb] and key not in offered[verb]):
            return False
        step = next((s for s in self.steps if self.key(s) == key), None)
        if not self._may(verb, step, "commander" in roles, roles, choice):
            return False
        getattr(self, f"_{verb}")(step, choice)
        return True

    def _may(self, verb: str, step: Any, commander: bool, roles: tuple[str, ...], choice: str) -> bool:
        """Whether the person, the answer and the target allow what is offered."""
        if verb in ("undo", "retry") and self.world.blind and (step is None or step["do"] == "change"):
            return False
        if (verb == "retry" and step["grave"]) or (verb == "resume" and self._grave_ahead()):
            return commander
        if verb in ("decide", "skip") and self.at[step["id"]].state == "waiting":
            return (commander or step["owner"] in roles) and (verb == "skip" or choice in step["options"])
        return True

    def _pause(self, _step: Any, _choice: str) -> None:
        self.state = "paused"

    def _grave_ahead(self) -> bool:
        return any(step["grave"] for step in self.standing())

    def _resume(self, _step: Any, _choice: str) -> None:
        self.confirm = self.confirm and not self._grave_ahead()
        self.state = "running"

    def _skip(self, step: dict[str, Any], _choice: str) -> None:
        self._leave_out(step)
        self.state = "running"

    def _retry(self, step: dict[str, Any], _choice: str) -> None:
        self.confirm = self.confirm and not step["grave"]
        self.at[step["id"]] = Instance(self.at[step["id"]].number + 1)
        self.state = "running"

    def _undo(self, _step: Any, _choice: str) -> None:
        self.undo, self.undo_refused = Undo([*reversed(self.done_effects)]), False

    def _decide(self, step: dict[str, Any], choice: str) -> None:
        self.at[step["id"]].choice = choice

    def _answered(self, step: dict[str, Any]) -> None:
        choice = self.at[step["id"]].choice
        meaning, ruled = step["options"][choice], step["do"] == "when" and choice != "unknown"
        self._end(step, "done")
        if meaning == "stop":
            self.stopping = True
        elif meaning != "continue":
            ids = [s["id"] for s in self.steps]
            to = ids.index(meaning) if meaning else len(ids)
            between = self.steps[ids.index(step["id"]) + 1 : to]
            for other in self.steps:
                same = step["group"] and other["group"] == step["group"] and other is not step
                answered = (
                    self.at[other["id"]].state == "waiting" and self.at[other["id"]].choice
                )  # that one counts too
                if (other in between or same) and not self.settled(other) and not answered:
                    self._leave_out(other)
                    self.at[other["id"]].ruled = ruled

    def _leave_out(self, step: dict[str, Any]) -> None:
        at = self.at[step["id"]]
        at.left = True
        if at.state != "unknown":
            at.state, at.until = "skipped", NEVER

    # -- time

    def busy(self, from_: float, to: float) -> bool:
        """Whether something happens by itself between two instants."""
        ends = [at.until for at in self.at.values()] + [self.undo.until if self.undo else NEVER]
        return any(from_ <= each <= to for each in ends)

    def heal(self) -> None:
        """The target can be read again: effects in doubt are found out soon."""
        for at in self.at.values():
            if at.state == "unknown":
                at.until = self.now + REREAD
        if self.undo is not None and self.undo.doubt:
            self.undo.until = self.now + REREAD

    def restart(self, now: float, ahead: float) -> None:
        """The engine was away until now; questions and waits go on by their limits, told by the wall clock."""
        self.now, self.ahead, self.confirm = now, ahead, True
        for step, at in zip(self.steps, self.at.values(), strict=True):
            if at.state in ("waiting", "running"):  # not from the future, however the clock was set
                at.until = min(at.began - ahead, now) + step["seconds"]
            at.reread = at.state == "unknown"
            if at.reread and not self.world.blind:
                at.until = self.now + REREAD
        self.advance(self.now)

    def advance(self, to: float) -> None:
        """Let time pass."""
        while True:
            waiting = [(at.until, index) for index, at in enumerate(self.at.values()) if at.until <= to]
            undo = self.undo.until if self.undo is not None else NEVER
            first = min(waiting, default=(NEVER, -1))
            if min(first[0], undo) > to:
                break
            self.moved = self.now = max(self.now, min(first[0], undo))
            if undo < first[0]:
                assert self.undo is not None
                self.undo.ends(self.world)
            else:
                self._due(self.steps[first[1]])
            self.follow()
        self.now = max(self.now, to)

    def _due(self, step: dict[str, Any]) -> None:
        at = self.at[step["id"]]
        if at.state == "unknown":
            at.outcome = "done" if self.world.weights.get(step["target"], 0) else "not-done"
        if step["do"] == "when":
            return self._told_by(step)
        self._end(step, "failed" if step["do"] == "decide" else at.outcome)

    def _told_by(self, step: dict[str, Any]) -> None:
        """A condition has its answer: what it means is done at once."""
        at = self.at[step["id"]]
        if step["options"][at.outcome] == "pause":
            self._end(step, "failed")
        else:
            at.choice = at.outcome
            self._answered(step)

    def _end(self, step: dict[str, Any], state: str) -> None:
        at = self.at[step["id"]]
        at.state, at.until = state, NEVER
        if at.effect and state == "done":
            self.done_effects.append(step["target"])

    def follow(self) -> None:
        """Begin, stop and end what the rules say, until nothing more follows at this instant."""
        for step in self.steps:
            if self.at[step["id"]].state == "waiting" and self.at[step["id"]].choice:
                self._answered(step)
        while self._once():
            pass
        if self.undo is not None:
            self.undo.go(self.now, self.world)
            if self.undo.state != "running":
                self.undone, self.undo = self.undo.state == "done", None

    def _once(self) -> bool:
        if self.state in OVER:
            return False
        standing, ats = self.standing(), [self.at[s["id"]] for s in self.standing()]
        if self.stopping:
            return self._stop_what_can(standing)
        pending = [s for s in standing if self.at[s["id"]].state == "pending"]
        reading = any(at.reread and at.state == "unknown" for at in ats)
        if pending and self.state != "paused" and not reading and self._begin_all(pending):
            return True
        if any(at.state in ("running", "waiting", "unknown", "pending") for at in ats):
            return False
        if not standing:
            self.state = "done"
        elif self.state == "paused":
            return False
        else:
            self._policy(self.held()[0])
        return True

    def _begin_all(self, pending: list[dict[str, Any]]) -> bool:
        """Begin what can begin; of changes, which all have one target here, one at a time."""
        if lost := [s for s in pending if self.abandoned(s)]:
            for step in lost:
                self._leave_out(step)
            return True
        if self.confirm and any(s["grave"] for s in pending):
            self.state = "paused"
            return True
        acting = [
            s for s in self.standing() if s["do"] == "change" and self.at[s["id"]].state in ("running", "unknown")
        ]
        first = [s for s in pending if s["do"] == "change"][: 0 if acting else 1]
        others = [s for s in pending if s["do"] != "change"]
        for step in [*first, *others]:  # what looks at the same time sees what the change made of the target
            self._begin(step, self.world.blind)
        return bool(first or others)

    def _stop_what_can(self, standing: list[dict[str, Any]]) -> bool:
        ats = [self.at[step["id"]] for step in standing]
        for step, at in zip(standing, ats, strict=True):
            if at.state == "waiting" or (at.state == "running" and step["do"] in ("wait", "check", "when")):
                self._end(step, "stopped")
        if not any(at.state in ("running", "unknown") for at in ats):
            self.state, self.why = "stopped", "stopped"
        return False

    def _policy(self, step: dict[str, Any]) -> None:
        self.why = f"{step['title']}: "
        if step["policy"] == "pause":
            self.state = "paused"
            return
        self.state = "failed"
        if step["policy"] == "undo" and self.done_effects:
            if self.world.blind:
                self.undo_refused = True
            else:
                self._undo(None, "")

    def _begin(self, step: dict[str, Any], blind: bool) -> None:
        at, now = self.at[step["id"]], self.now
        at.state, at.began = "running", now + self.ahead
        if step["do"] == "wait":
            at.until, at.outcome = now + step["seconds"], "done"
        elif step["do"] == "decide":
            at.state, at.until = "waiting", now + step["seconds"]
        elif step["do"] == "check":
            passes = not self.world.blind and self.world.weights.get(step["server"], 0) > 0
            at.outcome = "done" if passes else "failed"
            at.until = now + (LOOK + EVERY * (step["samples"] - 1) if passes else step["seconds"])
        elif step["do"] == "when":
            serves = self.world.weights.get(step["server"], 0) > 0
            at.outcome = "unknown" if self.world.blind else "pass" if serves else "fail"
            at.until = now + (step["seconds"] if self.world.blind else LOOK)
        elif blind:
            self._end(step, "failed")
        else:
            at.effect = True
            at.outcome = self.world.send(step["target"], 5)
            at.state = "unknown" if at.outcome == "unknown" else "running"
            at.until = NEVER if at.outcome == "unknown" else now + CHANGE
