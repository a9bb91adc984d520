"""The first lines of a database cluster: who leads, what a failover loses, who may lead, what happens by itself and the
key that leads out. The words are those of `recovery db show`."""

from __future__ import annotations

from collections.abc import Collection

from rich.text import Text
from textual.geometry import Size

from console.cluster_text import (
    LEADER,
    by_itself,
    causes_of,
    guarantee_message,
    loss,
    loss_reason,
    may_lead_shortly,
    ranking,
    restore_words,
    sentence,
    withheld,
)
from console.tui.glyphs import FAIL, KEY, MUTED, OK, UNKNOWN, WARN, Glyphs
from console.tui.parts.ages import age_words, judged_mark
from console.tui.store import Store
from console.tui.text import cell, joined, state_text
from state.api.views.causes import Cause
from state.api.views.header import DataRisk, HeaderView
from state.api.views.replication import CandidateRow, ClusterRow, RestoreBrief
from state.health import Health

TALL = 32
"""Rows of the terminal from which nothing is said in short."""
INDENT = "    "
LEAD_SIGNS = {True: "pass", False: "fail", None: "unknown"}


def cluster_lines(
    row: ClusterRow, nodes: Collection[str], store: Store, glyphs: Glyphs, size: Size, *, ranked: bool
) -> list[Text]:
    """The lines of one cluster; `ranked` with the nodes that may lead, where no table beside them says so."""
    age, (width, height) = store.oldest(row.risk.sources), size
    if age.lost:
        mark = judged_mark(row.health, glyphs, age)
        return [joined("  ", mark, (f" {row.name} ", "bold"), (age_words(age, store.wall), UNKNOWN))]
    header = store.view(HeaderView)
    causes = header.causes if header is not None else ()
    mine = causes_of(row.name, causes)
    tall = height >= TALL or not mine or mine[0] is not causes[0]  # else the sentence on top says as much
    lines = [joined((f" {row.split_brain} ", "bold red reverse"))] if row.split_brain and tall else []
    lines.append(_head(row, nodes, store, glyphs))
    lines += [_other_cause(cause, store, glyphs) for cause in mine[:1] if cause is not causes[0]]
    risk = _risk(withheld(row.risk) if age.withheld else row.risk, glyphs)
    kept = joined((INDENT, MUTED), guarantee_message(row))
    if risk.cell_len + kept.cell_len <= width:
        lines.append(joined(risk, kept))
    else:
        lines += [risk, kept]
    if row.restore is not None and height >= TALL:
        lines.append(joined((f"{INDENT}can be restored to ", MUTED), restore_text(row.restore, store, glyphs)))
    if ranked and row.candidates:
        lines.append(_ranking(row, glyphs))
    if mine and row.health is not Health.PASS:
        lines.append(_meanwhile(mine[0], store))
    return lines


def _head(row: ClusterRow, nodes: Collection[str], store: Store, glyphs: Glyphs) -> Text:
    age = store.oldest(row.risk.sources)
    leads = f"{row.name}/{row.leader}" in nodes
    leader = "" if leads else FAIL if row.leader else UNKNOWN
    return joined(
        "  ",
        judged_mark(row.health, glyphs, age),
        (f" {row.name}", "bold"),
        (" leader ", MUTED),
        (row.leader or "? unknown", leader),
        (f"  {row.votes}", MUTED),
        (f"  TL {row.timeline}" if row.timeline else "", MUTED),
        ("  PAUSED: no automatic failover" if row.paused else "", WARN),
        (f"  {row.scheduled}" if row.scheduled else "", WARN),
        cell("") if age.fresh else joined((f" {age_words(age, store.wall)}", UNKNOWN)),
    )


def _other_cause(cause: Cause, store: Store, glyphs: Glyphs) -> Text:
    """What is wrong here, where the sentence on top is about something else."""
    sign = state_text(cause.health.value, glyphs, word=False)
    return joined(INDENT, sign, f" {sentence(cause, store.beaten)}")


def _risk(risk: DataRisk, glyphs: Glyphs) -> Text:
    style = {Health.FAIL: FAIL, Health.UNKNOWN: UNKNOWN}.get(risk.health, "")
    sign = state_text(risk.health.value, glyphs, word=False)
    reason = (f" {loss_reason(risk)}", MUTED)
    return joined((f"{INDENT}a failover loses ", MUTED), (loss(risk), style), " ", sign, reason)


def restore_text(brief: RestoreBrief, store: Store, glyphs: Glyphs) -> Text:
    """The window and the age of its last proof, each with its verdict: a proof that is not known is red."""
    age = store.oldest((brief.source,))
    window, proof = restore_words(brief, store.beaten)
    told = joined(
        judged_mark(brief.health, glyphs, age), f" {window}  ", state_text(brief.proof.value, glyphs, word=False)
    )
    return joined(told, (f" {proof}", FAIL if brief.proof is Health.FAIL else ""))


def _ranking(row: ClusterRow, glyphs: Glyphs) -> Text:
    parts: list[Text] = [joined((f"{INDENT}may lead ", MUTED))]
    between = " | " if glyphs.ascii_only else " · "
    for place, (each, _) in enumerate(ranking(row)):
        said = lead_text(each, may_lead_shortly(each, row.leader), glyphs)
        parts.append(joined((between if place else "", MUTED), (f"{each.node} ", "bold"), said))
    return joined(*parts)


def lead_text(each: CandidateRow | None, said: str, glyphs: Glyphs) -> Text:
    """Whether a node may lead, with its sign."""
    if each is None or said == LEADER:
        return joined((said, MUTED))
    style = {True: OK, False: "", None: UNKNOWN}[each.may_lead]
    return joined(state_text(LEAD_SIGNS[each.may_lead], glyphs, word=False), (f" {said}", style))


def _meanwhile(cause: Cause, store: Store) -> Text:
    step = cause.next
    told = joined((f"{INDENT}by itself ", MUTED), by_itself(cause, store.beaten))
    return told if step is None else joined(told, ("  next ", MUTED), (step.key, KEY), (" on 1 ", MUTED), step.title)
