"""Text from outside: nothing that acts on a terminal survives, and everything can be had back."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from state.text import cells, clean, cut_middle, decode, is_clean

ANY_TEXT = st.text(st.characters(codec=None, categories=None), max_size=60)


@pytest.mark.parametrize(
    ("outside", "shown"),
    [
        ("plain name-01", "plain name-01"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("\x9b31m", r"\x9b31m"),
        ("one\ntwo\tthree\r", r"one\ntwo\tthree\r"),
        ("nul\x00 del\x7f", r"nul\x00 del\x7f"),
        ("pay\u202egnp.exe", r"pay\u202egnp.exe"),
        ("\u2066x\u2069\u061c\u200f", r"\u2066x\u2069\u061c\u200f"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("line\u2028par\u2029", r"line\u2028par\u2029"),
        ("half \ud800", r"half \ud800"),
        ("heart \u2764\ufe0f", "heart \u2764\\ufe0f"),
        ("private \ue000 \U000f0000", r"private \ue000 \U000f0000"),
        ("tag \U000e0041", r"tag \U000e0041"),
        (r"C:\new", r"C:\\new"),
        ("soft\xadhyphen", r"soft\xadhyphen"),
        ("Zürich 東京 é", "Zürich 東京 é"),
        ("[red]markup[/]", "[red]markup[/]"),
    ],
)
def test_what_is_shown(outside: str, shown: str) -> None:
    assert clean(outside) == shown
    assert decode(shown) == outside
    assert is_clean(shown)


def test_every_sign_that_is_shown_as_it_is_has_the_width_it_is_drawn_with() -> None:
    signs = filter(is_clean, map(chr, range(0x110000)))
    assert [hex(ord(sign)) for sign in signs if cells(sign) != cell_len(sign)] == []


def test_a_flood_of_combining_marks_is_cut_to_two() -> None:
    zalgo = "e" + "\u0301" * 40
    shown = clean(zalgo)
    assert shown == "e\u0301\u0301" + r"\u0301" * 38
    assert decode(shown) == zalgo
    assert not is_clean(zalgo)


def test_a_mark_without_a_base_does_not_alter_its_neighbour() -> None:
    assert clean("\u0301x") == r"\u0301x"


@given(ANY_TEXT)
@example("\\x1b")
@example("\\\\n\n")
@example("\ud83d\ude00")
def test_every_text_comes_back_and_nothing_dangerous_remains(outside: str) -> None:
    shown = clean(outside, limit=10**6)
    assert decode(shown) == outside
    assert is_clean(shown)
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert not [char for char in shown if unicodedata.category(char) in hidden]


@given(ANY_TEXT, st.integers(0, 30))
def test_a_long_text_says_how_much_is_missing(outside: str, limit: int) -> None:
    shown = clean(outside, limit)
    whole = clean(outside, limit=10**6)
    if len(whole) <= limit:
        assert shown == whole
        return
    kept, _, marker = shown.rpartition("…(+")
    assert len(kept) <= limit
    assert len(decode(kept)) + int(marker.rstrip(")")) == len(outside)
    assert outside.startswith(decode(kept))


def test_a_huge_text_costs_no_more_than_its_limit() -> None:
    assert clean("\x1b" * 10_000_000, limit=9) == r"\x1b\x1b" + "…(+9999998)"


@pytest.mark.parametrize("broken", ["\\", r"\q", r"\x1", r"\uD800", r"\U00110000"])
def test_an_escape_nobody_wrote_is_refused(broken: str) -> None:
    with pytest.raises(ValueError, match="escape"):
        decode(broken)


@pytest.mark.parametrize(
    ("text", "width", "cut"),
    [
        ("postgres-main-01", 16, "postgres-main-01"),
        ("postgres-main-01", 9, "post…n-01"),
        ("postgres-main-01", 1, "…"),
        ("postgres-main-01", 0, ""),
        ("東京東京東京", 7, "東京…京"),
        ("東京東京東京", 6, "東…京"),
        ("東京東京東京", 8, "東京…京"),
    ],
)
def test_names_are_cut_in_the_middle(text: str, width: int, cut: str) -> None:
    assert cut_middle(text, width) == cut


@given(ANY_TEXT, st.integers(0, 20))
def test_a_cut_text_always_fits(outside: str, width: int) -> None:
    assert cells(cut_middle(clean(outside), width)) <= width
