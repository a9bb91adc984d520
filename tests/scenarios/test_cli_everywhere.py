"""Every verb as scripts run it: without a home, in a folder that is gone, with names that do not exist.

Each answer is one JSON document or what the verb is for, each code a documented one, and no defect is shown.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Iterator

import click
import pytest

from state.errors import ExitCode
from tests.scenarios.test_exit_codes import ELSEWHERE, MATRIX, READING, asking, digest, ended, released
from tests.support.acting_site import Site, acting_site
from tests.support.verb_server import Ended, VerbServer, verb_server
from tests.support.verbs import by_path, options_of

ALONE = {"HOME": None, "XDG_RUNTIME_DIR": None, "XDG_STATE_HOME": None, "LC_ALL": "C"}
"""What cron leaves out."""
WORDS = {
    "runbook show": "one",
    "runbook score": "single",
    "run show": "R-1",
    "run watch": "R-1",
    "journal show": "1",
    "completion": "bash",
}
WORDS["release show"] = f"shop {digest(1)}"
OTHERWISE = {"release record": ["--digest", "nonsuch", "--version", "v5"]}
"""What else these need, before a name is looked at."""
LINES = {"journal tail", "journal export"}
TEXT = {"completion"}
CODES = {code.value for code in ExitCode} - {ExitCode.DEFECT.value}
KNOWN = by_path()
HERE = [name for name in (*MATRIX, *sorted(READING)) if name not in ELSEWHERE]


@pytest.fixture(scope="module")
def verbs() -> Iterator[VerbServer]:
    with verb_server() as server:
        yield server


def where(name: str, site: Site) -> list[str]:
    """Which engine or lab is meant; nothing is confirmed."""
    options = options_of(KNOWN[name])
    words = ["--estate", str(site.estate)] if "--estate" in options else []
    if name in ("check", "doctor"):
        words = [str(site.estate)]
    return [*words, *(["--dir", "/tmp/no-lab"] if "--dir" in options else [])] + (
        ["--plan-only"] if "--plan-only" in options else []
    )


async def each(verbs: VerbServer, argvs: dict[str, list[str]]) -> dict[str, Ended]:
    at_once = asyncio.Semaphore(6)

    async def one(argv: list[str]) -> Ended:
        async with at_once:
            return await verbs.run(*argv, env=ALONE, homeless=True)

    return dict(zip(argvs, await asyncio.gather(*map(one, argvs.values())), strict=True))


async def test_every_verb_answers_in_one_document_wherever_it_runs(verbs: VerbServer) -> None:
    async with acting_site() as site:
        await ended(site)
        await asking(site)
        await released(site)
        argvs = {}
        for name in HERE:
            words = MATRIX[name].words.format(run="R-1") if name in MATRIX else WORDS.get(name, "")
            asked = ["--json"] if "--json" in options_of(KNOWN[name]) else []
            argvs[name] = [*name.split(), *shlex.split(words), *where(name, site), *asked]
        for name, end in (await each(verbs, argvs)).items():
            assert end.code in CODES, (name, end.said)
            assert "Traceback" not in end.err, (name, end.said)
            if name in TEXT:
                continue
            documents = end.out.splitlines() if name in LINES else [end.out]
            assert documents, name
            told = [json.loads(document) for document in documents]
            if "error" in told[0]:
                assert (told[0]["error"]["exit"], end.err) == (end.code, ""), (name, end.said)
                assert told[0]["error"]["kind"] in ("refused", "no-lab"), (name, end.said)


async def test_a_wrong_name_is_2_and_is_told_with_the_right_ones(verbs: VerbServer) -> None:
    async with acting_site() as site:
        run = await ended(site)
        argvs = {}
        for name in HERE:
            needed = [p for p in KNOWN[name].params if isinstance(p, click.Argument) and p.required]
            if needed and not name.startswith("lab"):
                more = ["--reason", "tested"] if "--reason" in options_of(KNOWN[name]) else []
                more += OTHERWISE.get(name, [])
                argvs[name] = [*name.split(), *["nonsuch"] * len(needed), *more, *where(name, site), "--json"]
        del argvs["completion"]  # has no --json: tests/unit/test_cli_help.py
        assert len(argvs) > 15
        for name, end in (await each(verbs, argvs)).items():
            assert (end.code, end.err) == (2, ""), (name, end.said)
            error = json.loads(end.out)["error"]
            assert error["kind"] in ("not-found", "usage"), name
            assert "nonsuch" in error["message"], name
            if "run_id" in {p.name for p in KNOWN[name].params}:
                assert run in error["message"], name
