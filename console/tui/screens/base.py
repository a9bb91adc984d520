"""What every main screen has: header, tabs, alarms, its body, keys, status. One file per screen builds on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget

from console.tui.actions.base import Action
from console.tui.actions.registry import keys_of
from console.tui.glyphs import UNKNOWN, Glyphs
from console.tui.mirror import Touched
from console.tui.parts.ages import lost_words
from console.tui.parts.approvals import approval_lines
from console.tui.parts.company import company_forms, others
from console.tui.parts.facts import Facts, Row, fact
from console.tui.parts.feed import Feed
from console.tui.parts.footer import keys_line, status_line
from console.tui.parts.header import header_line, tab_at, tabs_line
from console.tui.parts.living import Living
from console.tui.parts.sentence import START_ENGINE, sentence_lines
from console.tui.parts.waiting import MOST, waiting_lines
from console.tui.session import ActionContext, Navigation, Session, session_of
from console.tui.store import Changed, LinkState, Store
from console.tui.terminal.output import styled_when_mounted
from console.tui.text import cell
from console.tui.widgets.lines import Lines
from console.tui.widgets.rows import Column
from console.tui.widgets.table import LineTable
from state.api.sessions import SeenKind
from state.api.topics import Topic

WIDE = 100
WIDTHS = [(0, "-narrow"), (WIDE, "-wide")]
HEIGHTS = [(0, "-tiny"), (16, "-short"), (32, "-tall")]


HUGE = 180
"""Columns from which a screen has three columns: tables at the left, what they lead to at the right."""


BROKEN_VIEW = fact("by hand", "the engine's log (engine.log in the state folder) has the whole of it: please report it")


def fitting_classes(width: int, height: int) -> list[str]:
    """The classes that tell a style sheet how much room there is."""
    pairs = ((width, WIDTHS), (height, HEIGHTS))
    fitting = [[name for least, name in steps if size >= least][-1] for size, steps in pairs]
    return [*fitting, "-huge"] if width >= HUGE else fitting


class Detail(Facts):
    """Everything about the selected row, whole words, wrapped."""

    DEFAULT_CSS = "Detail { height: 8; }"


class MainScreen(Living, Screen[None]):
    """One of the screens behind a digit. Subclasses fill the body; their docstring is the help."""

    narrow: ClassVar[Mapping[str, int]] = {}
    """Per table: how many of its columns are shown on a narrow terminal."""
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    AUTO_FOCUS = "LineTable"
    DEFAULT_CSS = """
    MainScreen { layout: vertical; }
    MainScreen #body { height: 1fr; }
    MainScreen #failure { height: 1fr; display: none; }
    MainScreen.-failed #failure { display: block; }
    MainScreen.-failed #body { display: none; }
    MainScreen LineTable { scrollbar-gutter: stable; }
    MainScreen.-tiny Detail, MainScreen.-tiny .second { display: none; }
    """

    def __init__(self, topic: Topic) -> None:
        # Known before the first layout, so that there is no second one.
        super().__init__(classes=" ".join(fitting_classes(*self.app.size)))
        styled_when_mounted(self)
        self.topic = topic
        self.feeds: list[Feed[Any]] = []
        self.filters: dict[str, str] = {}
        rows = [""] if self._tiny else ["", ""]
        self._top, self._bottom, self._failure = Lines(rows), Lines(rows), Facts(id="failure")
        self._status: list[Text] = []
        self._mounted_whole = False
        self._resumed = False
        self._painted_for: Size | None = None
        self._columns: dict[str, tuple[Column, ...]] = {}

    @property
    def session(self) -> Session:
        return session_of(self)

    @property
    def navigator(self) -> Navigation:
        return self.session.navigator

    @property
    def about(self) -> str:
        """What the screen is for."""
        return " ".join((type(self).__doc__ or "").split())

    @property
    def ready(self) -> bool:
        """Whether everything below is mounted: before and after there is nothing to paint on."""
        return self._mounted_whole and self.app.is_running

    @property
    def store(self) -> Store:
        return self.session.store

    @property
    def glyphs(self) -> Glyphs:
        return self.session.glyphs

    @property
    def _tiny(self) -> bool:
        """Whether there is room for the most needed lines only."""
        return self.has_class("-tiny")

    def compose(self) -> ComposeResult:
        yield self._top
        yield self._failure
        with Vertical(id="body"):
            yield from self.body()
        yield self._bottom

    # -- for subclasses

    def body(self) -> Iterable[Widget]:
        """The widgets between the tabs and the keys."""
        raise NotImplementedError

    def paint(self, touched: Touched) -> None:
        """Show the view; `touched` names the changed keys per table, None = paint everything."""
        raise NotImplementedError

    def detail_rows(self) -> list[Row]:
        """Everything about the selected row, in words."""
        raise NotImplementedError

    def paint_detail(self) -> None:
        """Show everything about the selected row; of an engine that is lost nothing is known."""
        self.query_one(Detail).show(self.lost_rows() or self.detail_rows())

    def lost_rows(self) -> list[Row]:
        """What to say instead of everything that a lost engine told; nothing while it answers."""
        if self.store.link.state is not LinkState.LOST:
            return []
        return [
            cell(f"{lost_words(self.store.link_age)}: nothing here is known now", UNKNOWN),
            fact("type", f"in a shell: {START_ENGINE}"),
            fact("why", self.store.link.reason or "it no longer answers"),
            fact("meanwhile", "open runs keep their state; this console asks again by itself"),
        ]

    def row(self, table: str, key: str) -> Any:
        """The view row behind a table's row."""
        view = self.store.view(self.topic.name)
        return None if view is None else getattr(view, table).get(key)

    # -- selection and keys

    def set_height(self, part: str, rows: int, least: int, most: int) -> None:
        """Let a part be as high as its rows, within limits; on a tiny terminal the style sheet decides."""
        height: int | str = "1fr" if self._tiny else max(least, min(rows, most))
        self.query_one(part).styles.height = height

    def table_in_focus(self) -> LineTable | None:
        """The table the keys act on: the one in focus, else the first."""
        if isinstance(self.focused, LineTable):
            return self.focused
        return next(iter(self.query(LineTable)), None)

    def selected(self) -> Any:
        """The view row under the cursor of the table in focus."""
        table = self.table_in_focus()
        if table is None or table.cursor_key is None or table.id is None:
            return None
        return self.row(table.id, table.cursor_key)

    def filter(self, table: LineTable, needle: str) -> None:
        """Show only rows that contain the text; remembered per table."""
        self.filters[table.id or ""] = needle
        table.filter(needle)

    def reveal(self, table: str, key: str) -> None:
        """Put the cursor on one row, whatever the filter hides."""
        found = self.query_one(f"#{table}", LineTable)
        if self.filters.get(table) and not found.move_to(key):
            self.filter(found, "")
        found.move_to(key)
        found.focus()

    def context(self) -> ActionContext:
        """What a key would act on now."""
        return ActionContext(self.store, self.topic.name, self.selected())

    def do(self, action: Action) -> None:
        """Perform an action, or say why it does nothing now."""
        context = self.context()
        reason = action.why_not(context)
        self.session.recorder.note(SeenKind.KEY, action.id, reason or "")
        if reason is None:
            action.perform(context, self.navigator)
        else:
            self.navigator.say(f"{action.name}: {reason}")

    def on_key(self, event: events.Key) -> None:
        """The keys of this screen, before those of Textual."""
        for action in keys_of(self.topic.name):
            if action.key in {event.key, event.character}:
                event.stop()
                event.prevent_default()
                self.do(action)
                return

    def on_click(self, event: events.Click) -> None:
        """With a mouse: the tab below it."""
        if self._tiny or event.screen_y != 1:
            return
        name = tab_at(self.store, self.session.tabs, self.topic.name, self.app.size.width, event.screen_x)
        if name:
            self.navigator.open_screen(name)

    # -- painting

    @on(LineTable.RowHighlighted)
    def _row_highlighted(self) -> None:
        self._paint_selection()

    @on(LineTable.RowSelected)
    def _row_selected(self) -> None:
        self.navigator.open_detail()

    def _paint_selection(self) -> None:
        if self.ready:
            self.paint_detail()
            self.paint_keys()

    @on(LineTable.Sideways)
    def _sideways(self, message: LineTable.Sideways) -> None:
        if message.direction > 0:
            self.focus_next(LineTable)
        else:
            self.focus_previous(LineTable)

    def on_descendant_focus(self) -> None:
        self._paint_selection()

    @on(Changed)
    def _changed(self, changed: Changed) -> None:
        if not self.ready:
            return
        with self.app.batch_update():
            self.paint_chrome()
            if self.topic.name not in changed.topics:
                return
            self._paint_failure()
            if self.store.view(self.topic.name) is not None:
                self.paint(self.store.take_touched(self.topic.name))
                self.paint_detail()

    def on_mount(self) -> None:
        self._mounted_whole = True
        self._painted_for = self.app.size
        self._fit_columns(self.app.size.width)
        self.paint_all()

    def on_screen_resume(self) -> None:
        # Nothing was missed between the first painting and the first resume.
        self.session.looks_at(self.topic.name)
        first, self._resumed = not self._resumed, True
        if not first:
            self.call_after_refresh(self.paint_all)

    def on_resize(self, event: events.Resize) -> None:
        if self.ready and event.size != self._painted_for:
            self._painted_for = event.size
            self.set_class(event.size.width >= HUGE, "-huge")
            self._fit_columns(event.size.width)
            self.call_after_refresh(self.paint_all)

    def _fit_columns(self, width: int) -> None:
        for name, count in self.narrow.items():
            table = self.query_one(f"#{name}", LineTable)
            whole = self._columns.setdefault(name, table.columns)
            table.set_columns(whole if width >= WIDE else whole[:count])

    def paint_all(self) -> None:
        """Everything, from the store as it is now."""
        if not self.ready:
            return
        with self.app.batch_update():
            self.paint_chrome()
            self._paint_failure()
            if self.store.view(self.topic.name) is not None:
                self.store.take_touched(self.topic.name)
                self.paint(None)
            self.paint_detail()

    def _paint_failure(self) -> None:
        """In place of a body of which the engine has no view, why: what stood there is known no more."""
        message = self.store.failure(self.topic.name)
        self.set_class(bool(message), "-failed")
        if message:
            self._failure.show([cell(message, UNKNOWN), fact("meanwhile", "the other screens go on"), BROKEN_VIEW])

    def tick(self) -> None:
        """Once a second, when in front and ready: what shows a clock or an age."""
        self.paint_chrome()
        for feed in self.feeds:
            feed.grow_old()
        self.paint_detail()

    def paint_chrome(self) -> None:
        """Header, tabs, alarms, keys and status."""
        if not self.ready:
            return
        width = self.app.size.width
        tabs = [] if self._tiny else [tabs_line(self.store, self.session.tabs, self.topic.name, width)]
        waiting = waiting_lines(self.store, self.glyphs, width, most=1 if self._tiny else MOST)
        said = sentence_lines(self.store, self.glyphs, width, self.topic.name)
        alone = approval_lines(self.store, width)
        top = [header_line(self.store, self.glyphs, width), *tabs, *said, *alone, *waiting]
        self._top.show(top)
        company = company_forms(others(self.store, self.session.attached_as), self.session.tabs)
        notice = self.session.recent.notice_now
        self._status = (
            [] if self._tiny else [status_line(self.store, notice, width, company, self.session.recorder.trouble)]
        )
        self.paint_keys()

    def paint_keys(self) -> None:
        """Which keys work now."""
        self._bottom.show([keys_line(self.context(), self.app.size.width), *self._status])
