"""What a console tells the session log: screens, dialogs, keys as actions; nothing that was typed or pasted."""

from __future__ import annotations

import asyncio

from textual import events

from console.tui.parts.recorder import MOST, Recorder
from state.api.card import Confirm
from state.api.sessions import SeenKind
from tests.screens.fake_engine import Stage, stage
from tests.support.cards import card

SECRET = "hunter2hunter2"


async def told(st: Stage, *wanted: tuple[str, str]) -> list[tuple[str, str, str]]:
    """What the engine has, once all of these are among it."""
    lines = st.front.sessions.told
    await st.until(lambda: set(wanted) <= {line[:2] for line in lines}, f"{wanted} in {lines}")
    return lines


async def test_screens_keys_cards_and_what_was_sent_are_told() -> None:
    async with stage() as st:
        st.front.card = card(Confirm.YES)
        await st.press("4", "tab", "d")
        await st.sees("to do it")
        await st.press("y")
        await st.until(lambda: st.front.acts, "the submission")
        lines = await told(st, ("screen", "traffic"), ("key", "drain-server"), ("sent", _title(st)))
        opened = next(line for line in lines if line[0] == "dialog")
        assert "plan " in opened[2], "which card was shown"


def _title(st: Stage) -> str:
    return f"{st.front.card.title}  {st.front.card.risk}"


async def test_a_key_that_does_nothing_is_told_with_its_reason() -> None:
    async with stage(may_act=False) as st:
        await st.press("2", "s")
        lines = await told(st, ("key", "switch-over"))
        assert "acting needs responder" in next(line[2] for line in lines if line[1] == "switch-over")


async def test_what_is_typed_or_pasted_is_told_nowhere() -> None:
    async with stage() as st:
        await st.press("slash", *SECRET, "enter", "escape")
        await st.press("4", "tab", "w", *SECRET, "escape")
        await st.press("d")
        await st.sees("cancel")
        paste = events.Paste(SECRET)
        paste.set_sender(st.app)
        assert st.app._driver is not None
        st.app._driver.send_message(paste)
        await st.settle()
        lines = await told(st, ("key", "filter"))
        await st.until(lambda: any(line[0] == "dropped" for line in lines), "the paste")
        assert f"a paste of {len(SECRET)} characters" in repr(lines)
        assert "hunter" not in repr(lines)


async def test_a_log_that_is_not_kept_is_told_on_the_screen_and_stops_nothing() -> None:
    async with stage() as st:
        st.front.sessions.trouble = "No space left on device"
        await st.press("4")
        await st.sees("session log not kept: No space left on device")
        await st.press("tab", "d")
        await st.until(lambda: st.front.previews, "the preview")
        await st.press("escape")
        st.front.sessions.trouble = ""
        await told(st, ("screen", "traffic"), ("key", "drain-server"))
        await st.until(lambda: "session log not kept" not in st.text, "the log again")


async def test_a_console_that_tells_nothing_for_long_keeps_the_newest_and_says_how_many_are_lost() -> None:
    class Client:
        sent: list[list[object]] = []  # noqa: RUF012  (of one test)

        async def session_lines(self, lines: list[list[object]]) -> object:
            self.sent += lines
            return type("Kept", (), {"trouble": ""})()

    recorder = Recorder(Client())  # type: ignore[arg-type]
    for number in range(MOST + 10):
        recorder.note(SeenKind.KEY, f"key-{number}")
    while recorder.waits:
        await recorder.tell()
    assert len(Client.sent) == MOST
    assert Client.sent[0][1] == "key-10"
    assert "10 before it are not kept" in str(Client.sent[0][2])


async def test_a_slow_engine_gets_each_line_once() -> None:
    class Slow:
        def __init__(self) -> None:
            self.sent: list[str] = []
            self.answers = asyncio.Event()

        async def session_lines(self, lines: list[list[object]]) -> object:
            self.sent += [str(line[1]) for line in lines]
            await self.answers.wait()
            return type("Kept", (), {"trouble": ""})()

    client = Slow()
    recorder = Recorder(client)  # type: ignore[arg-type]
    recorder.note(SeenKind.KEY, "one")
    first = asyncio.create_task(recorder.tell())
    await asyncio.sleep(0)
    recorder.note(SeenKind.KEY, "two")
    assert not recorder.waits, "one is on its way"
    await recorder.tell()
    client.answers.set()
    await first
    while recorder.waits:
        await recorder.tell()
    assert client.sent == ["one", "two"]
