"""What a terminal answers is not typed: answers to questions of another program, keys in a mode nobody asked for."""

from __future__ import annotations

import pytest
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS

from console.tui.terminal.replies import PATIENCE, REST, Replies
from tests.terminal.ptys import tiny

ANSWERS = {
    "device attributes": "\x1b[?61;6;7;14;21;22;23;24;28;32;42c",
    "more device attributes": "\x1b[>0;10;1c",
    "a unit id": "\x1bP!|00000000\x1b\\",
    "name and version": "\x1bP>|xterm(370)\x1b\\",
    "a colour": "\x1b]11;rgb:1111/2222/3333\x1b\\",
    "a colour that ends with a bell": "\x1b]11;rgb:1111/2222/3333\x07",
    "the clipboard": "\x1b]52;c;cXg=\x07",
    "an image": "\x1b_Gi=31;OK\x1b\\",
    "a mode of keys": "\x1b[?1u",
    "a key released": "\x1b[113;1:3u",
    "a key of the Windows console": "\x1b[87;17;119;1;0;1_",
    "the size of the window": "\x1b[8;24;80t",
    "the theme": "\x1b[?997;1n",
    "ready": "\x1b[0n",
}
UNDERSTOOD = (
    *(keys for keys in ANSI_SEQUENCES_KEYS if keys.startswith("\x1b")),
    "\x1b[?2026;2$y", "\x1b[24;80R", "\x1b[48;24;80;600;800t", "\x1b[I", "\x1b[O", "\x1b[<0;10;10M", "\x1b[M !!",
    "\x1b[200~9y\x1b[201~", "a", "é", "\x1b", "\x1b[", "\x1bP", "\x1bPq", "\x1b\x1b[A",
)  # fmt: skip


def typed(*parts: str) -> str:
    replies = Replies()
    out = [replies.typed(part) for part in parts]
    return "".join(out + [replies.tick() for _ in range(PATIENCE)])


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_no_keys_in_whatever_pieces_it_comes(answer: str) -> None:
    for cut in range(3, len(answer)):
        assert typed("q" + answer[:cut], answer[cut:] + "x") == "qx"


@pytest.mark.parametrize("sent", UNDERSTOOD)
def test_keys_and_what_the_parser_understands_pass(sent: str) -> None:
    assert typed(sent) == sent
    assert typed(*sent) == sent


TORN = ("OP", "[D", "[15~", "[1;5C", "[[A", "OM", "[<0;10;10M", "]11;rgb:1/2/3\x07", "P>|xterm(370)\x1b\\")


@pytest.mark.parametrize("rest", TORN)
def test_the_rest_of_a_sequence_whose_escape_has_acted_presses_nothing(rest: str) -> None:
    whole = range(len(rest)) if rest[0] in "[O]" else (0,)  # a lone P is a key as well
    for cut in whole:
        replies = Replies()
        assert replies.typed("\x1b") == "\x1b"
        replies.escaped()
        got = [replies.tick() for _ in range(4)] + [replies.typed(part) for part in (rest[:cut], rest[cut:]) if part]
        assert "".join(got) == "", cut
        assert replies.typed("q") == "q"


def test_after_an_escape_other_keys_and_late_ones_are_keys_and_a_torn_paste_is_a_paste() -> None:
    for keys in ("q", "y", "\x1b[A", "D"):
        replies = Replies()
        replies.escaped()
        assert replies.typed(keys) == keys
    replies = Replies()
    replies.escaped()
    assert [replies.tick() for _ in range(REST)] == [""] * REST
    assert replies.typed("O") == "O"
    replies.escaped()
    assert replies.typed("[200~yes") == "\x1b[200~yes"


def test_a_sequence_torn_after_its_bracket_presses_nothing() -> None:
    replies = Replies()
    assert replies.typed("\x1b[") == ""
    assert "".join(replies.tick() for _ in range(PATIENCE + 1)) == "\x1b["
    replies.escaped()
    assert replies.typed("D") == ""
    assert replies.typed("D") == "D"


def test_a_torn_key_of_a_slow_terminal_presses_nothing() -> None:
    with tiny() as term:
        term.wait("Servers")
        for rest in ("Oq", "[q", "Ox"):  # q leaves and x crashes
            term.press("\x1b")
            term.read(0.4)
            term.press(rest)
            term.read(0.3)
        assert term.process.poll() is None
        term.press("q")
        assert term.ended() == 0


def test_answers_that_spell_keys_press_none() -> None:
    with tiny() as term:
        term.wait("Servers")
        for answer in ANSWERS.values():  # with q to leave and x to crash among their letters
            term.press(answer)
            term.read(0.15)
        assert term.process.poll() is None
        term.press("q")
        assert term.ended() == 0
