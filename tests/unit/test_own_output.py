"""What a command says is bounded, cleaned and without secrets; what it leaves is ended and said."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from adapters.commands.output import FIRST, LAST, KeptOutput
from adapters.commands.process import MARK, Ended, marked, run_process
from adapters.concealed import Concealed
from adapters.secrets import Secret
from tests.support.own_estate import PYTHON

SECRET = Secret("tr0ub4dor&3")


def kept(*secrets: Secret) -> KeptOutput:
    return KeptOutput(Concealed(secrets))


async def run(folder: Path, code: str, output: KeptOutput, deadline: float = 60.0) -> Ended:
    return await run_process([PYTHON, "-c", code], {"PATH": os.environ["PATH"]}, folder, output, deadline=deadline)


def test_lines_are_cleaned_and_a_last_one_without_an_end_counts() -> None:
    output = kept()
    output.add("one\r\ntwo \x1b[2J\u202ethree\nfour".encode())
    assert output.lines() == ("one", r"two \x1b[2J\u202ethree", "four")


def test_of_a_line_that_is_written_over_the_last_part_is_kept() -> None:
    output = kept()
    output.add(b"begin\n" + b"".join(b"\rdone %d%%" % n for n in range(101)) + b"\r\nend\r\n")
    assert output.lines() == ("begin", "done 100%", "end")
    assert not output.whole, "it cannot be compared with another output"
    for number in range(20_000):
        output.add(b"\rdone %d of 20000" % (number + 1))
    lines = output.lines()
    assert lines[:3] == ("begin", "done 100%", "end")
    assert lines[-1] == "done 20000 of 20000"


@pytest.mark.parametrize("shape", ["tr0ub4dor&3", "tr0ub4dor%263", "dHIwdWI0ZG9yJjM="])
def test_a_secret_is_hidden_in_every_shape(shape: str) -> None:
    output = kept(SECRET)
    output.add(f"password={shape};\n".encode())
    assert output.lines() == ("password=***;",)


@pytest.mark.parametrize("before", [FIRST - 5, FIRST + LAST - 5, FIRST + 2 * LAST - 5, 5 * LAST])
def test_no_part_of_a_secret_is_shown_where_output_is_cut(before: int) -> None:
    output = kept(SECRET)
    output.add(b"x" * before + SECRET.reveal().encode() + b"\n")
    for _ in range(200):
        output.add(b"y" * 900 + SECRET.reveal().encode() + b"\n")
    shown = "".join(output.lines())
    assert "tr0ub4" not in shown
    assert "dor&3" not in shown


def test_much_output_keeps_its_beginning_and_its_end() -> None:
    output = kept()
    for number in range(200_000):
        output.add(f"line {number}\n".encode())
    lines = output.lines()
    assert lines[:2] == ("line 0", "line 1")
    assert lines[-1] == "line 199999"
    assert any("left out" in line for line in lines)
    assert len(lines) < 100
    few = kept()
    few.add(b"".join(b"line %d\n" % number for number in range(100)))
    assert "… 20 lines left out" in few.lines()


async def test_a_hundred_megabytes_are_read_to_the_end_and_little_is_kept(tmp_path: Path) -> None:
    output = kept()
    code = "import sys\nfor _ in range(100): sys.stdout.write('x' * 999_999 + '\\n')\nprint('the end')"
    assert await run(tmp_path, code, output, 300) == Ended(0)
    assert output.size == 100 * 1_000_000 + 8
    assert output.lines()[-1] == "the end"
    assert sum(map(len, output.lines())) < 64_000


async def test_stderr_is_kept_apart_where_it_is_asked_for(tmp_path: Path) -> None:
    output, errors = kept(), kept()
    code = "import sys; print('x' * 300_000); print('told', file=sys.stderr); print('y')"
    run_apart = run_process([PYTHON, "-c", code], {}, tmp_path, output, deadline=60, errors=errors)
    assert await run_apart == Ended(0)
    assert (output.lines()[-1], errors.lines()) == ("y", ("told",))
    assert (output.whole, errors.whole) == (False, True)


async def test_what_holds_the_output_open_is_not_waited_for_and_is_said(tmp_path: Path) -> None:
    output = kept()
    code = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid)"
    assert (await run(tmp_path, code, output)).code == 0
    pid = int(output.lines()[0])
    os.kill(pid, signal.SIGKILL)  # it was left alone: what a command starts may be what it is for
    assert "still runs and holds its output" in output.lines()[-1]


async def test_at_its_limit_everything_is_killed_also_what_left_its_session(tmp_path: Path) -> None:
    output = kept()
    sleeper = "[sys.executable, '-c', 'import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)']"
    code = (
        f"import subprocess, sys, time\na = subprocess.Popen({sleeper}).pid\n"
        f"b = subprocess.Popen({sleeper}, start_new_session=True).pid\nprint(a, b, flush=True)\ntime.sleep(600)"
    )
    assert (await run(tmp_path, code, output, 8)).code is None
    for pid in map(int, output.lines()[0].split()):
        assert not Path("/proc", str(pid)).exists() or b"Z" in Path("/proc", str(pid), "stat").read_bytes()
    assert "did not end in time" in output.lines()[-1]


async def test_a_full_pipe_without_a_reader_inside_ends_at_its_limit(tmp_path: Path) -> None:
    code = "import os\nr, w = os.pipe()\nwhile True: os.write(w, b'x' * 65536)"
    assert (await run(tmp_path, code, kept(), 2)).code is None


async def test_asked_to_end_it_may_end_in_order(tmp_path: Path) -> None:
    output = kept()
    code = (
        "import signal, sys, time\nsignal.signal(15, lambda *_: (print('bye', flush=True), sys.exit(0)))\n"
        "print('begun', flush=True)\ntime.sleep(600)"
    )
    assert await run(tmp_path, code, output, 8) == Ended(None)
    assert output.lines() == ("begun", "bye", "was asked to end at its limit")


async def test_cancelled_it_leaves_nothing(tmp_path: Path) -> None:
    output = kept()
    task = asyncio.create_task(
        run(tmp_path, "import os, time; print(os.getpid(), flush=True); time.sleep(600)", output)
    )
    async with asyncio.timeout(60):
        while not output.lines():
            await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not Path("/proc", output.lines()[0]).exists()


async def test_its_environment_is_what_it_was_given(tmp_path: Path) -> None:
    output = kept()
    await run(tmp_path, "import os; print(*sorted(set(os.environ) - {'LC_CTYPE'}))", output)
    assert output.lines() == ("PATH RECOVERY_CALL",)


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    starter = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom adapters.concealed import Concealed\n"
        "from adapters.commands.output import KeptOutput\n"
        "from adapters.commands.process import MARK, run_process\n"
        'code = \'import os, time; open("pid", "w").write(str(os.getpid())); time.sleep(600)\'\n'
        "argv = [sys.executable, '-c', code]\n"
        f"asyncio.run(run_process(argv, {{}}, Path({str(tmp_path)!r}), KeptOutput(Concealed(())), deadline=600))"
    )
    process = subprocess.Popen([sys.executable, "-c", starter])
    pid, end = tmp_path / "pid", time.monotonic() + 60
    while not (pid.exists() and pid.read_text()):
        assert time.monotonic() < end
        time.sleep(0.05)
    process.kill()
    process.wait()
    while Path("/proc", pid.read_text()).exists():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_nothing_carries_a_mark_that_was_never_given() -> None:
    assert marked(MARK, "0" * 16) == []
