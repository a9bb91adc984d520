"""The keys: one class per key. Footer, help, palette and dimming are derived from them.

No action changes anything by itself: acting ones open a consequence card or a confirmation and nothing else.
A class with a title of its own is a key as soon as it is defined: there is no list to add it to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, ClassVar, Self

from console.tui.session import ActionContext, FormValues, Navigation, Then
from state.api.views.header import HeaderView

__all__ = ["KNOWN", "Action", "ActionContext", "Effect", "FormValues", "Navigation", "Then"]

KNOWN: dict[str, Action] = {}
"""Every action by its id, in the order of their definition: the footer names them in this order."""


class Action:
    """One key. The docstring is its help; `screens` empty = everywhere; no `key` = palette only."""

    key: ClassVar[str] = ""
    title: ClassVar[str] = ""
    screens: ClassVar[tuple[str, ...]] = ()
    """Names of the topics on whose screens it exists."""
    on: ClassVar[tuple[str, ...]] = ()
    """Tables of its screens whose rows it needs: by name it can be reached from everywhere, a row is chosen then."""
    acts: ClassVar[bool] = False
    shown: ClassVar[bool] = True
    """Whether the footer names it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "title" in vars(cls):
            for action in cls.variants():
                _require_place(action)
                KNOWN[action.id] = action

    @classmethod
    def variants(cls) -> Iterable[Self]:
        """The actions of the class: one, unless it exists for several objects."""
        return (cls(),)

    @property
    def id(self) -> str:
        """`StopEverything` is `stop-everything`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", type(self).__name__).lower()

    @property
    def name(self) -> str:
        """Its name in the palette."""
        return self.title

    @property
    def help(self) -> str:
        return " ".join((type(self).__doc__ or "").split())

    def why_not(self, ctx: ActionContext) -> str | None:
        """Why the key does nothing now; None when it works. Cheap: runs on every repaint."""
        return self.barred(ctx) or self.missing(ctx)

    def barred(self, ctx: ActionContext) -> str | None:
        """Why it does nothing now, whichever row it is for."""
        if self.acts:
            if not ctx.store.live:
                return "the engine is not connected"
            return ctx.store.barred or None
        return None

    def missing(self, ctx: ActionContext) -> str | None:
        """Why the action is not possible here; for subclasses."""
        return None

    def perform(self, ctx: ActionContext, navigator: Navigation) -> None:
        """Do it. Only called when `why_not` is None."""
        raise NotImplementedError


class Effect(Action):
    """An action that ends in an effect on the outside world, through a consequence card."""

    acts = True

    def barred(self, ctx: ActionContext) -> str | None:
        refused = super().barred(ctx)
        header = ctx.store.view(HeaderView)
        if refused is None and header is not None and header.effects:
            return f"effects are refused: {header.effects}"
        return refused


def _require_place(action: Action) -> None:
    """Refuse an id or a key that another action has on the same screen: neither may hide the other."""
    for other in KNOWN.values():
        if _defined(other) == _defined(action):
            continue  # defined again
        if other.id == action.id:
            raise ValueError(f"two actions have the id {action.id}: {_defined(other)} and {_defined(action)}")
        together = not other.screens or not action.screens or set(other.screens) & set(action.screens)
        if action.key and action.key == other.key and together:
            raise ValueError(f"two actions have the key {action.key}: {_defined(other)} and {_defined(action)}")


def _defined(action: Action) -> str:
    return f"{type(action).__module__}.{type(action).__qualname__}"
