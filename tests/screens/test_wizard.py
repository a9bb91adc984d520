"""The first start without an estate: addresses, what they gave, questions, what was written; by a real child."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from textual.pilot import Pilot

from console.tui.terminal.capabilities import Terminal
from console.tui.widgets.lines import Lines
from console.tui.wizard.app import WizardApp
from console.tui.wizard.child import run_init
from console.tui.wizard.pages import AddressPage, LookingPage, QuestionsPage, WizardPage, WrittenPage
from state.text import cells, is_clean

SHOP = """
global
  stats socket /run/haproxy/edge.sock level admin
defaults
  mode http
backend checkout
  server s1 10.0.0.1:80 check
backend "odd\x1b[2J"
  server s1 10.0.0.1:80 check
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    file = tmp_path / "haproxy.cfg"
    file.write_text(SHOP)
    return file


async def until(pilot: Pilot[None], holds: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, shown(pilot.app)  # type: ignore[arg-type]
        await pilot.pause(0.05)
    await pilot.pause()


async def page(pilot: Pilot[None], kind: type[WizardPage]) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen.query(WizardPage).last(), kind))


def shown(app: WizardApp) -> str:
    """All that is told, on one line: where it is wrapped depends on the width."""
    return " ".join(" ".join(lines.plain.split()) for lines in app.screen.query(Lines))


@pytest.mark.parametrize(
    ("size", "ascii_only"), [((80, 24), False), pytest.param((120, 40), True, marks=pytest.mark.torture)]
)
async def test_from_an_address_to_a_written_estate(
    config: Path, tmp_path: Path, size: tuple[int, int], ascii_only: bool
) -> None:
    app = WizardApp(Terminal(ascii_only=ascii_only))
    async with app.run_test(size=size) as pilot:
        await page(pilot, AddressPage)
        assert "There is no estate here yet" in shown(app)
        told = [
            line for lines in app.screen.query(AddressPage).first().query(Lines) for line in lines.plain.split("\n")
        ]
        assert max(map(cells, told)) <= size[0] - 2, "nothing is cut at the edge"
        await pilot.press(*str(config), "enter")
        await page(pilot, QuestionsPage)
        assert "Found: 1 service, 1 balancer." in shown(app)
        await pilot.press("enter", "ctrl+u", *"chekout", *(["enter"] * 5), "ctrl+u", *str(tmp_path / "out"), "enter")
        await until(pilot, lambda: "did you mean checkout?" in shown(app))
        assert not (tmp_path / "out").exists()
        await pilot.press(*(["up"] * 5), "ctrl+u", *"checkout", *(["enter"] * 6))
        await page(pilot, WrittenPage)
        assert "Not known, or not done:" in shown(app)
        assert is_clean(shown(app))
        await pilot.press("enter")
    assert app.opened == tmp_path / "out" / "recovery.yaml"
    assert "tier: 1  # asked" in app.opened.read_text()


async def test_what_gives_nothing_is_said_and_can_be_corrected(tmp_path: Path, config: Path) -> None:
    app = WizardApp(Terminal())
    async with app.run_test(size=(80, 24)) as pilot:
        await page(pilot, AddressPage)
        await pilot.press(*"ftp://x", "enter")
        await until(pilot, lambda: "nothing was found, so nothing was written" in shown(app))
        assert "no address of a kind that is known" in shown(app)
        await pilot.press("escape")
    assert app.opened is None
    assert sorted(tmp_path.iterdir()) == [config]


async def test_what_gives_nothing_is_told_with_its_way_out_on_every_page() -> None:
    found = [{"kind": "", "line": "https://10.1.0.9:9090: nothing: TLS refused", "way_out": "http://10.1.0.9:9090"}]
    app = WizardApp(Terminal())
    async with app.run_test(size=(80, 24)) as pilot:
        await page(pilot, AddressPage)
        app.show(QuestionsPage(app.glyphs, 80, {"found": found, "summary": "1 service"}, {}), 3)
        await page(pilot, QuestionsPage)
        assert "nothing: TLS refused → http://10.1.0.9:9090" in shown(app)


async def test_leaving_ends_the_child(tmp_path: Path, config: Path) -> None:
    async def silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(600)

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    app, others = WizardApp(Terminal()), set(psutil.Process().children())
    async with app.run_test(size=(80, 24)) as pilot:
        await page(pilot, AddressPage)
        await pilot.press(*f"http://127.0.0.1:{port}", "enter")
        await page(pilot, LookingPage)
        await until(pilot, lambda: set(psutil.Process().children()) - others)
        (child,) = set(psutil.Process().children()) - others
        await pilot.press("escape")
        await page(pilot, AddressPage)
        await until(pilot, lambda: not child.is_running())
        await pilot.press("escape")
    server.close()


async def test_a_secret_that_is_missing_is_asked_for_before_it_is_opened(tmp_path: Path) -> None:
    by = "install -m 600 /dev/stdin x/secrets/pg"
    secret = {"file": "secrets/pg", "what": "the password", "mode": "0600", "by": by}
    done = {"file": str(tmp_path / "recovery.yaml"), "secrets": [secret]}
    app = WizardApp(Terminal())
    async with app.run_test(size=(80, 24)) as pilot:
        await page(pilot, AddressPage)
        app.show(WrittenPage(app.glyphs, 80, done), 4)
        await page(pilot, WrittenPage)
        assert by in shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: "put the secret into" in shown(app))
        (tmp_path / "secrets").mkdir()
        (tmp_path / "secrets" / "pg").write_text("x")
        await pilot.press("enter")
    assert app.opened == tmp_path / "recovery.yaml"


async def test_the_child_tells_how_it_ended(config: Path, tmp_path: Path) -> None:
    events: list[str] = []
    words = [str(config), "-o", str(tmp_path / "out"), "--yes"]
    ended = await run_init(words, lambda event: events.append(event["event"]))
    assert (ended.code, events) == (0, ["step", "found"])
    assert ended.done["written"] is True
    again = await run_init(words, lambda event: None)
    assert again.code == 2
    assert "is there already" in " ".join(again.said)
