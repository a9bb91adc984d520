"""Life and death of a terminal program, on real ptys: hang-ups, signals, stalls, crashes, colours, encodings."""

import os
import re
import signal
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.terminal.ptys import Terminal, tiny

READY = "Servers"
SGR = re.compile(rb"\x1b\[([0-9;]*)m")
SEQUENCE = re.compile(rb"\x1b(?:\[[?<>]?[0-9;]*\$?[A-Za-z]|\]22;[a-z]+(?:\x1b\\|\x07))")


def colours(sent: bytes) -> list[bytes]:
    """Style sequences that select a colour."""
    return [
        codes
        for codes in SGR.findall(sent)
        if any(code.isdigit() and (30 <= int(code) <= 49 or 90 <= int(code) <= 107) for code in codes.split(b";"))
    ]


@pytest.mark.parametrize("how", ["controlling", "nohup", "no signal"])
def test_a_hang_up_ends_it_at_once_and_cleanly(how: str, tmp_path: Path) -> None:
    beat = {"BEAT": str(tmp_path / "beat")}
    with tiny("--busy", env=beat, controlling=how != "no signal", ignore_hang_up=how == "nohup") as term:
        term.wait(READY)
        before = term.cpu()
        started = time.monotonic()
        term.hang_up()
        while term.process.poll() is None and time.monotonic() - started < 4:
            spent = term.cpu() - before if term.process.poll() is None else 0.0
            assert spent < 1.5, "spins"
            time.sleep(0.05)
        assert term.process.poll() == 128 + signal.SIGHUP
        assert time.monotonic() - started < 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_restores_the_terminal(number: int) -> None:
    with tiny() as term:
        term.wait(READY)
        os.kill(term.process.pid, number)
        assert term.ended() == 128 + number
        assert b"\x1b[?1049l" in term.received
        assert b"\x1b[?25h" in term.received
        assert b"\x1b[?1000h" not in term.received
        assert termios.tcgetattr(term.slave) == term.before


def test_a_stalled_reader_holds_up_nothing_and_is_brought_up_to_date(tmp_path: Path) -> None:
    beat = tmp_path / "beat"
    with tiny("--busy", env={"BEAT": str(beat)}, size=(160, 50)) as term:
        term.wait("count")
        time.sleep(4)  # nobody reads: a kilobyte every 50 ms soon fills the pty and every queue
        count, worst = beat.read_text().split()
        assert int(count) > 20
        assert float(worst) < 2, "the loop waits for its reader; for a moment also a busy machine holds it up"
        term.wait(lambda: (found := re.search(r"count (\d+) now", term.text())) and int(found[1]) > int(count))
        term.press("q")
        assert term.ended() == 0


def test_a_stalled_reader_does_not_outlive_its_sigterm(tmp_path: Path) -> None:
    with tiny("--busy", env={"BEAT": str(tmp_path / "beat")}, size=(160, 50)) as term:
        term.wait("count")
        time.sleep(3)
        os.kill(term.process.pid, signal.SIGTERM)
        end = time.monotonic() + 10
        while term.process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        assert term.process.poll() == 128 + signal.SIGTERM


def test_a_crash_shows_where_but_no_values_and_no_foreign_sequences() -> None:
    with tiny() as term:
        term.wait(READY)
        term.press("x")
        assert term.ended() == 1
        report = term.received[term.received.rindex(b"\x1b[?1049l") :]
        assert b"hunter2" not in report.replace(b'password = "hunter2-in-a-local"', b"")
        assert b"password = 'hunter2" not in report
        assert b"RuntimeError: broken \\x1b[31m by 18" in report
        assert b"\x1b[31m" not in report
        assert termios.tcgetattr(term.slave) == term.before


def test_no_color_emits_none_even_after_a_change_of_theme() -> None:
    with tiny(env={"NO_COLOR": "1"}) as term:
        term.wait(READY)
        term.press("jt")
        term.read(0.5)
        term.press("q")
        assert term.ended() == 0
        assert colours(term.received) == []
        assert b"\x1b[7m" in term.received or b"\x1b[1;7m" in term.received
        assert "FAIL" in term.text() or b"FAIL" in term.received


@pytest.mark.parametrize(
    ("env", "expected"), [({"TERM": "vt100"}, rb"\b38;"), ({"TERM": "xterm-256color"}, rb"\b38;2;")]
)
def test_no_more_colours_than_the_terminal_has(env: dict[str, str], expected: bytes) -> None:
    with tiny(env=env) as term:
        term.wait(READY)
        assert colours(term.received)
        assert not [codes for codes in colours(term.received) if re.search(expected, codes)]


@pytest.mark.parametrize("kind", ["dumb", ""])
def test_a_dumb_terminal_is_refused_with_a_way_out(kind: str) -> None:
    with tiny(env={"TERM": kind}) as term:
        assert term.ended() == 2
        assert b"recovery status" in term.received
        assert b"\x1b" not in term.received


@pytest.mark.parametrize(("env", "wish"), [({"PYTHONIOENCODING": "latin-1"}, ()), ({}, ("--ascii",))])
def test_ascii_terminals_get_ascii_only(env: dict[str, str], wish: tuple[str, ...]) -> None:
    with tiny(*wish, env=env) as term:
        term.wait(READY)
        term.press("jjjj")
        term.read(0.3)
        assert max(term.received) < 0x80
        assert "\\u2500" not in term.text()
        assert "- Servers ---" in term.text()
        assert "x FAIL" in term.text()
        lines = term.text().splitlines()
        assert any(re.search(r"\?\?\?\?\? +1 *$", line) for line in lines)  # é東京 in five cells


def test_hostile_names_reach_the_screen_as_text_only() -> None:
    with tiny() as term:
        term.wait(READY)
        term.read(0.3)
        shown = term.text()
        for visible in (
            r"\x1b[2J\x1b]0;owned\x07",
            r"\x9b31mred",
            r"\u202egnp.exe",
            r"a\nb\tc\rd",
            "[red]x[/] [/foo]",
        ):
            assert visible in shown
        rest = SEQUENCE.sub(b"", term.received).decode()
        assert all(char.isprintable() for char in rest), sorted({char for char in rest if not char.isprintable()})
        assert b"owned\x07" not in term.received


def test_a_continued_process_draws_everything_again() -> None:
    with tiny() as term:
        term.wait(READY)
        term.read(0.5)
        os.kill(term.process.pid, signal.SIGSTOP)
        time.sleep(0.1)
        os.kill(term.process.pid, signal.SIGCONT)
        again = term.read(1.5)
        assert b"Servers" in again
        assert b"gnp.exe" in again
        term.press("q")
        assert term.ended() == 0


def test_many_stops_and_continuations_freeze_nothing(tmp_path: Path) -> None:
    """Each of them may interrupt a write to the terminal."""
    with tiny("--busy", env={"BEAT": str(tmp_path / "beat")}) as term:
        term.wait("count")
        for _ in range(60):
            os.kill(term.process.pid, signal.SIGSTOP)
            os.kill(term.process.pid, signal.SIGCONT)
            term.read(0.02)
        term.read(1.0)
        os.kill(term.process.pid, signal.SIGTERM)
        assert term.ended() == 128 + signal.SIGTERM
        assert termios.tcgetattr(term.slave) == term.before


def test_a_suspended_process_comes_back() -> None:
    with tiny() as term:
        term.wait(READY)
        os.kill(term.process.pid, signal.SIGTSTP)
        term.read(0.5)
        assert term.received.endswith((b"\x1b[?1004l", b"\x1b[?25h"))
        os.kill(term.process.pid, signal.SIGCONT)
        assert b"gnp.exe" in term.read(1.5)
        os.kill(term.process.pid, signal.SIGTERM)
        assert term.ended() == 128 + signal.SIGTERM
        assert termios.tcgetattr(term.slave) == term.before


def test_input_from_a_pipe_is_refused() -> None:
    with Terminal(["sh", "-c", f"true | {sys.executable} tests/terminal/tiny_app.py"]) as term:
        assert term.ended() == 2
        assert b"not a terminal" in term.received
