"""What instances say they run, over real HTTP: pages in JSON, info metrics, caches, files that are exchanged."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.context import AdapterContext
from adapters.monitors import version
from state.errors import ReadFailure, Trouble
from state.world.release_parts import VersionReading
from tests.contract.monitors import read_once, trouble_of
from tests.contract.web import Canned, canned

ONE, TWO = (f"sha256:{each * 64}" for each in "12")


def build(server: Canned, context: AdapterContext, **more: Any) -> list[Any]:
    target = {"site": "east", "service": "shop", "server": "blue", "url": f"{server.url}/version"}
    options = version.OPTIONS.model_validate({"kind": "version", "targets": {"blue": target}, **more})
    return list(version.build("versions", options, context))


async def reading(context: AdapterContext, answer: Any, **more: Any) -> VersionReading:
    async with canned({"GET /version": answer}) as server:
        found = await read_once(build(server, context, **more))
        assert isinstance(found, VersionReading)
        return found


async def test_a_page_tells_digest_version_and_start_and_is_asked_past_caches(context: AdapterContext) -> None:
    page = {"digest": ONE, "version": "v41", "commit": "1a2b", "started": 1_700_000_000}
    async with canned({"GET /version": (200, page)}) as server:
        (source,) = build(server, context)
        assert source.key == "version:versions/blue"
        found = await source.read()
        await source.close()
        assert found == VersionReading("blue", ONE, "v41", "1a2b", 1_700_000_000.0)
        ((_, headers, _),) = server.asked
        assert headers["cache-control"] == "no-cache"


async def test_fields_may_lie_deeper_and_have_other_names(context: AdapterContext) -> None:
    page = {"build": {"image": ONE, "tag": "v41"}}
    found = await reading(context, (200, page), names={"digest": "build.image", "version": "build.tag"})
    assert (found.digest, found.version, found.started_at, found.doubt) == (ONE, "v41", None, "")


async def test_an_info_metric_tells_it_too(context: AdapterContext) -> None:
    page = (
        f'# TYPE build_info gauge\nbuild_info{{digest="{ONE}",version="v41",commit="1a2b"}} 1\n'
        "build_info_other 5\nprocess_start_time_seconds 1.7e9\n"
    )
    assert await reading(context, (200, page), read="metrics") == VersionReading("blue", ONE, "v41", "1a2b", 1.7e9)


@pytest.mark.parametrize(
    "page",
    [
        "",
        "other 1\n",
        'build_info{version="a"} 1\nbuild_info{version="b"} 1\n',
        'build_info{version="a"} 0\n',
        "build_info{ 1\n",
    ],
)
async def test_a_page_of_metrics_without_one_info_is_no_reading(context: AdapterContext, page: str) -> None:
    async with canned({"GET /version": (200, page)}) as server:
        assert await trouble_of(build(server, context, read="metrics")) in (Trouble.EMPTY, Trouble.ERROR)


@pytest.mark.parametrize("age", ["0", "30", "x"])
async def test_what_a_cache_gave_is_no_evidence(context: AdapterContext, age: str) -> None:
    """Trap 59."""
    body = json.dumps({"digest": ONE, "version": "v41"}).encode()
    raw = f"HTTP/1.1 200 OK\r\nAge: {age}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    found = await reading(context, raw)
    assert found.doubt == f"a cache answered (Age: {age})"


async def test_a_page_that_changes_under_the_same_process_is_no_evidence_until_the_process_is_another(
    context: AdapterContext,
) -> None:
    """Trap 58: a file on disk was exchanged, the process runs what it ran."""
    async with canned({}) as server:
        (source,) = build(server, context)
        told = []
        for digest, started in ((ONE, 100), (ONE, 100), (TWO, 100), (TWO, 100), (TWO, 200), (ONE, 300)):
            server.answers["GET /version"] = (200, {"digest": digest, "version": "v", "started": started})
            told.append((await source.read()).doubt)
        await source.close()
    changed = "its page has changed, its process has not started anew"
    assert told == ["", "", changed, changed, "", ""]


@pytest.mark.parametrize(
    ("page", "doubt"),
    [
        ({"version": "v41"}, "it tells no digest"),
        ({"digest": "v41", "version": "v41"}, "v41 is no digest"),
        ({"digest": ONE.upper(), "version": "v41"}, f"{ONE.upper()} is no digest"),
        ({"digest": {"sha256": "1"}, "version": "v41"}, "it tells no digest"),
    ],
)
async def test_without_a_digest_it_tells_nothing_certain(
    context: AdapterContext, page: dict[str, Any], doubt: str
) -> None:
    assert (await reading(context, (200, page))).doubt == doubt


@pytest.mark.parametrize(
    "answer",
    [
        (200, {}), (200, []), (200, "<html>"), (200, '{"digest": 1'), (200, '{"version": "a", "version": "b"}'),
        (503, "no"), (204, ""), None,
    ],
)  # fmt: skip
async def test_rubbish_is_no_reading(context: AdapterContext, answer: Any) -> None:
    async with canned({"GET /version": answer}) as server:
        (source,) = build(server, context)
        with pytest.raises(ReadFailure):
            await source.read()
        await source.close()


async def test_texts_are_bounded_and_cannot_act_on_a_terminal(context: AdapterContext) -> None:
    found = await reading(context, (200, {"digest": "\x1b]52;c;x\x07" + "a" * 9_000, "version": "v\x1b[2J" * 999}))
    assert "\x1b" not in found.digest + found.version + found.doubt
    assert len(found.version) < 200
