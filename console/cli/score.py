"""The score of a plan in words."""

from __future__ import annotations

from console.cli.shown import say, say_json, table
from state.api.card import Card, ScoreKind
from state.api.wire import named
from state.errors import ExitCode, Refused

WORDS = {
    ScoreKind.IRREVERSIBLE: "no change undoes this step",
    ScoreKind.LOSS_UNKNOWN: "nobody can say how much data it may lose",
    ScoreKind.LOSS_ABOVE: "it may lose more data than the RPO allows",
    ScoreKind.LOSS_WITHIN: "it may lose data, within the RPO",
    ScoreKind.TEAMS: "several people own what it touches",
    ScoreKind.TIER: "it touches what is recovered first, or what that needs",
    ScoreKind.UNDRILLED: "this was never done here",
    ScoreKind.NEW_RUNBOOK: "this text of the runbook never ran to its end",
}


def told(card: Card, change: str, *, as_json: bool) -> int:
    """Print the points of a card. Raises Refused above the estate's limit without a change id."""
    total, limit = sum(each.points for each in card.score), card.score_limit
    if as_json:
        points = [{**dict(named(each)), "why": WORDS[each.kind]} for each in card.score]  # type: ignore[arg-type]
        say_json({"title": card.title, "score": total, "limit": limit, "change": change, "points": points})
    else:
        rows = [[str(each.points), WORDS[each.kind], each.subject] for each in card.score]
        for line in table(("POINTS", "WHY", "WHAT"), rows, right=("POINTS",)) if rows else ():
            say(line)
        most = "" if limit is None else f", a change id and an approval are needed above {limit}"
        say(f"{card.title}: {total} points{most}")
    if limit is not None and total > limit and not change:
        raise Refused("change-id", f"{total} points are above {limit}", "Give the id of its change: --change ID")
    return ExitCode.DONE
