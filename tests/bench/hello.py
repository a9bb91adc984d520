"""The smallest useful Textual app: the floor of every Textual program's start."""

from textual.app import App, ComposeResult
from textual.widgets import Static


class Hello(App[None]):
    """One line of text."""

    def compose(self) -> ComposeResult:
        yield Static("HELLO-READY")


if __name__ == "__main__":
    Hello().run()
