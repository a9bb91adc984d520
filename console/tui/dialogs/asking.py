"""What must be typed to confirm, in order, and the line that asks for it."""

from __future__ import annotations

from rich.text import Text

from console.tui.dialogs.gate import DropReason, Gate, Wanted
from console.tui.glyphs import DANGER, MUTED, WARN
from console.tui.text import cell, joined
from state.api.card import Confirm, Confirmation
from state.text import cells
from state.units import counted

ASKS = {"nonce": "type the code", "name": "now type the name", "loss": "now type the loss"}
THEN = {"name": "then the name", "loss": "then the loss"}


def wanted_of(confirmation: Confirmation) -> tuple[Wanted, ...]:
    """What must be typed."""
    if confirmation.how is Confirm.YES:
        wanted = [Wanted("nonce", "y", fold=True)]
    else:
        wanted = [Wanted("nonce", confirmation.nonce, once=True, fold=True)]
    if confirmation.how is Confirm.NONCE_AND_NAME:
        wanted.append(Wanted("name", confirmation.name))
    if confirmation.loss:
        wanted.append(Wanted("loss", confirmation.loss))
    return tuple(wanted)


WHY = {
    DropReason.EARLY: "came before this could be read",
    DropReason.BURST: "came all at once, like a paste",
    DropReason.PASTE: "were pasted",
    DropReason.MORE: "came together with another key",
    DropReason.HIDDEN: "were typed while the question was not in sight",
    DropReason.FROZEN: "were typed while somebody who must be there was away",
    DropReason.RESIZED: "were typed before the terminal changed its size",
}
AGAIN = {"nonce": "the code", "name": "the name", "loss": "the loss"}


def dropped_lines(gate: Gate) -> list[Text]:
    """`4 keys came all at once, like a paste: dropped, nothing was sent. Type the code again, key by key.`"""
    dropped, wanted = gate.dropped, gate.current
    if dropped is None or not dropped.keys or wanted is None:
        return []
    why = WHY[dropped.reason]
    why = why.replace("were ", "was ", 1) if dropped.keys == 1 else why
    again = "the letter" if len(wanted.text) == 1 else AGAIN[wanted.name]
    return [
        cell(f"{counted(dropped.keys, 'key')} {why}: dropped, nothing was sent.", WARN),
        cell(f"Type {again} again, key by key.", WARN),
    ]


def asking(confirmation: Confirmation, gate: Gate) -> Text:
    """What to type now, what has been typed, and what follows."""
    wanted = gate.current
    if wanted is None:
        return joined(("confirmed", WARN))
    asked = f"{DANGER} reverse"
    if confirmation.how is Confirm.YES and wanted.name == "nonce":
        first = joined("type ", (wanted.text, asked), " to do it, Enter or esc to cancel")
    else:
        gap = " " * max(1, cells(wanted.text) - cells(gate.typed))
        typed = (f"{gate.typed}{gap}", "bold underline")
        first = joined(ASKS[wanted.name], (f" {wanted.text} ", asked), "to do it: ", typed)
    everything = wanted_of(confirmation)
    later = [THEN[each.name] for each in everything[everything.index(wanted) + 1 :]]
    return joined(first, "  ", (", ".join(later), MUTED)) if later else first
