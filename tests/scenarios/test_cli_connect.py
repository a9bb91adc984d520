"""`recovery check --connect` and what `engine start` says of it: table, JSON and exit codes, on real sockets."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.cli.ending import run_to_code
from console.cli.verbs import recovery
from console.engine.connecting import before_start
from state.health import Health
from tests.contract.components import serving

ESTATE = """
estate: small-connect
environment: lab
sites: {{east: {{}}}}
services:
  shop: {{tier: 1, rto: 5m, rpo: 1MB, traffic: {{balancers: [edge], backend: {backend}}}}}
balancers:
  edge: {{kind: memory, site: east, backends: {{shop: {{blue: 100, green: 0}}}}}}
{more}
runbooks: []
"""


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rc-", dir="/tmp") as folder:
        yield Path(folder)


def written(place: Path, *, backend: str = "shop", more: str = "") -> Path:
    file = place / "recovery.yaml"
    file.write_text(ESTATE.format(backend=backend, more=more))
    return file


def check(*words: str | Path) -> int:
    return run_to_code(recovery, ["check", *map(str, words)])


def test_everything_passes_by_target(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(written(place), "--connect") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "balancers/edge"
    assert "  PASS     name        backend shop is there (service shop)" in out
    assert out[-1] == "3 pass"


def test_a_failing_answer_has_its_next_step_in_one_line_and_gives_1(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(place, backend="shpo", more="  gone: {kind: haproxy, site: east, socket: /tmp/no-such.sock}")
    assert check(file, "--connect") == 1
    out = capsys.readouterr().out
    assert "FAIL     name        no backend shpo, which service shop names; did you mean 'shop'? Next: correct" in out
    assert "FAIL     reached" in out.split("balancers/gone")[1]
    assert check(file, "--connect", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["counts"]["fail"] == 2
    (gone,) = [row for row in told["answers"] if row["target"] == "balancers/gone"]
    assert (gone["asked"], gone["health"], bool(gone["next"])) == ("reached", "fail", True)


async def test_no_answer_in_time_gives_3_and_prevents_no_start(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(hang, place / "h.sock"):
        more = f"  mute: {{kind: haproxy, site: east, socket: {place / 'h.sock'}}}"
        file = written(place, more=more)
        assert await asyncio.to_thread(check, file, "--connect", "--within", "0.2") == 3
        (found,) = await asyncio.to_thread(before_start, file, 0.2)
    assert "UNKNOWN  reached" in capsys.readouterr().out
    assert (found.target, found.health) == ("balancers/mute", Health.UNKNOWN)


def test_invalid_files_are_told_and_nothing_is_asked(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(place, more="  edge2: {kind: haproxy, site: west, socket: relative}")
    assert check(file, "--connect") == 2
    assert "expected an absolute path" in capsys.readouterr().err
    assert before_start(file, 0.2) == []


def test_within_is_for_connect(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(written(place), "--within", "3") == 2
    assert "--within is for --connect" in capsys.readouterr().err


def test_text_of_a_target_is_made_safe(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"\x1b[2J\x1b]0;owned\x07 not an answer")

    async def asked() -> int:
        async with serving(lie, place / "l.sock"):
            file = written(place, more=f"  liar: {{kind: haproxy, site: east, socket: {place / 'l.sock'}}}")
            return await asyncio.to_thread(check, file, "--connect")

    assert asyncio.run(asked()) == 1
    assert "\x1b" not in capsys.readouterr().out
