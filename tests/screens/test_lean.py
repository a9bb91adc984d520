"""What a console leaves out of its imports is not loaded, is not missed, and is there for others afterwards."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

from console.tui.terminal.lean import LEFT_OUT, Placeholder

ROOT = Path(__file__).parents[2]


def printed(code: str) -> str:
    """What a fresh Python prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_palette_of_textual_and_tls_are_not_loaded() -> None:
    code = (
        "import sys\nfrom console.tui.terminal.lean import lean\n"
        "with lean():\n    import console.tui.app\n"
        "print([name in sys.modules for name in ('textual.command', 'textual.widgets._input', 'platformdirs', 'ssl')])"
    )
    assert printed(code) == "[False, False, False, False]"


def test_afterwards_they_are_the_real_ones() -> None:
    code = (
        "from console.tui.terminal.lean import lean\n"
        "with lean():\n    import console.tui.app\n"
        "import ssl, platformdirs, textual.command\nfrom textual.widgets import Input\n"
        "print(textual.command.CommandPalette.is_open.__name__, ssl.CERT_NONE, platformdirs.user_downloads_path().name)"
    )
    assert printed(code) == "is_open 0 Downloads"


def test_what_is_loaded_already_stays() -> None:
    code = (
        "import ssl, textual.command\nfrom console.tui.terminal.lean import lean\n"
        "with lean():\n    import ssl as inside, textual.command as command\n"
        "print(inside is ssl, command is textual.command, hasattr(command, 'Matcher'))"
    )
    assert printed(code) == "True True True"


def test_asyncio_speaks_over_a_unix_socket_without_tls() -> None:
    code = """
from console.tui.terminal.lean import lean
with lean():
    import asyncio
import tempfile
async def answer(reader, writer):
    writer.write(await reader.readline()); await writer.drain(); writer.close()
async def main():
    with tempfile.TemporaryDirectory() as folder:
        async with await asyncio.start_unix_server(answer, folder + "/s"):
            reader, writer = await asyncio.open_unix_connection(folder + "/s")
            writer.write(b"hello\\n"); print((await reader.readline()).decode()); writer.close()
asyncio.run(main())
"""
    assert printed(code) == "hello"


def test_a_name_nobody_left_out_comes_from_the_real_module() -> None:
    assert Placeholder("json", ()).dumps([1]) == "[1]"


def test_this_textual_takes_these_names() -> None:
    for module, names in LEFT_OUT.items():
        for name in names:
            assert hasattr(import_module(module), name), f"{module}.{name}"
