"""A topic nobody looks at is not decoded, and looked at late it is the same as looked at always."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from console.tui.mirror import LazyMirror
from console.tui.store import Store
from state.api.views.overview import OverviewView
from state.api.views.traffic import TrafficView
from state.api.wire import Differ, Mirror, plain
from state.capabilities import topics
from tests.screens.fake_engine import stage
from tests.screens.fake_views import header, server, traffic
from tests.screens.still import HELLO, lines

ROOT = Path(__file__).parents[2]
HEADER = header(50_000.0, 0.0)


def another(view: TrafficView, chance: random.Random) -> TrafficView:
    """Servers come, go and change."""
    servers = dict(view.servers)
    for _ in range(chance.randrange(4)):
        number = chance.randrange(6)
        key = f"edge-east/checkout/s{number}"
        if chance.random() < 0.4:
            servers.pop(key, None)
        else:
            made = server("blue", "edge-east", chance.randrange(3))
            servers[key] = replace(made, key=key, sessions=chance.randrange(3))
    return replace(view, servers=servers)


@pytest.mark.parametrize("seed", range(40))
def test_looked_at_late_is_looked_at_always(seed: int) -> None:
    chance = random.Random(seed)
    differ, eager, lazy = Differ("traffic"), Mirror(TrafficView), LazyMirror(topics()["traffic"])
    view = traffic(50_000.0, 0.0)
    touched: dict[str, set[str]] = {}
    for _ in range(30):
        frame = differ.frame(view)
        if frame is not None:
            eager.apply(frame)
            lazy.apply(frame)
            for table, keys in eager.changed.items():
                touched.setdefault(table, set()).update(keys)
        if chance.random() < 0.3:
            assert lazy.view() == eager.view
            known = lazy.take_touched()
            assert known is None or known.get("servers", frozenset()) == touched.get("servers", set())
            touched.clear()
        view = another(view, chance)
    assert lazy.view() == eager.view


def test_the_last_view_stays_until_a_new_stream_is_complete() -> None:
    store = Store()
    store.connected(HELLO)
    first, *_ = lines({"traffic": traffic(50_000.0, 0.0)})
    store.apply(first)
    seen = store.view(TrafficView)
    assert seen is not None
    store.connected(HELLO)
    assert store.view(TrafficView) is seen
    store.apply({"topic": "traffic", "rows": {"dns": {}}})
    assert store.view(TrafficView) is seen
    store.apply({**first, "rows": {**first["rows"], "servers": {}}})
    now = store.view(TrafficView)
    assert now is not None
    assert now.servers == {}


def test_views_are_asked_by_class_or_name() -> None:
    store = Store()
    assert store.view(OverviewView) is store.view("overview") is None
    assert store.view("nothing") is None
    assert store.view(Store) is None


def test_what_cannot_be_decoded_is_told_once_and_the_rest_goes_on() -> None:
    store, told = Store(), []
    store.on_unreadable = lambda topic, broken: told.append((topic, type(broken)))
    store.connected(HELLO)
    (line,) = lines({"traffic": traffic(50_000.0, 0.0)})
    store.apply(line)
    seen = store.view(TrafficView)
    store.apply({"topic": "traffic", "rows": {"servers": {"x": [1]}}})
    assert store.view(TrafficView) == seen
    assert store.view(TrafficView) == seen
    assert told == [("traffic", ValueError)]
    with pytest.raises(TypeError):
        store.apply({"topic": "traffic", "rows": [1]})


@pytest.mark.parametrize("odd", [[1], None, 7, {"a": 1}, "x", [[]] * 40, [float("inf")] * 40])
def test_a_row_that_cannot_be_read_is_gone_and_what_came_with_it_is_shown(odd: object) -> None:
    """Its former words would be old ones, shown as the present ones until the next reconnection."""
    store, told = Store(), []
    store.on_unreadable = lambda topic, broken: told.append(topic)
    store.connected(HELLO)
    (line,) = lines({"traffic": traffic(50_000.0, 0.0)})
    store.apply(line)
    seen = store.view(TrafficView)
    assert seen is not None
    store.take_touched("traffic")
    broken, fine, *_ = seen.servers
    now = plain(replace(seen.servers[fine], sessions=4711))
    store.apply({"topic": "traffic", "rows": {"servers": {broken: odd, fine: now}}})
    shown = store.view(TrafficView)
    assert shown is not None
    assert shown.servers[fine].sessions == 4711
    assert shown.servers.get(broken) is None
    assert store.take_touched("traffic") is None, "everything is painted again"
    assert told == ["traffic"]


def test_without_one_of_its_fields_there_is_no_view() -> None:
    store = Store()
    store.connected(HELLO)
    header, _ = lines({"header": HEADER, "traffic": traffic(50_000.0, 0.0)})
    store.apply(header)
    assert store.view("header").journal_seq == HEADER.journal_seq
    store.apply({"topic": "header", "set": {"journal_seq": ["x"]}})
    assert store.view("header") is None
    store.apply({"topic": "header", "set": {"journal_seq": 8}})
    assert store.view("header").journal_seq == 8


def test_what_an_engine_before_a_reboot_read_is_not_fresh_by_the_clock_of_the_new_one() -> None:
    store = Store(clock=lambda: 7.0)
    store.connected(HELLO)
    (line,) = lines({"header": HEADER})
    store.apply(line)
    assert store.age(next(iter(HEADER.sources))).seconds is not None
    store.connected(replace(HELLO, mono=1.0))
    assert store.age(next(iter(HEADER.sources))).withheld


def test_only_what_is_looked_at_is_loaded() -> None:
    code = (
        "import sys\nfrom console.tui.store import Store\nstore = Store()\n"
        "store.apply({'topic': 'traffic', 'rows': {'servers': {}}})\n"
        "print(*[m for m in sys.modules if m.startswith('state.api.views.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["state.api.views.causes", "state.api.views.header"]


async def test_a_screen_looks_at_its_own_topic_and_the_header() -> None:
    async with stage("incident") as st:
        await st.sees("18.2%", "CheckoutErrors", "✗ FAIL     orders")
        looked_at = {name for name, mirror in st.app.store._mirrors.items() if mirror._view is not None}
        assert looked_at == {"approvals", "header", "overview"}
        await st.press("4")
        await st.sees("edge-east/checkout")
