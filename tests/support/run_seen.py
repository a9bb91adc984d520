"""What is so of a run: its state, what it offers, the last line; with the target and an undo. See `run_model`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

CHANGE, LOOK, EVERY, REREAD = 1.0, 0.3, 0.5, 2.0
NEVER = float("inf")
OVER = ("done", "failed", "stopped")
UNSUCCESSFUL = ("failed", "not-done", "stopped")


@dataclass
class World:
    """The target as it will behave: `mode` of the next command, weights by server."""

    mode: str = "well"
    blind: bool = False
    weights: dict[str, int] = field(default_factory=dict)

    def send(self, server: str, weight: int) -> str:
        """What becomes of a command: done, not-done or unknown."""
        if self.mode in ("well", "drops", "vanishes-done"):
            self.weights[server] = weight
        if self.mode.startswith("vanishes"):
            self.blind = True
            return "unknown"
        return "done" if self.mode in ("well", "drops") else "not-done"


@dataclass
class Instance:
    """One instance of a step."""

    number: int = 1
    state: str = "pending"
    until: float = NEVER
    outcome: str = ""
    left: bool = False
    ruled: bool = False
    choice: str = ""
    began: float = 0.0
    """When it began, by the wall clock."""
    effect: bool = False
    reread: bool = False


class Undo:
    """An undo run: one change after the other; the first that does not happen ends it."""

    def __init__(self, servers: list[str]) -> None:
        self.servers, self.until, self.outcome, self.state, self.doubt = servers, NEVER, "", "running", False

    def go(self, now: float, world: World) -> None:
        while self.state == "running" and self.until == NEVER and not self.doubt:
            if not self.servers:
                self.state = "done"
            elif world.blind:
                self.state = "failed"
            elif world.weights.get(self.servers[0], 0) == 0:
                self.servers.pop(0)
            else:
                self.outcome = world.send(self.servers[0], 0)
                self.doubt = self.outcome == "unknown"
                self.until = NEVER if self.doubt else now + CHANGE

    def ends(self, world: World) -> None:
        self.until, self.doubt = NEVER, False
        if world.weights.get(self.servers[0], 0) == 0:
            self.servers.pop(0)
        else:
            self.state = "failed"


class RunSeen:
    """One run of a runbook, as far as it is looked at."""

    def __init__(self, steps: list[dict[str, Any]], world: World, now: float) -> None:
        self.world, self.now, self.steps = world, now, steps
        self.moved = now  # when something last happened
        self.ahead = 0.0  # how far the wall clock was set; limits across a restart count by it
        self.confirm = False  # the engine restarted: a B3 change waits until a person goes on with the run
        self.state, self.stopping, self.why = "running", False, ""
        self.at = {s["id"]: Instance() for s in steps}
        self.done_effects: list[str] = []
        self.undo: Undo | None = None
        self.undone, self.undo_refused = False, False

    def settled(self, step: dict[str, Any]) -> bool:
        at = self.at[step["id"]]
        if at.state in ("unknown", "pending", "running", "waiting"):
            return False
        if at.left or at.state in ("done", "skipped"):
            return True
        return at.state != "stopped" and (step["policy"] == "continue" or self.tolerated(step))

    def fails_item(self, step: dict[str, Any]) -> bool:
        at = self.at[step["id"]]
        return step["policy"] != "continue" and at.state in ("failed", "not-done") and not at.left

    def tolerated(self, step: dict[str, Any]) -> bool:
        """It failed in an item of a loop that goes on: fewer than `stop_after` items failed up to it."""
        same = [s for s in self.steps if s["loop"] and s["loop"] == step["loop"] and s["item"] <= step["item"]]
        return len({s["item"] for s in same if self.fails_item(s)}) < step["stop_after"] if same else False

    def abandoned(self, step: dict[str, Any]) -> bool:
        """Another step of its item failed, and the loop goes on."""
        same = [s for s in self.steps if s["loop"] and (s["loop"], s["item"]) == (step["loop"], step["item"])]
        return any(self.fails_item(s) and self.tolerated(s) for s in same if s is not step)

    def standing(self) -> list[dict[str, Any]]:
        first = next((s for s in self.steps if not self.settled(s)), None)
        if first is None:
            return []
        group = [s for s in self.steps if s is first or (s["group"] and s["group"] == first["group"])]
        return [s for s in group if not self.settled(s)]

    def held(self) -> list[dict[str, Any]]:
        return [s for s in self.standing() if self.at[s["id"]].state in UNSUCCESSFUL]

    def asking(self) -> list[dict[str, Any]]:
        open_ = [s for s in self.steps if self.at[s["id"]].state == "waiting" and not self.at[s["id"]].choice]
        return open_ if self.state not in OVER else []

    def key(self, step: dict[str, Any]) -> str:
        return f"{step['id']}#{self.at[step['id']].number}"

    def shown(self) -> str:
        if self.state in OVER:
            return self.state
        if any(at.state == "unknown" for at in self.at.values()):
            return "unknown"
        if self.stopping:
            return "stopping"
        return "waiting" if self.state == "running" and self.asking() else self.state

    def unmet(self) -> list[str]:
        wrong = [s for s in self.steps if s["do"] != "wait" and self._lacks(s)]
        return [f"{s['title']} ({self.at[s['id']].state})" for s in wrong]

    def _lacks(self, step: dict[str, Any]) -> bool:
        """It counts against the run: not done, unless a condition that was read left it out."""
        at = self.at[step["id"]]
        if step["do"] == "when" and at.choice == "unknown":
            return True
        if at.state == "done" or not at.ruled:
            return at.state != "done"
        place = self.steps.index(step)
        did = [n for n, s in enumerate(self.steps[:place]) if s["do"] == "change" and self.at[s["id"]].state == "done"]
        proved = [n for n, s in enumerate(self.steps) if s["do"] == "check" and self.at[s["id"]].state == "done"]
        return step["do"] == "check" and bool(did) and not any(n > did[-1] for n in proved)

    def undo_state(self) -> str:
        if self.undone:
            return "done"
        if self.undo is not None:
            return "running"
        if self.state not in OVER or not self.done_effects:
            return "none"
        return "refused" if self.undo_refused else "possible"

    def offers(self) -> dict[str, set[str]]:
        """Each verb with the step instances it may name."""
        if self.state in OVER:
            return {"undo": set()} if self.undo_state() in ("possible", "refused") else {}
        if self.stopping:
            return {}
        found: dict[str, set[str]] = {"stop": set()}
        paused = self.state == "paused"
        if self.asking():
            found["decide"] = {self.key(s) for s in self.asking()}
        if not paused:
            found["pause"] = set()
        elif self.held():
            found["retry"] = {self.key(s) for s in self.held()}
        else:
            found["resume"] = {self.key(s) for s in self.standing()}
        can = [s for s in self.standing() if self._skippable(s)] if paused else self.asking()
        if can:
            found["skip"] = {self.key(s) for s in can}
        return found

    def _skippable(self, step: dict[str, Any]) -> bool:
        under_way = step["do"] == "change" and self.at[step["id"]].state in ("running", "unknown")
        return not under_way

    def last_line(self) -> str:
        if self.state == "done":
            ruled = sum(at.ruled for at in self.at.values())
            well = "every step is done and verified" + (f"; {ruled} left out, as conditions say" if ruled else "")
            return f"not verified: {', '.join(self.unmet())}" if self.unmet() else well
        return self.why

    def told(self) -> dict[str, Any]:
        """Everything that people can see of it."""
        return {
            "steps": [f"{self.key(s)} {self.at[s['id']].state}" for s in self.steps],
            "state": self.shown(),
            "offers": self.offers(),
            "exit": self.exit_code(),
            "undo": self.undo_state(),
        }

    def same_facts(self, key: str, weights: dict[str, int]) -> bool:
        """Whether what a card for a retry showed is still so: the weights, when it is a change."""
        step = next(s for s in self.steps if key.startswith(f"{s['id']}#"))
        return step["do"] != "change" or self.world.weights == weights

    def exit_code(self) -> int | None:
        shown = self.shown()
        codes = {"done": 3 if self.unmet() else 0, "failed": 1, "stopped": 1, "paused": 7, "waiting": 7}
        return codes.get(shown)
