"""Colours, by meaning only. Everything on the screen names one of the sixteen terminal colours; a theme says
how they look (dark, light, high-contrast) or leaves it to the terminal (terminal)."""

from __future__ import annotations

from rich.style import Style
from rich.terminal_theme import TerminalTheme
from textual.app import App
from textual.theme import Theme

# background, foreground, muted, then red (fail), green (ok), yellow (warn), blue (titles), magenta (unknown),
# cyan (active, keys)
PALETTES: dict[str, tuple[str, ...]] = {
    "dark": (
        "#14171c", "#d5d9e0", "#8b93a1", "#ff7a70", "#7fc98b", "#e6c05c", "#86b4f2", "#d59cf0", "#6cc7d1",
    ),
    "light": (
        "#f7f7f4", "#23262b", "#5f6670", "#b3201a", "#1f6d2f", "#7d5600", "#1f4f9e", "#8a2fa6", "#0d656f",
    ),
    "high-contrast": (
        "#000000", "#ffffff", "#c8c8c8", "#ff8080", "#66ff7f", "#ffee33", "#a6ccff", "#f5a3ff", "#5ff5ff",
    ),
}  # fmt: skip

BANNERS = {"production": ("PROD", "red"), "staging": ("STAGING", "yellow"), "lab": ("LAB", "cyan")}
DRILL_BANNER = ("DRILL", "yellow")


def register(app: App[int], name: str) -> None:
    """Give the app all themes and select one by name (dark, light, high-contrast, terminal)."""
    for theme in PALETTES:
        app.register_theme(_theme(theme))
    app.register_theme(_terminal_theme())
    if name in PALETTES:
        # Without a watcher: the theme's own will do, and styles are made once.
        app.set_reactive(App.ansi_theme_dark if _theme(name).dark else App.ansi_theme_light, _sixteen(name))
    app.theme = f"recovery-{name}"


def select(app: App[int], name: str) -> None:
    """Switch to a theme, with the sixteen colours that belong to it."""
    if name in PALETTES:
        colours = _sixteen(name)
        if _theme(name).dark:
            app.ansi_theme_dark = colours
        else:
            app.ansi_theme_light = colours
    app.theme = f"recovery-{name}"


def banner(environment: str, *, drill: bool = False) -> tuple[str, Style]:
    """Word and style of the environment, in reverse video so that it survives monochrome."""
    word, colour = DRILL_BANNER if drill else BANNERS.get(environment, (environment.upper(), "magenta"))
    return f" {word} ", Style(color=colour, bold=True, reverse=True)


def _theme(name: str) -> Theme:
    background, foreground, muted, red, green, yellow, blue, magenta, cyan = PALETTES[name]
    return Theme(
        name=f"recovery-{name}",
        primary=blue,
        secondary=cyan,
        accent=cyan,
        foreground=foreground,
        background=background,
        surface=background,
        panel=background,
        boost=background,
        success=green,
        warning=yellow,
        error=red,
        dark=name != "light",
        variables={
            "muted": muted,
            "unknown": magenta,
            "rule": muted,
            "key": cyan,
            **_plain_widgets(foreground, background),
        },
    )


def _plain_widgets(foreground: str, background: str) -> dict[str, str]:
    """Textual's own widgets, calm: no tinted surfaces, cursors in reverse."""
    return {
        "block-cursor-foreground": background,
        "block-cursor-background": foreground,
        "block-cursor-text-style": "none",
        "input-cursor-foreground": background,
        "input-cursor-background": foreground,
        "scrollbar": foreground,
        "scrollbar-background": background,
        "scrollbar-corner-color": background,
    }


def _terminal_theme() -> Theme:
    """The terminal's own sixteen colours, untouched; also what is used without any colour."""
    plain = "ansi_default"
    return Theme(
        name="recovery-terminal",
        ansi=True,
        primary="ansi_blue",
        secondary="ansi_cyan",
        accent="ansi_cyan",
        foreground=plain,
        background=plain,
        surface=plain,
        panel=plain,
        boost=plain,
        success="ansi_green",
        warning="ansi_yellow",
        error="ansi_red",
        variables={
            "muted": "ansi_bright_black",
            "unknown": "ansi_magenta",
            "rule": "ansi_bright_black",
            "key": "ansi_cyan",
            "ansi-background": "ansi_black",
            "ansi-foreground": "ansi_white",
            "border-blurred": "ansi_black",
            "block-cursor-foreground": "ansi_black",
            "block-cursor-background": "ansi_white",
            "input-cursor-background": "ansi_black",
            "input-cursor-foreground": "ansi_bright_white",
            "input-cursor-text-style": "reverse",
            "input-selection-background": "ansi_bright_blue",
            "input-selection-foreground": "ansi_black",
            "screen-selection-background": "ansi_bright_blue",
            "screen-selection-foreground": "ansi_black",
        },
    )


def _sixteen(name: str) -> TerminalTheme:
    background, foreground, muted, *colours = (_rgb(code) for code in PALETTES[name])
    normal = [background, *colours, foreground]
    return TerminalTheme(background, foreground, normal, [muted, *colours, foreground])


def _rgb(code: str) -> tuple[int, int, int]:
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)
