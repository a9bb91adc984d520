"""What a host says instead of an answer is told with it, and with what a person does."""

from __future__ import annotations

import pytest

from adapters.access.host_rows import host_answer
from state.errors import ReadFailure


@pytest.mark.parametrize("said", [b"Welcome to web1!\n{}", b"\x1b[31mWelcome to web1!\n", b"  Welcome to web1!"])
def test_a_login_that_prints_is_told_with_what_it_printed(said: bytes) -> None:
    with pytest.raises(ReadFailure) as error:
        host_answer("web1", said)
    assert "Welcome to web1!" in error.value.message
    assert "\x1b" not in error.value.message
    assert "print nothing at a login (.bashrc, sshrc)" in error.value.message


def test_a_host_that_says_nothing_is_told_to_be_prepared() -> None:
    with pytest.raises(ReadFailure, match=r"JSON: nothing; .* recovery host prepare web1"):
        host_answer("web1", b"")
