"""No secret of the estate is seen in what comes from outside: not whole, not in part, not as others write it."""

from __future__ import annotations

import base64
import json
import re
import time
from urllib.parse import quote, quote_plus

import pytest

from adapters.commands.output import FIRST, KeptOutput
from adapters.concealed import Concealed
from adapters.secrets import Secret

LONG = 'Tr0ub4dor&3/"ü+\\cor rect%horse'
SHORT = "s3cr/t"


def hidden(text: str, *secrets: str) -> str:
    return Concealed(map(Secret, secrets)).hide(text)


def test_of_secrets_that_begin_or_overlap_each_other_nothing_is_left() -> None:
    one, other = "tok-live", "tok-live-prod-TAILTAIL"
    for order in ((one, other), (other, one)):
        assert hidden(f"a {other} b {one} c", *order) == "a *** b *** c"
    assert hidden("xABCDEFGHIJKLy", "ABCDEFGH", "EFGHIJKL") == "x***y"
    assert hidden("xabcdey", "abc", "cde") == "x***y"


@pytest.mark.parametrize("scheme", ["Bearer", "Token", "GenieKey"])
def test_the_token_of_a_header_is_hidden_alone(scheme: str) -> None:
    assert hidden("401 for:9f8e7d6c5b4a39", f"{scheme} 9f8e7d6c5b4a39") == "401 for:***"
    assert hidden("401 for:t0k", f"{scheme} t0k") == "401 for:***"


def test_the_password_of_a_basic_header_and_of_an_address_is_hidden_alone() -> None:
    basic = "Basic " + base64.b64encode(b"deploy:hunter2-hunter2").decode()
    assert hidden("login hunter2-hunter2 failed", basic) == "login *** failed"
    assert hidden("user deploy:hunter2-hunter2", basic) == "user ***"
    assert hidden("password p/w is wrong", "postgres://app:p%2Fw@db1/orders") == "password *** is wrong"


def test_a_secret_whose_own_part_is_short_is_hidden_whole() -> None:
    assert "://ab" not in hidden("at mydb://ab now", "mydb://ab")


def test_the_public_beginning_of_a_secret_is_no_secret() -> None:
    for text in ("see https://example.org/", "Bearer is missing", "Basic authentication"):
        secrets = ("https://hooks.test/services/T0/B1/zzzzzzzz", "Bearer 9f8e7d6c5b4a39", "Basic 9f8e7d6c5b4a39")
        assert hidden(text, *secrets) == text


@pytest.mark.parametrize("secret", [LONG, SHORT])
@pytest.mark.parametrize(
    "written",
    [
        lambda s: s,
        lambda s: quote(s, safe=""),
        lambda s: re.sub("%..", lambda escape: escape[0].lower(), quote(s, safe="")),
        quote_plus,
        lambda s: "".join(f"%{byte:02x}" for byte in s.encode()),
        lambda s: json.dumps(s)[1:-1],
        lambda s: json.dumps(s, ensure_ascii=False)[1:-1],
        lambda s: s.replace("/", "\\/"),
        lambda s: s.encode().hex(),
        lambda s: s.encode().hex().upper(),
        lambda s: base64.b64encode(s.encode()).decode(),
        lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
        lambda s: "\n".join(s[at : at + 4] for at in range(0, len(s), 4)),
        lambda s: "\r\n    ".join(s[at : at + 3] for at in range(0, len(s), 3)),
    ],
)
def test_however_others_write_it(secret: str, written: object) -> None:
    shape = written(secret)  # type: ignore[operator]
    assert hidden(f"key: {shape}, end", secret) == "key: ***, end"


@pytest.mark.parametrize("secret", [LONG, "hunter2-hunter2"])
@pytest.mark.parametrize("before", ["", "u", "us", "use", "user:"])
def test_base64_of_a_longer_text_tells_nothing_of_it(secret: str, before: str) -> None:
    whole = base64.b64encode(f"{before}{secret}:after".encode()).decode()
    shown = hidden(f"Basic {whole}", secret)
    assert "***" in shown
    for at in range(0, len(shown) - 3):
        piece = shown[at : at + 4]
        if "*" not in piece and piece in whole and whole.index(piece) % 4 == 0:
            told = base64.b64decode(piece)
            assert told in before.encode() + b":after" or told in b"Basic", "only what stands around it is left"


@pytest.mark.parametrize("size", range(8, 16))
def test_no_eight_characters_of_it_are_shown(size: int) -> None:
    secret = "0123456789abcdefghijklmnop"
    for at in range(len(secret) - size):
        assert hidden(f"<{secret[at : at + size]}>", secret) == "<***>"
    assert hidden("<0123456>", secret) == "<0123456>"


def test_a_secret_that_comes_in_pieces_is_never_shown_on_the_way() -> None:
    output = KeptOutput(Concealed([Secret("tr0ub4dor&3-tail")]))
    shown = []
    for byte in b"password=tr0ub4dor&3-tail;":
        output.add(bytes([byte]))
        shown.append("".join(output.lines()))
    assert not [each for each in shown if "tr0u" in each]
    assert shown[-1] == "password=***;"


def test_what_is_cut_within_a_secret_of_several_lines_shows_no_part_of_it() -> None:
    secret = "x9" * 40
    folded = "\n".join(secret[at : at + 16] for at in range(0, len(secret), 16))
    output = KeptOutput(Concealed([Secret(secret)]))
    output.add(b"-" * (FIRST - 40) + b"\n" + folded.encode() + b"\n")
    output.add(b"y" * 200_000 + b"\nend\n")
    assert "x9x9" not in "".join(output.lines())


def test_text_without_a_secret_is_the_same_text() -> None:
    for text in ("", "100 % of it\\u0041\n  and more\r\n", "ü\ufffd"):
        assert hidden(text, LONG, SHORT) == text


def test_much_text_and_many_secrets_are_one_search() -> None:
    """Each look at a run's output hides anew: what it costs must not grow with the number of secrets."""
    text = "line of output with 50 % and \\ in it\n" * 900
    few, many = (Concealed(Secret(f"secret-number-{n:08d}") for n in range(count)) for count in (1, 400))
    spent = []
    for concealed in (few, many):
        began = time.process_time()
        for _ in range(3):
            concealed.hide(text)
        spent.append(time.process_time() - began)
    assert spent[1] < 20 * spent[0], "as a ratio: 400 times as many secrets"
