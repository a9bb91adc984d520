"""Consoles on the real engine, watched: on every frame the cells of the screen are compared with the views, and with
the verb's own document whenever that is of the same readings."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from textual import events
from textual.pilot import Pilot

from console.cli.look import SeenView, gather
from console.client.engine_client import EngineClient
from console.tui.app import ConsoleApp
from console.tui.screens.base import MainScreen
from console.tui.terminal.capabilities import Terminal
from state.units import megabytes, percent

ROOT = Path(__file__).parents[2]
WORDS = {"pass": "PASS", "warn": "WARN", "fail": "FAIL", "unknown": "UNKNOWN"}
PACE, PATIENCE = 0.02, 100
"""Seconds between two looks for a new frame, and how often it is looked for."""
REPAINTED = 1.2
"""Seconds after which every clock on the screen was painted anew."""
LOOK = 20.0
"""Seconds that one look may take."""
VERBS = ("overview", "replication", "traffic")
"""Topics that a verb tells as a document."""
EACH = 8
"""Frames of one screen before the next one is opened."""
SLACK = 1.6
"""Seconds by which a running clock may differ: it is painted once a second, the document is of this instant."""
Document = Mapping[str, Any]
Spec = Sequence[tuple[str, str, int]]
"""Columns of a table: title, `l` or `r`, and the width of those that are aligned to the right."""
RECOVER: Spec = (
    ("state", "l", 0), ("what", "l", 0), ("since", "r", 6), ("RTO left", "r", 8), ("why", "l", 0), ("key", "l", 0),
)  # fmt: skip
FIGURES: Spec = (("errors", "r", 6), ("p99", "r", 8))
NODES: Spec = (
    ("state", "l", 0), ("node", "l", 0), ("site", "l", 0), ("role", "l", 0), ("TL", "r", 2), ("behind", "r", 8),
)  # fmt: skip
BACKENDS: Spec = (("state", "l", 0), ("backend", "l", 0), ("serve", "r", 5), ("floor", "r", 5))
DNS: Spec = (("state", "l", 0), ("record", "l", 0), ("answers", "l", 0), ("server", "l", 0))


def table(lines: Sequence[str], spec: Spec) -> list[dict[str, str]]:
    """The rows below the first line that has all these titles in this order, by title."""
    pattern = re.compile(r".*?".join(rf"(?<!\S){re.escape(title)}(?!\w)" for title, _, _ in spec))
    top = next((n for n, line in enumerate(lines) if pattern.search(line)), None)
    assert top is not None, f"no table with {[title for title, _, _ in spec]}"
    begin: list[int] = []
    ends: list[int] = []
    at = 0
    for title, align, width in spec:
        found = re.compile(rf"(?<!\S){re.escape(title)}(?!\w)").search(lines[top], at)
        assert found is not None
        begin.append(found.start() if align == "l" else found.end() - width)
        ends.append(found.end())
        at = found.end()
    spans = [
        (start, ends[n] if spec[n][1] == "r" else begin[n + 1] if n + 1 < len(spec) else None)
        for n, start in enumerate(begin)
    ]
    rows = []
    for line in lines[top + 1 :]:
        if not line.strip() or line.startswith("─") or line[:2].strip() not in ("", "›"):
            break
        row = {spec[n][0]: line[slice(*span)].strip(" ▐│") for n, span in enumerate(spans)}
        if not row[spec[0][0]]:
            break  # what stands there belongs to the next widget
        rows.append(row)
    return rows


def seconds(text: str) -> float:
    """`04:39`, `-00:12` or `1:02:03` in seconds."""
    parts = [int(part) for part in text.lstrip("-").split(":")]
    value = float(sum(part * 60**place for place, part in enumerate(reversed(parts))))
    return -value if text.startswith("-") else value


def near(shown: str, value: float, what: str) -> None:
    """A clock on the screen and its value."""
    assert abs(seconds(shown) - value) <= SLACK, f"{what}: the screen shows {shown}, it is {value:.1f} s"


def same_word(cell: str, health: str, what: str) -> None:
    """A state's word on the screen, or the mark of an old value instead of a pass."""
    assert WORDS[health] in cell or ("STALE" in cell and health == "pass"), f"{what}: {cell!r} is not {health}"


def header_agrees(lines: Sequence[str], document: Document, now: float) -> None:
    """The first lines: clock, risk, sentence, the journal's head."""
    header, top = document["header"], lines[0]
    running = header["rto"] is not None and header["rto"]["ended_mono"] is None
    clock = re.search(r"RTO (?:over by )?(-?[\d:]+)", top)
    if running:
        assert clock is not None, f"a clock runs and is not shown: {top}"
        left = header["rto"]["target"] - (now - header["rto"]["started_mono"])
        near(clock[1], abs(left), "RTO")
        assert ("over by" in top) == (left < 0) or abs(left) < SLACK
    risk = header["risk"]
    shown = re.search(r"risk (\? unknown|\?|[\d.]+ \w+)", top)
    assert (risk is None) == (shown is None), top
    if shown is not None and not shown[1].startswith("?"):
        assert risk["lost_bytes"] is not None
        assert shown[1] == megabytes(risk["lost_bytes"])
    causes, said = header["causes"], _sentence(lines)
    if causes:
        worst = causes[0]
        whole = f"{worst['name']}: {worst['what']}" if worst["name"] else worst["what"]
        assert whole in said, f"the sentence {said!r} does not say {whole!r}"
        assert (f"+{len(causes) - 1}" in said) == (len(causes) > 1), said
    else:
        assert not re.match(r"[✗!?] ", said), f"{said!r} is said, and nothing is wrong"
    head = re.search(r"journal (\d+) ([0-9a-f]{8})", lines[-1])
    if head is not None:
        assert (int(head[1]), head[2]) == (header["journal_seq"], header["journal_head"][:8])


def _sentence(lines: Sequence[str]) -> str:
    """What stands between the tabs and the first table, in one line."""
    below = next((n for n, line in enumerate(lines) if line.startswith("─")), 2)
    return " ".join(" ".join(line.split()) for line in lines[2:below])


def overview_agrees(lines: Sequence[str], document: Document, now: float, width: int) -> None:
    """Counts, states, clocks, reasons and keys of every row, and the figures of services."""
    view, header = document["overview"], document["header"]
    wide = width >= 100
    rows = {row["what"]: row for row in table(lines, RECOVER + FIGURES if wide else RECOVER)}
    known = {row["name"]: row for row in view["recover"].values()}
    assert rows.keys() <= known.keys(), rows
    if len(known) <= 3:
        assert rows.keys() == known.keys(), rows
    for name, row in rows.items():
        it = known[name]
        same_word(row["state"], it["health"], name)
        bad = it["health"] != "pass"
        assert bool(row["since"]) == (bad and it["since_mono"] is not None), (name, row)
        if row["since"]:
            near(row["since"], now - it["since_mono"], f"{name} since")
        assert bool(row["RTO left"]) == (it["rto"] is not None), (name, row)
        if it["rto"] is not None:
            near(row["RTO left"], it["rto"]["target"] - (now - it["rto"]["started_mono"]), f"{name} RTO")
        assert it["message"].startswith(row["why"].rstrip("…")) or row["why"].startswith("~"), (
            name,
            row,
            it["message"],
        )
        assert (row["key"][:1] == it["next"]["key"]) if bad and it["next"] else not row["key"], (name, row)
        if wide and name in view["services"]:
            service = view["services"][name]
            if service["error_ratio"] is not None:
                assert row["errors"] in ("?", percent(service["error_ratio"])), (name, row)
    title = next(line for line in lines if "Recover in this order" in line)
    stale = any("STALE" in line for line in lines)  # by the console's clock, a moment before the engine's own word
    assert view["summary"] in title or (stale and " old" in title), title
    for word, health in (("failing", "fail"), ("unknown", "unknown"), ("impaired", "warn")):
        counted = re.search(rf"(\d+) {word}", title)
        count = sum(row["health"] == health for row in known.values())
        assert counted is None or int(counted[1]) == count, f"{title}: {count} are {word}"
    firing = re.search(r"Alerts ─ . (\d+) firing", "\n".join(lines))
    if firing is not None:
        assert int(firing[1]) == view["alerts_firing"]
        assert view["alerts_firing"] == sum(a["suppressed"] is None for a in view["alerts"].values())
    clocks = [row["rto"] for row in known.values() if row["rto"] is not None]
    if clocks:
        least = min(clock["target"] + clock["started_mono"] for clock in clocks)
        assert abs(least - header["rto"]["target"] - header["rto"]["started_mono"]) < 0.01, "two clocks, two times"


def replication_agrees(lines: Sequence[str], document: Document) -> None:
    """State, site, role, timeline and lag of every node of the tree."""
    nodes = {row["node"]: row for row in document["replication"]["nodes"].values()}
    rows = {row["node"].split()[-1]: row for row in table(lines, NODES)}  # a branch stands before the name
    assert rows.keys() == nodes.keys()
    for name, row in rows.items():
        it = nodes[name]
        same_word(row["state"], it["health"], it["node"])
        assert row["site"] == it["site"], row
        assert row["role"] in (it["role"], "?"), row
        assert row["TL"] in (str(it["timeline"]), "?"), row
        if it["lag_bytes"] is not None and re.match(r"[\d.]", row["behind"]):
            assert row["behind"] == megabytes(it["lag_bytes"]), (row, it["lag_bytes"])


def traffic_agrees(lines: Sequence[str], document: Document) -> None:
    """Servers that serve, of every backend in sight; what DNS answers."""
    backends = {f"{row['balancer']}/{row['backend']}": row for row in document["traffic"]["backends"].values()}
    for row in table(lines, BACKENDS):
        it = backends[row["backend"]]
        same_word(row["state"], it["health"], row["backend"])
        assert row["serve"] in (f"{it['serving']}/{it['total']}", "?"), row
        assert row["floor"] == str(it["floor"]), row
    records = {row["name"]: row for row in document["traffic"]["dns"].values()}
    for row in table(lines, DNS):
        it = records[row["record"]]
        same_word(row["state"], it["health"], row["record"])
        assert row["answers"] == it["answers"] or row["answers"].startswith(("~", "no ")), row


def same_sequence(mine: Document, verb: Document) -> bool:
    """Whether both are of the same readings and entries, and none became too old for a verdict between them."""

    def basis(document: Document) -> tuple[Any, ...]:
        header, rows = document["header"], document.get("overview", {}).get("recover", {})
        causes = [(cause["key"], cause["health"]) for cause in header["causes"]]
        return header["sources"], header["journal_seq"], causes, {key: row["health"] for key, row in rows.items()}

    return basis(mine) == basis(verb)


class Frame(NamedTuple):
    """One settled frame: what stands on the screen, the values behind it, and the engine's clock of its figures."""

    lines: list[str]
    document: Document
    mono: float


def compare(frame: Frame, topic: str, width: int) -> None:
    """Everything that stands on a screen."""
    header_agrees(frame.lines, frame.document, frame.mono)
    if topic == "overview":
        overview_agrees(frame.lines, frame.document, frame.mono, width)
    elif topic == "replication":
        replication_agrees(frame.lines, frame.document)
    elif topic == "traffic":
        traffic_agrees(frame.lines, frame.document)
    elif topic == "journal":
        newest = table(frame.lines, (("seq", "r", 6), ("time", "l", 0), ("kind", "l", 0), ("run", "l", 0)))[0]
        entries = frame.document["journal"]["entries"]
        assert newest["seq"] == max(entries, key=int)
        assert newest["kind"] == entries[newest["seq"]]["kind"]


class Found(NamedTuple):
    """How many frames agreed, how many of them with the verb's document of the same readings too, and what did not:
    `wrong` still differed when looked at again, `passing` did not."""

    frames: int
    documents: int
    wrong: list[str]
    passing: list[str]


class CellWatch:
    """A console of one size in a process of its own, until `stop`; with `cycle` it opens these screens by digit."""

    def __init__(self, folder: Path, path: str, size: tuple[int, int], cycle: str = "") -> None:
        self._report = folder / f"cells-{size[0]}.json"
        argv = [sys.executable, "-m", "tests.scenarios.cells", path, str(size[0]), str(size[1]), cycle]
        self._process = subprocess.Popen([*argv, str(self._report)], cwd=ROOT, stdin=subprocess.PIPE)

    def found(self) -> Found:
        """What it has found so far. Raises AssertionError when the console ended."""
        assert self._process.poll() is None, f"the console ended: {self._process.returncode}"
        return Found(*json.loads(self._report.read_text())) if self._report.exists() else Found(0, 0, [], [])

    def stop(self) -> None:
        """End it and wait."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()


class Comparison:
    """One console, compared frame by frame; the report is written anew after each."""

    def __init__(self, path: str, size: tuple[int, int], cycle: str, report: Path) -> None:
        self.size, self.wrong, self.passing = size, list[str](), list[str]()
        self.frames = self.documents = 0
        self._path, self._cycle, self._report = path, cycle, report

    def run(self) -> None:
        """Until it is killed, or standard input ends because the test was."""
        threading.Thread(target=lambda: (sys.stdin.read(), os._exit(1)), daemon=True).start()
        asyncio.run(self._watch())

    def _tell(self) -> None:
        new = self._report.with_suffix(".new")
        new.write_text(json.dumps(Found(self.frames, self.documents, self.wrong, self.passing)))
        new.replace(self._report)

    async def _watch(self) -> None:
        client, app = EngineClient(self._path), ConsoleApp(self._path, Terminal())
        async with app.run_test(size=self.size) as pilot:
            looks = 0
            while True:
                if self._cycle and looks % EACH == 0:
                    _press(app, self._cycle[looks // EACH % len(self._cycle)])
                looks += 1
                with contextlib.suppress(TimeoutError):  # it went to another screen meanwhile
                    async with asyncio.timeout(LOOK):
                        await self._look(client, app, pilot)
                self._tell()

    async def _look(self, client: EngineClient, app: ConsoleApp, pilot: Pilot[int]) -> None:
        """Look at the next frame; at one that differs again, once its clocks were painted anew: between two paintings
        a busy machine may be caught in the middle of one."""
        differs = await self._differences(client, app, pilot)
        if differs:
            await asyncio.sleep(REPAINTED)
            again = await self._differences(client, app, pilot)
            (self.wrong if again else self.passing).extend(differs)

    async def _differences(self, client: EngineClient, app: ConsoleApp, pilot: Pilot[int]) -> list[str]:
        """Wait for the next frame, ask as the verb does, and compare both with what is painted then."""
        store, screen = app.store, app.screen
        before, tries = store.view("header"), 0
        while store.view("header") is before and tries < PATIENCE:
            await asyncio.sleep(PACE)
            tries += 1
        if not isinstance(screen, MainScreen) or not screen.ready or app.screen is not screen:
            return []
        topic = screen.topic.name
        header, view, hello = store.view("header"), store.view(topic), store.hello
        if header is None or view is None or hello is None:
            return []
        verb = (await gather(client, topic)).as_json() if topic in VERBS else {}
        while store._dirty:
            await asyncio.sleep(PACE)
        await pilot._wait_for_screen()
        lines, mono = _lines(app), store.beaten
        if app.screen is not screen or store.view("header") is not header or store.view(topic) is not view:
            return []  # another frame came while this one was painted
        mine = SeenView(hello, header, topic, view).as_json()
        differs = [self._difference(Frame(lines, mine, mono), topic, "the frame")]
        self.frames += not differs[0]
        if verb and same_sequence(mine, verb):
            differs.append(self._difference(Frame(lines, verb, mono), topic, "the verb"))
            self.documents += not differs[1]
        return [why for why in differs if why]

    def _difference(self, frame: Frame, topic: str, whose: str) -> str:
        try:
            compare(frame, topic, self.size[0])
        except AssertionError:
            painted = "\n".join(line.rstrip() for line in frame.lines if line.strip())
            return f"{painted}\n{self.size}, {topic}, {whose}: {traceback.format_exc(limit=-2)}"
        return ""


def _press(app: ConsoleApp, key: str) -> None:
    """A key as the driver would send it."""
    assert app._driver is not None
    event = events.Key(key, key)
    event.set_sender(app)
    app._driver.send_message(event)


def _lines(app: ConsoleApp) -> list[str]:
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip) for strip in strips]


if __name__ == "__main__":
    engine, columns, rows, digits, target = sys.argv[1:]
    Comparison(engine, (int(columns), int(rows)), digits, Path(target)).run()
