"""What is sent over ssh is read alike by every shell that an account may have."""

from __future__ import annotations

import random
import shlex
import subprocess
from pathlib import Path

import pytest

from state.shell_words import for_a_forced_command, for_any_shell

SHELLS = ("sh", "bash", "dash", "zsh", "fish", "tcsh")
HOSTILE = (
    "\\'\"; touch INJECTED; #",  # fish ends the quotes at the second sign
    "a\ntouch INJECTED\nb",  # csh begins a new command
    "a!b !! !$ ^a^b",  # csh's history
    "; touch INJECTED",
    "$(touch INJECTED) `touch INJECTED` $HOME ${HOME}",
    "(touch INJECTED)",  # fish
    "=ls %self {a,b} ~ * [a] ? <(touch INJECTED) a & b | c > d",
    "' '' \" \\ \\\\ \\n \\0101 \\c %s %",
    "--help",
    "",
    " x\t\r\x07\x1b[1m\x7f ",
    "\n\n",
    "grün ☃ \u2018; touch INJECTED; \u2019 \udcff",
)


def said(shell: str, text: str, folder: Path) -> tuple[int, bytes]:
    done = subprocess.run([shell, "-c", text], cwd=folder, capture_output=True, check=False, timeout=120)
    return done.returncode, done.stdout


def bytes_of(words: list[str]) -> bytes:
    return "".join(f"[{each}]" for each in words).encode(errors="surrogateescape")


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_starts_the_very_words(shell: str, tmp_path: Path) -> None:
    signs = "\\'\"!\n;$`(){}[]*?~=%^&|<>#@-, abc0ü\r\t"
    rng = random.Random(5)
    words = [*HOSTILE, *("".join(rng.choices(signs, k=12)) for _ in range(60)), "x" * 20_000]
    assert said(shell, for_any_shell(["printf", "[%s]", *words]), tmp_path) == (0, bytes_of(words))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shell", SHELLS)
def test_words_for_a_forced_command_are_read_alike_or_refused(shell: str, tmp_path: Path) -> None:
    sent = 0
    for word in HOSTILE:
        try:
            text = for_a_forced_command(["printf", "[%s]", word])
        except ValueError:
            continue
        assert said(shell, text, tmp_path) == (0, bytes_of([word]))
        assert shlex.split(text) == ["printf", "[%s]", word], "a forced command takes it apart"
        sent += 1
    assert sent == 6
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shell", SHELLS)
def test_plain_words_are_sent_as_they_are(shell: str, tmp_path: Path) -> None:
    words = ["printf", "%s", "-x", "/a/b.c", "a:1@b+c-d"]
    assert said(shell, for_any_shell(words), tmp_path) == (0, b"-x/a/b.ca:1@b+c-d")
    assert for_any_shell(["recovery", "bridge", "--observe"]) == "recovery bridge --observe"


def test_a_far_shell_that_cannot_read_it_runs_nothing(tmp_path: Path) -> None:
    """A host without `printf` gives no exit code 0."""
    text = for_any_shell(["/usr/bin/touch", "a b"]).replace("printf", "no-such-printf")
    code, _ = said("sh", text, tmp_path)
    assert code not in (0, 1)
    assert list(tmp_path.iterdir()) == []
